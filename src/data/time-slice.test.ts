import { afterEach, describe, expect, it, vi } from 'vitest';
import { inSlices, ownTurn, sliced } from './time-slice.ts';

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

describe('several at the same time', () => {
  it('have one slice in a turn of the event loop, by turns', async () => {
    let turn = 0;
    let isOver = false;
    setImmediate(function count() {
      turn++;
      if (!isOver) setImmediate(count);
    });
    const slices: { turn: number; worker: number }[] = [];
    async function work(worker: number) {
      await ownTurn();
      function* items() {
        for (let i = 0; i < 3; i++) yield slices.push({ turn, worker });
      }
      if (worker % 2 === 0) await inSlices(items(), { budgetMillis: 0 });
      else for await (const _ of sliced(items(), { budgetMillis: 0 }));
    }
    await Promise.all([0, 1, 2, 3].map(work));
    isOver = true;
    expect(slices.map(({ worker }) => worker)).toEqual([0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3]);
    expect(new Set(slices.map((slice) => slice.turn)).size).toBe(12);
  });

  it('who begins while others wait for their turns waits too', async () => {
    let turn = 0;
    let isOver = false;
    setImmediate(function count() {
      turn++;
      if (!isOver) setImmediate(count);
    });
    const begun: number[] = [];
    function* items() {
      begun.push(turn);
      yield;
    }
    async function throughItems() {
      for await (const _ of sliced(items(), { budgetMillis: 0 }));
    }
    // As when one answer is what many have waited for.
    await Promise.all(
      [0, 1, 2, 3].map((i) => (i % 2 === 0 ? inSlices(items(), { budgetMillis: 0 }) : throughItems())),
    );
    isOver = true;
    expect(new Set(begun).size).toBe(4);
  });

  it('an item is asked for after a turn when whoever took the one before had it for longer than a slice', async () => {
    let turns = 0;
    setImmediate(function count() {
      if (++turns < 10) setImmediate(count);
    });
    const seen: number[] = [];
    function* items() {
      for (let i = 0; i < 3; i++) yield seen.push(turns);
    }
    for await (const _ of sliced(items(), { budgetMillis: 1 })) {
      const end = performance.now() + 1;
      while (performance.now() < end);
    }
    expect(seen).toEqual([0, 1, 2]);
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

describe('under fake timers', () => {
  afterEach(() => void vi.useRealTimers());

  function* steps() {
    for (let i = 0; i < 3; i++) yield;
    return 'end';
  }

  it('work goes on, though nobody moves them', async () => {
    vi.useFakeTimers({ toFake: ['setImmediate'] });
    expect(await inSlices(steps(), { budgetMillis: 0 })).toBe('end');
  });

  it('a turn that is waited for when they come or go keeps nobody waiting afterwards', async () => {
    vi.useFakeTimers({ toFake: ['setImmediate'] });
    const before = inSlices(steps(), { budgetMillis: 0 });
    vi.useRealTimers();
    const after = inSlices(steps(), { budgetMillis: 0 });
    vi.useFakeTimers({ toFake: ['setImmediate'] });
    expect(await Promise.all([before, after])).toEqual(['end', 'end']);
  });
});
