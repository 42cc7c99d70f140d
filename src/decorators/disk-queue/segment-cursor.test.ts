import { expect, test } from 'vitest';
import { SegmentCursor } from './segment-cursor.ts';

test('attribute sets are forgotten when batches have come from memory for a while', () => {
  const cursor = new SegmentCursor();
  const set = cursor.known.set(1, ['k'], ['v']);
  for (let i = 0; i < 29; i++) cursor.notRead();
  expect(cursor.known.set(1, ['k'], ['v'])).toBe(set);
  cursor.notRead();
  expect(cursor.known.set(1, ['k'], ['v'])).not.toBe(set);
});
