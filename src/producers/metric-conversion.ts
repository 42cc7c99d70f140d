// One metric of the client as metrics of OpenTelemetry, under the names that its registry shows.
import { ValueType } from '@opentelemetry/api';
import { isObject } from '../data/checked-options.ts';
import { textOf } from '../data/diagnostics.ts';
import type { MetricColumns } from '../data/metric-batch.ts';
import type { MetricDescriptor } from '../data/metric-data.ts';
import { HistogramRows } from './histogram-rows.ts';
import { type NumberKind, NumberRows } from './number-rows.ts';
import type { RawMetric } from './prom-client-registry.ts';
import type { ReadingTime, SeriesMemory } from './series.ts';
import { isQuantile, SummaryRows } from './summary-rows.ts';

export interface Conversion {
  /** Whether a counter whose name has no `_total` keeps its name, and so cannot be told as one. */
  readonly keepsNames: boolean;
  /** Whether summaries go out as such, and not as gauges and sums. */
  readonly keepsSummaries: boolean;
  /** Whether the registry shows the samples of counters with `_total` behind their names. */
  readonly addsTotal: boolean;
  /** What every sample gets that has no label of the name. */
  readonly defaultLabels?: Readonly<Record<string, unknown>>;
  readonly read: ReadingTime;
  /** What is remembered of the series of that name. */
  memoryOf(name: string): SeriesMemory;
  /** Told of the counters that `keepsNames` is about. */
  onCounterWithoutTotal(name: string): void;
}

/** Samples converted before the event loop may have its turn: well below a millisecond. */
const SAMPLES_PER_STEP = 200;

/**
 * Adds to `metrics`; yields now and then.
 *
 * @throws Error when it is no metric, or not all of its series can be shown; `metrics` has the rest then
 */
export function* converted(
  metric: RawMetric,
  { keepsNames, keepsSummaries, addsTotal, defaultLabels, read, memoryOf, onCounterWithoutTotal }: Conversion,
  metrics: MetricColumns[],
): Generator<void, void> {
  const { name, type } = metric;
  if (typeof name !== 'string' || name === '') throw new Error('it has no name');
  const help = typeof metric.help === 'string' ? metric.help : '';
  const described = (shown: string): MetricDescriptor => ({
    name: shown,
    description: help,
    unit: '',
    valueType: ValueType.DOUBLE,
    ...metadataOf(type),
  });
  const memories = new Map<string, SeriesMemory>();
  const memory = (shown: string) => {
    let known = memories.get(shown);
    if (known === undefined) {
      known = memoryOf(shown);
      memories.set(shown, known);
    }
    return known;
  };
  const histogram = type === 'histogram' ? new HistogramRows(memory(name), read) : undefined;
  const summary = type === 'summary' && keepsSummaries ? new SummaryRows(memory(name), read) : undefined;
  const gathered = (histogram ?? summary)?.gathered;
  /** Everything else, by the name that it is shown under. */
  const numbers = new Map<string, NumberRows>();
  const rowsOf = (shown: string): NumberRows => {
    let rows = numbers.get(shown);
    if (rows === undefined) {
      const kind = numberKind(type, name, shown, keepsNames);
      if (kind === 'total' && type === 'counter') onCounterWithoutTotal(shown);
      rows = new NumberRows(kind, memory(shown), read);
      numbers.set(shown, rows);
    }
    return rows;
  };

  const isTotal = addsTotal && type === 'counter';
  const hasDefaults = Object.keys(defaultLabels ?? {}).length > 0;
  let count = 0;
  for (const sample of isObject(metric.values) ? metric.values : []) {
    if (++count % SAMPLES_PER_STEP === 0) yield;
    const shown: string = typeof sample.metricName === 'string' ? sample.metricName : name;
    const own = isObject(sample.labels) ? sample.labels : {};
    const labels = hasDefaults ? { ...defaultLabels, ...own } : own;
    const value = numberOf(sample.value);
    if (histogram !== undefined && shown === `${name}_bucket`)
      histogram.addBucket(labels, value, sample.exemplar);
    else if (summary !== undefined && shown === name && isQuantile(own.quantile))
      summary.addQuantile(labels, value);
    else if (gathered !== undefined && shown === `${name}_sum`) gathered.addSum(labels, value);
    else if (gathered !== undefined && shown === `${name}_count`) gathered.addCount(labels, value);
    else rowsOf(isTotal ? withTotal(shown) : shown).add(labels, value, sample.exemplar);
  }

  // Before samples of its name that are none of its own: of two metrics with a name Prometheus has the first.
  if (summary !== undefined) metrics.push(...(yield* summary.columns(described(name))));
  for (const [shown, rows] of numbers) {
    metrics.push(rows.columns(described(shown)));
    yield;
  }
  const histograms = yield* histogram?.columns(described(name)) ?? [];
  metrics.push(...(histograms?.metrics ?? []));
  for (const known of memories.values()) yield* known.end(read);
  if (histograms?.broken) {
    throw new Error(
      `${histograms.broken} of its series are no histogram: counts fall from a bucket to the next`,
    );
  }
  let repeated = gathered?.repeated ?? 0;
  for (const rows of numbers.values()) repeated += rows.repeated;
  if (repeated > 0) throw new Error(`${repeated} of its series are there twice, of which the first goes out`);
}

/** Where OpenMetrics adds `_total`, it has been taken from the name before. */
function withTotal(name: string): string {
  return `${name.replace(/_total$/, '')}_total`;
}

function numberKind(type: unknown, name: string, shown: string, keepsNames: boolean): NumberKind {
  if (type === 'counter') return keepsNames && !shown.endsWith('_total') ? 'total' : 'counter';
  // These are no counters, because those would get `_total` behind the name.
  if (type === 'summary' && shown === `${name}_sum`) return 'sum';
  if (type === 'summary' && shown === `${name}_count`) return 'total';
  return 'gauge';
}

/** What objects that are registered beside the clients' own metrics may say that they are, of which OpenTelemetry makes gauges. */
const GAUGE_TYPES = new Map<unknown, string>([
  ['untyped', 'unknown'],
  ['unknown', 'unknown'],
  ['info', 'info'],
  ['stateset', 'stateset'],
]);

function metadataOf(type: unknown): Pick<MetricDescriptor, 'metadata'> {
  const told = GAUGE_TYPES.get(type);
  return told === undefined ? {} : { metadata: { 'prometheus.type': told } };
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : Number(textOf(value));
}
