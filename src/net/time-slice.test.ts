import { describe, expect, it } from 'vitest';
import { inSlices, sliced } from './time-slice.ts';

async function collected<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

describe('sliced', () => {
  it('passes everything on in order', async () => {
    expect(await collected(sliced([1, 2, 3]))).toEqual([1, 2, 3]);
  });

  it('gives the event loop its turn when a slice is used up', async () => {
    let turns = 0;
    const seen: number[] = [];
    function* work() {
      for (let i = 0; i < 5; i++) {
        seen.push(turns);
        setImmediate(() => turns++);
        yield i;
      }
    }
    await collected(sliced(work(), { budgetMillis: 0 }));
    expect(seen).toEqual([0, 1, 2, 3, 4]);
  });

  it('does not wait while the slice lasts', async () => {
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    await collected(sliced([1, 2, 3], { budgetMillis: 60_000 }));
    expect(turned).toBe(false);
  });

  it('stops at an abort and closes the generator', async () => {
    const controller = new AbortController();
    let closed = false;
    function* work() {
      try {
        yield 1;
        controller.abort(new Error('enough'));
        yield 2;
        yield 3;
      } finally {
        closed = true;
      }
    }
    const got: number[] = [];
    await expect(
      (async () => {
        for await (const item of sliced(work(), { signal: controller.signal })) got.push(item);
      })(),
    ).rejects.toThrow('enough');
    expect(got).toEqual([1]);
    expect(closed).toBe(true);
  });

  it('closes the generator when the reader leaves early', async () => {
    let closed = false;
    function* work() {
      try {
        yield 1;
        yield 2;
      } finally {
        closed = true;
      }
    }
    for await (const _ of sliced(work())) break;
    expect(closed).toBe(true);
  });
});

describe('inSlices', () => {
  it('resolves with what the generator returns, after giving the event loop its turns', async () => {
    let turns = 0;
    function* work() {
      for (let i = 0; i < 5; i++) {
        setImmediate(() => turns++);
        yield;
      }
      return turns;
    }
    expect(await inSlices(work(), { budgetMillis: 0 })).toBe(5);
  });

  it('does not wait while the slice lasts', async () => {
    let turned = false;
    setImmediate(() => {
      turned = true;
    });
    function* work() {
      yield;
      yield;
    }
    await inSlices(work(), { budgetMillis: 60_000 });
    expect(turned).toBe(false);
  });

  it('stops at an abort and closes the generator', async () => {
    const controller = new AbortController();
    const steps: string[] = [];
    function* work() {
      try {
        steps.push('one');
        controller.abort(new Error('enough'));
        yield;
        steps.push('two');
        return 'end';
      } finally {
        steps.push('closed');
      }
    }
    await expect(inSlices(work(), { signal: controller.signal })).rejects.toThrow('enough');
    expect(steps).toEqual(['one', 'closed']);
  });
});
