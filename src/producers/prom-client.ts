// Registries of `prom-client` and `@prometheus-io/client` as a source of metrics for OpenTelemetry's readers, so that a
// service can move one metric at a time.
import { bounded } from '../data/bounded.ts';
import { callTimeout } from '../data/call-timeout.ts';
import { hasMethods } from '../data/checked-options.ts';
import { report, textOf } from '../data/diagnostics.ts';
import { MetricBatch, type MetricColumns } from '../data/metric-batch.ts';
import { PRODUCER_TIMEOUT_MILLIS } from '../data/metric-producers.ts';
import { optionChecks } from '../data/option-checks.ts';
import type { CollectionResult, MetricCollectOptions, MetricProducer } from '../data/reader.ts';
import { resourceFromAttributes } from '../data/resource.ts';

import { type Conversion, converted } from './metric-conversion.ts';
import { type InTime, openRegistry, type PromClientRegistry } from './prom-client-registry.ts';
import { type ReadingTime, SeriesMemory } from './series.ts';
import { turns } from './turns.ts';

export type { PromClientRegistry } from './prom-client-registry.ts';

export const COUNTERS_WITHOUT_TOTAL = ['keep-name', 'keep-type'] as const;

export const SUMMARY_FORMS = ['summaries', 'gauges'] as const;

export interface PromClientOptions {
  /**
   * What becomes of a counter whose name the registry shows without `_total`. Prometheus exporters end the name of every
   * monotonic sum with it, so either the name or the type changes. Default `keep-name`, for the sake of dashboards and
   * alerts: it goes out as a sum that is not said to be monotonic, which Prometheus shows as a gauge. With `keep-type`
   * it goes out as a counter, and Prometheus shows it with `_total`.
   */
  counterWithoutTotal?: (typeof COUNTERS_WITHOUT_TOTAL)[number];
  /**
   * What becomes of summaries. Default `summaries`, which all exporters of this package write as such. Those of
   * OpenTelemetry's packages know none and leave them out: for them there is `gauges`, a gauge with the attribute
   * `quantile` and two sums that are not said to be monotonic, `<name>_sum` and `<name>_count`.
   */
  summaries?: (typeof SUMMARY_FORMS)[number];
  /**
   * Name of the instrumentation scope. Default none, so that series arrive with exactly the labels that they had: with
   * one, Prometheus exporters add a label `otel_scope_name`.
   */
  scopeName?: string;
}

/** Of the time that the reader waits, what the client's `collect` functions may take; the rest is for the conversion. */
const COLLECT_SHARE = 0.8;

const { demand, demandObject, demandNothing } = optionChecks('promClientProducer');

/**
 * Give it to a reader's `metricProducers`.
 *
 * @throws ConfigError naming what cannot work
 */
export function promClientProducer(
  registries: PromClientRegistry | readonly PromClientRegistry[],
  options: PromClientOptions = {},
): MetricProducer {
  const all = [registries].flat() as PromClientRegistry[];
  demand(
    all.length > 0 && all.every((registry) => hasMethods(registry, 'getMetricsAsJSON')),
    'registries',
    registries,
    'a registry of prom-client, such as its `register`, or a list of them',
  );
  demandObject('options', options);
  const { counterWithoutTotal = 'keep-name', summaries = 'summaries', scopeName = '', ...unknown } = options;
  demandNothing(unknown);
  demand(
    COUNTERS_WITHOUT_TOTAL.includes(counterWithoutTotal),
    'counterWithoutTotal',
    counterWithoutTotal,
    COUNTERS_WITHOUT_TOTAL.join(' or '),
  );
  demand(SUMMARY_FORMS.includes(summaries), 'summaries', summaries, SUMMARY_FORMS.join(' or '));
  demand(typeof scopeName === 'string', 'scopeName', scopeName, 'a text');

  const sources = all.map((registry): Source => ({ registry, memories: new Map(), before: processStart() }));
  const keepsNames = counterWithoutTotal === 'keep-name';
  const resource = resourceFromAttributes({});
  const toldNames = new Set<string>();
  let readingCount = 0;

  async function collect(callOptions?: MetricCollectOptions): Promise<CollectionResult> {
    const inTime = collectTime(callOptions);
    const turn = turns();
    const metrics: MetricColumns[] = [];
    const errors: unknown[] = [];
    const changedNames: string[] = [];
    const opened = [];
    for (const source of sources) {
      opened.push({ source, ...(await openRegistry(source.registry, inTime, turn)) });
    }
    for (const { source, addsTotal, defaultLabels, readings } of opened) {
      const first = { number: readingCount, time: now() };
      const failures = errors.length;
      for await (const metric of readings) {
        if (metric instanceof Error) {
          errors.push(metric);
          continue;
        }
        const conversion: Conversion = {
          keepsNames,
          keepsSummaries: summaries === 'summaries',
          addsTotal,
          defaultLabels,
          read: { number: readingCount++, time: now() },
          memoryOf: (name) => memoryIn(source, name),
          onCounterWithoutTotal(name) {
            if (!toldNames.has(name)) changedNames.push(name);
            toldNames.add(name);
          },
        };
        try {
          for (const _ of converted(metric, conversion, metrics)) await turn();
        } catch (cause) {
          const name = textOf(metric.name);
          errors.push(new Error(`the metric ${name} of prom-client is not exported in full`, { cause }));
        }
      }
      // What could not be read now is not gone.
      if (errors.length === failures) forgetUnread(source, first);
    }
    if (changedNames.length > 0) {
      report(
        'info',
        'prom-client:counters',
        `counters of prom-client without _total keep their names, so that Prometheus shows them as gauges: ${changedNames.join(', ')}`,
      );
    }
    return { resourceMetrics: new MetricBatch(resource, [{ scope: { name: scopeName }, metrics }]), errors };
  }

  return { collect };
}

interface Source {
  readonly registry: PromClientRegistry;
  /** By the name of the metric. */
  readonly memories: Map<string, SeriesMemory>;
  /** A metric that is read for the first time began after that. */
  before: bigint;
}

const now = () => BigInt(Date.now()) * 1_000_000n;

/** Nothing that is in the process counted before it. */
const processStart = () => BigInt(Math.round(performance.timeOrigin)) * 1_000_000n;

function memoryIn({ memories, before }: Source, name: string): SeriesMemory {
  let memory = memories.get(name);
  if (memory === undefined) {
    memory = new SeriesMemory(before);
    memories.set(name, memory);
  }
  return memory;
}

/** Ends a collection in which everything that the registry has was read. */
function forgetUnread(source: Source, { number, time }: ReadingTime): void {
  source.before = time;
  for (const [name, memory] of source.memories) if (memory.readNumber < number) source.memories.delete(name);
}

/** Bounds all of the client's `collect` functions together, so that one that hangs costs its metric alone. */
function collectTime(options: MetricCollectOptions | undefined): InTime {
  const timeoutMillis = COLLECT_SHARE * callTimeout('collect', options, PRODUCER_TIMEOUT_MILLIS);
  const began = performance.now();
  return (what, work) => {
    // 0 is no limit. What is there already is had even when the time is over.
    const left = timeoutMillis > 0 ? Math.max(1, timeoutMillis - (performance.now() - began)) : 0;
    return bounded(what, left, work);
  };
}
