// Sources of metrics beside the provider: collected with its own metrics and exported under its resource.
import { bounded } from './bounded.ts';
import { callTimeout } from './call-timeout.ts';
import { aList, hasMethods } from './checked-options.ts';
import { MetricBatch, type ScopeColumns } from './metric-batch.ts';
import type { CollectionResult, MetricCollectOptions, MetricProducer } from './reader.ts';
import { toBatch } from './to-batch.ts';

/** How long a producer may take when nobody says it: as long as observable callbacks. */
export const PRODUCER_TIMEOUT_MILLIS = 30_000;

export const METRIC_PRODUCERS = aList({
  holds: (value) => hasMethods(value, 'collect'),
  remedy: 'a metric producer, which has the method collect',
});

/** Collects from a provider and from further producers, all at once. Only the provider can make it fail. */
export async function collectAll(
  provider: MetricProducer,
  others: readonly MetricProducer[] = [],
  options?: MetricCollectOptions,
): Promise<CollectionResult> {
  const [own, ...foreign] = await Promise.all([
    provider.collect(options),
    ...others.map((other) => collectForeign(other, withoutMemory(options))),
  ]);
  if (foreign.length === 0) return own;
  return {
    resourceMetrics: new MetricBatch(
      own.resourceMetrics.resource,
      [toBatch(own.resourceMetrics).scopeMetrics, ...foreign.map((result) => result.scopeMetrics)].flat(),
    ),
    errors: [own, ...foreign].flatMap((result) => result.errors),
  };
}

/** Others may keep what they gave, or go on filling it when we have long given up waiting: it is not the owner's to use again. */
function withoutMemory(options: MetricCollectOptions | undefined): MetricCollectOptions | undefined {
  if (options?.memory === undefined) return options;
  const { memory: _, ...others } = options;
  return others;
}

/** Whatever another producer does, throwing at once included, the provider's own metrics are exported. */
async function collectForeign(
  producer: MetricProducer,
  options: MetricCollectOptions | undefined,
): Promise<{ scopeMetrics: ScopeColumns[]; errors: unknown[] }> {
  try {
    const { resourceMetrics, errors } = await bounded(
      'a metric producer',
      callTimeout('collect', options, PRODUCER_TIMEOUT_MILLIS),
      () => producer.collect(options),
    );
    // Envelopes without points are not worth sending (OTLP).
    const scopeMetrics = toBatch(resourceMetrics)
      .scopeMetrics.map(({ scope, metrics }) => ({
        scope,
        metrics: metrics.filter((metric) => metric.length > 0),
      }))
      .filter(({ metrics }) => metrics.length > 0);
    return { scopeMetrics, errors };
  } catch (error) {
    return { scopeMetrics: [], errors: [error] };
  }
}
