import fc from 'fast-check';
import { expect, test } from 'vitest';
import { IdIndex } from './id-index.ts';

test('behaves like a Map under any sequence of sets and deletes', () => {
  const id = fc.oneof(fc.nat(40), fc.nat(5000));
  const step = fc.oneof(
    fc.record({ op: fc.constant('set' as const), id, value: fc.nat(1e6) }),
    fc.record({ op: fc.constant('delete' as const), id }),
  );
  fc.assert(
    fc.property(fc.array(step, { maxLength: 400 }), (steps) => {
      const index = new IdIndex();
      const model = new Map<number, number>();
      for (const it of steps) {
        if (it.op === 'set') {
          index.set(it.id, it.value);
          model.set(it.id, it.value);
        } else {
          index.delete(it.id);
          model.delete(it.id);
        }
      }
      expect(steps.map((it) => index.get(it.id))).toEqual(steps.map((it) => model.get(it.id) ?? -1));
    }),
    { numRuns: 300 },
  );
});
