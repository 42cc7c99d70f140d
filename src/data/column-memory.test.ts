import { expect, test } from 'vitest';
import { NEW_MEMORY, ReusedMemory } from './column-memory.ts';

/** The columns of two streams with so many series. */
function columns(memory: ReusedMemory, length: number) {
  memory.begin();
  return [
    memory.float64(length),
    memory.bigUint64(length),
    memory.int32(length),
    memory.uint32(length + 1),
    memory.float64(3 * length),
  ] as const;
}

const buffers = (all: ReturnType<typeof columns>) => all.map(({ buffer }) => buffer);

test('each batch has the columns of the one before, also when it has a few points more or less', () => {
  const memory = new ReusedMemory();
  const first = columns(memory, 1_000);
  for (const length of [1_000, 1_100, 600, 1_000]) {
    const next = columns(memory, length);
    expect(buffers(next)).toEqual(buffers(first));
    expect(next.map((column) => column.length)).toEqual([length, length, length, length + 1, 3 * length]);
  }
});

test('columns of one batch never share memory', () => {
  const memory = new ReusedMemory();
  for (const length of [10, 500, 7, 0]) expect(new Set(buffers(columns(memory, length))).size).toBe(5);
});

test('what is much too large, or no longer asked for, is given up', () => {
  const memory = new ReusedMemory();
  const large = columns(memory, 10_000);
  const small = columns(memory, 100);
  expect(buffers(small).some((buffer) => buffers(large).includes(buffer))).toBe(false);
  memory.begin();
  memory.float64(100);
  const again = columns(memory, 100);
  expect(buffers(again).slice(1)).not.toContain(small[1].buffer);
});

test('new memory is never the same', () => {
  expect(NEW_MEMORY.float64(3).buffer).not.toBe(NEW_MEMORY.float64(3).buffer);
  expect([NEW_MEMORY.int32(3), NEW_MEMORY.uint32(3), NEW_MEMORY.bigUint64(3)].map((it) => it.length)).toEqual(
    [3, 3, 3],
  );
});
