import { expect, test } from 'vitest';
import { RingArena } from './ring-arena.ts';

/** Where a ring lies: which array, from where to where. */
function placeOf(arena: RingArena, address: number, capacity: number) {
  const start = arena.offsetOf(address);
  return { chunk: arena.chunkOf(address), start, end: start + capacity };
}

test('rings never overlap, lie in one array each, and are zeros, whatever their size and whatever was given back', () => {
  const arena = new RingArena();
  const held: { address: number; capacity: number; mark: number }[] = [];
  for (let i = 1; i < 20_000; i++) {
    const capacity = 8 << ((i * 7) % 9);
    const address = arena.allocate(capacity);
    const { chunk, start, end } = placeOf(arena, address, capacity);
    expect(end).toBeLessThanOrEqual(chunk.length);
    expect(chunk.subarray(start, end).every((count) => count === 0)).toBe(true);
    chunk.fill(i, start, end);
    held.push({ address, capacity, mark: i });
    if (i % 3 === 0) {
      const [ended] = held.splice((i * 31) % held.length, 1);
      const place = placeOf(arena, ended!.address, ended!.capacity);
      place.chunk.fill(0, place.start, place.end);
      arena.release(ended!.address, ended!.capacity);
    }
  }
  for (const { address, capacity, mark } of held) {
    const { chunk, start, end } = placeOf(arena, address, capacity);
    if (!chunk.subarray(start, end).every((count) => count === mark))
      expect.fail(`ring ${mark} was overwritten`);
  }
});

test('a ring longer than a chunk has one of its own', () => {
  const arena = new RingArena();
  const before = arena.allocate(8);
  const long = arena.allocate(1 << 17);
  const after = arena.allocate(8);
  const place = placeOf(arena, long, 1 << 17);
  expect(place.end).toBeLessThanOrEqual(place.chunk.length);
  for (const other of [before, after]) expect(arena.chunkOf(other)).not.toBe(place.chunk);
});

test('a ring given back is used again before new room is taken', () => {
  const arena = new RingArena();
  const [first, second] = [arena.allocate(64), arena.allocate(64)];
  arena.release(first, 64);
  expect(arena.allocate(32)).not.toBe(first);
  expect(arena.allocate(64)).toBe(first);
  expect(arena.allocate(64)).not.toBe(second);
});
