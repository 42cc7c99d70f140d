// Cumulative points that a later batch says again, with a newer value: a backend misses nothing but resolution without them.
import { type AttributeSet, encodedForm } from '../../data/attribute-set.ts';
import { MetricBatch, type MetricColumns, type ScopeColumns } from '../../data/metric-batch.ts';
import { AggregationTemporality, DataPointType, type InstrumentationScope } from '../../data/metric-data.ts';
import type { Resource } from '../../data/resource.ts';
import { selectPoints } from '../../data/select-points.ts';

/** Gives the part of an older batch that `newest` does not supersede. A point of another start is another series. */
export class Superseding {
  readonly #resource: string;
  /** By metric: the series, each with its start. */
  readonly #known = new Map<string, Set<string>>();

  /** Yields between two steps. */
  static *of(newest: MetricBatch): Generator<void, Superseding> {
    const superseding = new Superseding(newest.resource);
    for (const { scope, metrics } of newest.scopeMetrics) {
      for (const metric of metrics) {
        if (metric.aggregationTemporality !== AggregationTemporality.CUMULATIVE) continue;
        const key = metricKey(scope, metric);
        const series = superseding.#known.get(key) ?? new Set();
        superseding.#known.set(key, series);
        for (let i = 0; i < metric.length; i++) {
          series.add(seriesKey(metric, i));
          if (i % 256 === 0) yield;
        }
      }
    }
    return superseding;
  }

  private constructor(resource: Resource) {
    this.#resource = resourceKey(resource);
  }

  /** Yields between two steps. */
  *rest(older: MetricBatch): Generator<void, MetricBatch> {
    if (resourceKey(older.resource) !== this.#resource) return older;
    const scopes: ScopeColumns[] = [];
    for (const { scope, metrics } of older.scopeMetrics) {
      const own: MetricColumns[] = [];
      for (const metric of metrics) {
        const left = yield* this.#metricRest(scope, metric);
        if (left !== undefined) own.push(left);
      }
      if (own.length > 0) scopes.push({ scope, metrics: own });
    }
    return new MetricBatch(older.resource, scopes);
  }

  *#metricRest(
    scope: InstrumentationScope,
    metric: MetricColumns,
  ): Generator<void, MetricColumns | undefined> {
    const known = this.#known.get(metricKey(scope, metric));
    if (known === undefined || metric.aggregationTemporality !== AggregationTemporality.CUMULATIVE) {
      return metric;
    }
    const rows = new Uint32Array(metric.length);
    let count = 0;
    for (let i = 0; i < metric.length; i++) {
      if (!known.has(seriesKey(metric, i))) rows[count++] = i;
      if (i % 256 === 0) yield;
    }
    return count === 0 ? undefined : selectPoints(metric, rows.subarray(0, count));
  }
}

const contentKey = encodedForm(({ keys, values }: AttributeSet) =>
  JSON.stringify([keys, values.map(distinct)]),
);

function resourceKey({ attributes, schemaUrl }: Resource): string {
  const keys = Object.keys(attributes).sort();
  return JSON.stringify([schemaUrl, keys, keys.map((key) => distinct(attributes[key]))]);
}

function metricKey(scope: InstrumentationScope, { descriptor, dataPointType }: MetricColumns): string {
  const { name, version, schemaUrl, attributes = {} } = scope;
  const scopeAttributes = Object.entries(attributes).map(([key, value]) => [key, distinct(value)]);
  const metric = [descriptor.name, descriptor.unit, descriptor.valueType, dataPointType];
  return JSON.stringify([name, version, schemaUrl, scopeAttributes, ...metric]);
}

/** The start of a gauge means nothing. */
function seriesKey(metric: MetricColumns, i: number): string {
  const start = metric.dataPointType === DataPointType.GAUGE ? 0n : metric.startTimes[i]!;
  return `${start} ${contentKey(metric.attributes[i]!)}`;
}

/** JSON has no NaN and no bigint, and a number must not look like a text, nor a list like what is in it. */
function distinct(value: unknown): unknown {
  if (Array.isArray(value)) return { list: value.map(distinct) };
  return typeof value === 'number' || typeof value === 'bigint' ? `n${value}` : [value];
}
