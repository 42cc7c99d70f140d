import { expect, test, vi } from 'vitest';
import { batchWith } from '../../test/support/scrapes.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { answerOf, type ScrapeAnswer, type ScrapeSource } from './scrape-answer.ts';

const ENCODINGS = ['identity', 'gzip'];

async function answered(batch: MetricBatch, encoding: string) {
  const gone = new AbortController();
  const release = vi.fn();
  const ended = vi.fn();
  const source: ScrapeSource = {
    authentication: undefined,
    encodingOptions: {},
    acquire: async () => ({ batch, signal: new AbortController().signal, release }),
    started: () => ended,
  };
  const header = (name: string) => (name === 'accept-encoding' ? encoding : undefined);
  const answer = await answerOf({ method: 'GET', url: '/metrics', header }, source, gone.signal);
  return { body: answer.body as Exclude<ScrapeAnswer['body'], string>, gone, release, ended };
}

/** Half of whose series can be encoded. */
function brokenBatch(): MetricBatch {
  const batch = batchWith(1_000, 1_000);
  Object.defineProperty(batch.scopeMetrics[0]!.metrics[0]!.attributes, 500, {
    get() {
      throw new Error('encoder');
    },
  });
  return batch;
}

test.each(ENCODINGS)(
  'a scrape in %s that ends well says so once, and lets go of its collection',
  async (encoding) => {
    const { body, release, ended } = await answered(batchWith(1_000, 1_000), encoding);
    for await (const _ of body);
    expect(ended.mock.calls).toEqual([[]]);
    expect(release).toHaveBeenCalled();
  },
);

test.each(ENCODINGS)('one in %s whose scraper goes is no failure of ours', async (encoding) => {
  const { body, gone, release, ended } = await answered(batchWith(1_000, 1_000), encoding);
  await body.next();
  gone.abort();
  // Whoever reads it may be in the middle of a chunk, and its memory be used again.
  expect(release).not.toHaveBeenCalled();
  await expect(
    (async () => {
      for await (const _ of body);
    })(),
  ).rejects.toThrow();
  expect(release).toHaveBeenCalled();
  expect(ended.mock.calls).toEqual([[undefined]]);
});

test.each(ENCODINGS)(
  'one in %s whose scraper goes while it waits for its turn encodes nothing',
  async (encoding) => {
    const { body, gone, release, ended } = await answered(batchWith(1, 1), encoding);
    const first = body.next();
    gone.abort();
    await expect(first).rejects.toThrow();
    expect(release).toHaveBeenCalled();
    expect(ended).not.toHaveBeenCalled();
  },
);

test.each(ENCODINGS)('one in %s that fails says with what', async (encoding) => {
  const { body, release, ended } = await answered(brokenBatch(), encoding);
  await expect(
    (async () => {
      for await (const _ of body);
    })(),
  ).rejects.toThrow('encoder');
  expect(ended.mock.calls).toEqual([[new Error('encoder')]]);
  expect(release).toHaveBeenCalled();
});

test('scrapes that begin together begin to encode in turns of the event loop of their own', async () => {
  let turn = 0;
  let isOver = false;
  setImmediate(function count() {
    turn++;
    if (!isOver) setImmediate(count);
  });
  const begun: number[] = [];
  await Promise.all(
    Array.from({ length: 5 }, async () => {
      const batch = batchWith(1, 1);
      const { attributes } = batch.scopeMetrics[0]!.metrics[0]!;
      const [only] = attributes;
      Object.defineProperty(attributes, 0, {
        get() {
          begun.push(turn);
          return only;
        },
      });
      const { body } = await answered(batch, 'identity');
      for await (const _ of body);
    }),
  );
  isOver = true;
  expect(new Set(begun).size).toBe(5);
  expect(begun).not.toContain(0);
});
