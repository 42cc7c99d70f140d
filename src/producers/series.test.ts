import { describe, expect, test } from 'vitest';
import { type Series, SeriesMemory } from './series.ts';

/** A reading of label sets with their values, which takes place at a time, its number. */
function reader() {
  const memory = new SeriesMemory(0n);
  return {
    memory,
    read(at: number, ...samples: [labels: Record<string, unknown>, value: number][]): Series[] {
      const reading = { number: at, time: BigInt(at) };
      const series = samples.map(([labels, value]) => {
        const one = memory.at(labels);
        memory.note(one, value, reading);
        return one;
      });
      for (const _ of memory.end(reading));
      return series;
    },
  };
}

describe('SeriesMemory', () => {
  test('knows a series again, whatever the order of its labels and of the series', () => {
    const { read } = reader();
    const [one, two] = read(1, [{ a: 'x', b: 'y' }, 1], [{ a: 'z' }, 1]);
    expect(read(2, [{ a: 'x', b: 'y' }, 1], [{ a: 'z' }, 1])).toEqual([one, two]);
    const turned = read(3, [{ a: 'z' }, 1], [{ b: 'y', a: 'x' }, 1]);
    expect(turned[0]).toBe(two);
    expect(turned[1]).toBe(one);
    expect(one!.attributes).toMatchObject({ keys: ['a', 'b'], values: ['x', 'y'] });
  });

  test.each<[Record<string, unknown>, Record<string, unknown>]>([
    [{ a: 'x' }, { b: 'x' }],
    [{ a: 'x' }, { a: 'y' }],
    [{ a: 'x', b: 'y' }, { a: 'x' }],
    [{ a: 'x' }, { a: 'x', b: 'y' }],
    [{}, { a: '' }],
    [
      { a: '', b: '1:' },
      { a: 'b=2:1:', b: '' },
    ],
    [
      { a: 'xb=y', b: '' },
      { a: 'x', b: 'yb=' },
    ],
  ])('tells %j from %j, also where it expects the other', (first, second) => {
    const { read } = reader();
    const [one] = read(1, [first, 1]);
    const [other] = read(2, [second, 1]);
    expect(other).not.toBe(one);
    const [both, again] = read(3, [first, 1], [second, 1]);
    expect(both).not.toBe(again);
    expect(again).toBe(other);
  });

  test('forgets a series that was not read, and takes it for a new one when it is back in its place', () => {
    const { read } = reader();
    read(1, [{ a: 'x' }, 5], [{ a: 'y' }, 5], [{ a: 'z' }, 5]);
    read(2, [{ a: 'x' }, 5], [{ a: 'z' }, 5]);
    const [x, y] = read(3, [{ a: 'x' }, 5], [{ a: 'y' }, 9], [{ a: 'z' }, 5]);
    expect(x!.start).toBe(0n);
    expect(y!.start).toBe(2n);

    for (const place of [0, 1]) {
      const { read } = reader();
      const both: Parameters<typeof read>[1][] = [
        [{ a: 'x' }, 5],
        [{ a: 'y' }, 5],
      ];
      read(1, ...both);
      read(2, both[1 - place]!);
      expect(read(3, ...both)[place]!.start).toBe(2n);
    }
    const { read: readAlone } = reader();
    readAlone(1, [{ a: 'x' }, 5]);
    readAlone(2);
    expect(readAlone(3, [{ a: 'x' }, 5])[0]!.start).toBe(2n);
  });

  test('a value that falls began anew after the reading before; one that may fall did not', () => {
    const { read, memory } = reader();
    const [series] = read(1, [{}, 5]);
    read(2, [{}, 4]);
    expect(series!.start).toBe(1n);
    memory.note(series!, 3, { number: 3, time: 3n }, true);
    expect(series!.start).toBe(1n);
  });

  test('a reading that ends after a later one changes nothing', () => {
    const { memory } = reader();
    const [early, late] = [
      { number: 1, time: 1n },
      { number: 2, time: 2n },
    ];
    const series = memory.at({ a: 'x' });
    memory.note(series, 9, late);
    memory.at({ a: 'y' });
    for (const _ of memory.end(late));
    memory.note(memory.at({ a: 'x' }), 5, early);
    for (const _ of memory.end(early));
    expect(memory.at({ a: 'x' })).toBe(series);
    expect(series).toMatchObject({ start: 0n, latest: 9, read: late });
    expect(memory.at({ a: 'new' }).start).toBe(2n);
    expect(memory.readNumber).toBe(2);
  });

  test('leaves out the label that it is told to', () => {
    const { memory } = reader();
    const series = memory.at({ le: 1, a: 'x' }, 'le');
    expect(series.attributes.keys).toEqual(['a']);
    expect(memory.at({ a: 'x', le: 2 }, 'le')).toBe(series);
  });
});
