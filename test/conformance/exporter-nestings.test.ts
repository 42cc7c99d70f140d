// Random nestings of decorators over exporters that fail at random, against a ledger of every point.
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { ExportError } from '../../src/data/errors.ts';
import type { PushMetricExporter } from '../../src/data/exporter.ts';
import type { MetricBatch } from '../../src/data/metric-batch.ts';
import { AggregationTemporality } from '../../src/data/metric-data.ts';
import { diskQueue, fallback, filter, logging, multi, retry, timeout } from '../../src/decorators/index.ts';
import { batchOf, counter } from '../../src/encoding/fixtures/metrics.ts';
import { captureLogs } from '../support/collected.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { isFlushed, LONGEST_MILLIS, send, simulated } from './exporter-kit.ts';
import { type Fault, type ScriptedExporter, scriptedExporter } from './scripted-exporter.ts';

type Nesting =
  | { kind: 'base'; faults: Fault[]; isOurs: boolean }
  | { kind: 'retry' | 'logging' | 'filter' | 'queue'; inner: Nesting }
  | { kind: 'timeout'; inner: Nesting; millis: number }
  | { kind: 'multi'; inner: Nesting[] }
  | { kind: 'fallback'; inner: [Nesting, Nesting] };

const BATCHES = 4;
const POINTS = 5;
/** The series of each batch that `filter` takes out. */
const FILTERED = 'p4';

interface Built {
  exporter: PushMetricExporter;
  /** Fails the test unless the series was delivered as it must be, by every exporter that must have it. */
  check(series: string): void;
  counts(series: string): { delivered: number; refused: boolean };
}

const folder = temporaryFolder();
let queues = 0;

const silent = { debug() {}, info() {}, warn() {}, error() {} };

interface Strictness {
  /** Whether no point may be delivered twice, by one exporter or by the two of a fallback. */
  isExact: boolean;
  /** Few: batches are joined, and then no longer known as those that were given up on. */
  maxBacklogPoints: number;
}

function build(nesting: Nesting, strictness: Strictness): Built {
  switch (nesting.kind) {
    case 'base':
      return base(scriptedExporter(nesting.faults, nesting.isOurs), strictness);
    case 'multi': {
      const members = nesting.inner.map((inner) => build(inner, strictness));
      return {
        exporter: multi(
          members.map(({ exporter }) => exporter),
          { maxBacklogPoints: strictness.maxBacklogPoints },
        ),
        check: (series) => void members.forEach(({ check }) => void check(series)),
        counts: (series) => {
          const all = members.map(({ counts }) => counts(series));
          return {
            delivered: Math.max(...all.map(({ delivered }) => delivered)),
            refused: all.some(({ refused }) => refused),
          };
        },
      };
    }
    case 'fallback': {
      const [primary, secondary] = nesting.inner.map((inner) => build(inner, strictness)) as [Built, Built];
      const exporter = fallback(primary.exporter, secondary.exporter, {
        timeoutMillis: strictness.isExact ? Infinity : 10_000,
      });
      return either(exporter, primary, secondary, strictness);
    }
    case 'filter': {
      const { exporter, check, counts } = build(nesting.inner, strictness);
      return {
        exporter: filter(exporter, { exclude: { attributes: { series: `*/${FILTERED}` } } }),
        check: (series) =>
          series.endsWith(FILTERED) ? expect(counts(series).delivered, series).toBe(0) : check(series),
        // What is not for an exporter, it need not have.
        counts: (series) => ({ ...counts(series), ...(series.endsWith(FILTERED) && { refused: true }) }),
      };
    }
    default: {
      const built = build(nesting.inner, strictness);
      return { ...built, exporter: decorated(built.exporter, nesting) };
    }
  }
}

function decorated(exporter: PushMetricExporter, nesting: { kind: string; millis?: number }) {
  if (nesting.kind === 'retry') return retry(exporter, { maxRetries: 2, initialIntervalMillis: 500 });
  if (nesting.kind === 'timeout') return timeout(exporter, nesting.millis!);
  if (nesting.kind === 'queue') return diskQueue(exporter, { dir: folder, name: `q${queues++}` });
  return logging(exporter, { logger: silent });
}

function base({ exporter, delivered, refused }: ScriptedExporter, { isExact }: Strictness): Built {
  const counts = (series: string) => ({
    delivered: delivered.get(series) ?? 0,
    refused: refused.has(series),
  });
  return {
    exporter,
    counts,
    check(series) {
      const count = counts(series);
      if (isExact) expect(count.delivered, series).toBe(count.refused ? 0 : 1);
      else if (!count.refused) expect(count.delivered, series).toBeGreaterThanOrEqual(1);
    },
  };
}

/** A fallback: delivered by one of the two. */
function either(
  exporter: PushMetricExporter,
  primary: Built,
  secondary: Built,
  { isExact }: Strictness,
): Built {
  const counts = (series: string) => {
    const [a, b] = [primary.counts(series), secondary.counts(series)];
    return { delivered: a.delivered + b.delivered, refused: a.refused || b.refused };
  };
  return {
    exporter,
    counts,
    check(series) {
      const { delivered, refused } = counts(series);
      if (isExact) expect(delivered, series).toBeLessThanOrEqual(1);
      if (!refused) expect(delivered, series).toBeGreaterThanOrEqual(1);
    },
  };
}

const quickFault = fc.oneof(
  fc.constant<Fault>({ kind: 'unavailable' }),
  fc.constant<Fault>({ kind: 'refused' }),
  fc.constant<Fault>({ kind: 'throws' }),
  fc.constant<Fault>({ kind: 'twice' }),
  fc.record({ kind: fc.constant('partial' as const), delivered: fc.integer({ min: 0, max: POINTS }) }),
);
const slowFault: fc.Arbitrary<Fault> = fc.record({
  kind: fc.constant('slow' as const),
  millis: fc.constantFrom(100, 1_500, 12_000, 45_000),
  delivers: fc.boolean(),
});

function nestings(fault: fc.Arbitrary<Fault>, kinds: readonly Nesting['kind'][]): fc.Arbitrary<Nesting> {
  return fc.letrec<{ nesting: Nesting }>((tie) => {
    const inner = tie('nesting');
    const all: Record<Nesting['kind'], fc.Arbitrary<Nesting>> = {
      base: fc.record({
        kind: fc.constant('base' as const),
        faults: fc.array(fault, { maxLength: 5 }),
        isOurs: fc.boolean(),
      }),
      retry: fc.record({ kind: fc.constant('retry' as const), inner }),
      logging: fc.record({ kind: fc.constant('logging' as const), inner }),
      filter: fc.record({ kind: fc.constant('filter' as const), inner }),
      queue: fc.record({ kind: fc.constant('queue' as const), inner }),
      timeout: fc.record({
        kind: fc.constant('timeout' as const),
        inner,
        millis: fc.constantFrom(50, 2_000, 40_000),
      }),
      multi: fc.record({
        kind: fc.constant('multi' as const),
        inner: fc.array(inner, { minLength: 1, maxLength: 3 }),
      }),
      fallback: fc.record({ kind: fc.constant('fallback' as const), inner: fc.tuple(inner, inner) }),
    };
    return { nesting: fc.oneof({ maxDepth: 4 }, all.base, ...kinds.map((kind) => all[kind])) };
  }).nesting;
}

function batch(number: number): MetricBatch {
  const points = Array.from({ length: POINTS }, (_, i) => [{ series: `b${number}/p${i}` }, 1] as const);
  return batchOf([[{ name: 's' }, [counter('c', points, { temporality: AggregationTemporality.DELTA })]]]);
}

/** Exports as a reader does: one batch after the other; what is still owed again, until it is delivered or refused. */
async function drive(exporter: PushMetricExporter): Promise<void> {
  for (let number = 0; number < BATCHES; number++) {
    let owed = batch(number);
    for (let attempt = 0; owed.pointCount > 0; attempt++) {
      if (attempt > 100) throw new Error('never delivered');
      const { error } = await simulated(send(exporter, owed));
      if (error === undefined || !(error as ExportError).retryable) break;
      owed = (error as ExportError).undelivered ?? owed;
      await vi.advanceTimersByTimeAsync(1_000);
    }
  }
  for (let attempt = 0; !(await isFlushed(exporter)); attempt++) {
    if (attempt > 1_000) throw new Error('never flushed');
    await vi.advanceTimersByTimeAsync(1_000);
  }
  await simulated(exporter.shutdown());
  await vi.advanceTimersByTimeAsync(LONGEST_MILLIS);
}

async function holds(nesting: Nesting, strictness: Strictness): Promise<void> {
  const { exporter, check } = build({ kind: 'logging', inner: nesting }, strictness);
  await drive(exporter);
  for (let number = 0; number < BATCHES; number++) {
    for (let i = 0; i < POINTS; i++) check(`b${number}/p${i}`);
  }
  expect(vi.getTimerCount(), 'timers left').toBe(0);
  expect(await send(exporter)).toMatchObject({ error: { code: 'SHUTDOWN' } });
}

describe('whatever is nested in whatever', () => {
  captureLogs();
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const ALL = ['retry', 'logging', 'filter', 'timeout', 'multi', 'fallback'] as const;
  const runs = { numRuns: 300 };

  test('faults that are told at once: each point is delivered once, or refused', async () => {
    // A fallback cannot know what became of what was given up on.
    const kinds = ALL.filter((kind) => kind !== 'timeout');
    const property = fc.asyncProperty(nestings(quickFault, kinds), (nesting) =>
      holds(nesting, { isExact: true, maxBacklogPoints: 2 * POINTS }),
    );
    await fc.assert(property, runs);
  });

  test('exporters that are slow, without a fallback: each point is delivered once, or refused', async () => {
    const kinds = ALL.filter((kind) => kind !== 'fallback');
    const faults = fc.oneof(slowFault, quickFault);
    const property = fc.asyncProperty(nestings(faults, kinds), (nesting) =>
      holds(nesting, { isExact: true, maxBacklogPoints: Infinity }),
    );
    await fc.assert(property, runs);
  });

  test('exporters that are slow, with a fallback: each point is delivered at least once, or refused', async () => {
    const faults = fc.oneof(slowFault, quickFault);
    const property = fc.asyncProperty(nestings(faults, ALL), (nesting) =>
      holds(nesting, { isExact: false, maxBacklogPoints: 2 * POINTS }),
    );
    await fc.assert(property, runs);
  });

  // A queue waits for the disk, in real time.
  const fewRuns = { numRuns: 60 };
  const QUEUES = ['queue', 'retry', 'timeout', 'multi', 'filter'] as const;

  test('queues on disk, without a fallback: each point is delivered once, or refused', async () => {
    const faults = fc.oneof(slowFault, quickFault);
    const property = fc.asyncProperty(nestings(faults, QUEUES), (inner) =>
      holds({ kind: 'queue', inner }, { isExact: true, maxBacklogPoints: Infinity }),
    );
    await fc.assert(property, fewRuns);
  }, 60_000);

  test('queues on disk, with a fallback: each point is delivered at least once, or refused', async () => {
    const faults = fc.oneof(slowFault, quickFault);
    const property = fc.asyncProperty(nestings(faults, [...QUEUES, 'fallback']), (inner) =>
      holds(inner, { isExact: false, maxBacklogPoints: 2 * POINTS }),
    );
    await fc.assert(property, fewRuns);
  }, 60_000);
});
