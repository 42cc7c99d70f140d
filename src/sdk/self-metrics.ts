// What a provider tells of its own readers and exporters, in the metrics that OpenTelemetry's semantic conventions
// define for SDKs. `docs/self-metrics.md` lists them.
import { type Attributes, ROOT_CONTEXT, ValueType } from '@opentelemetry/api';
import type { ExportError } from '../data/errors.ts';
import type { InstrumentationScope } from '../data/metric-data.ts';
import type { PipelineComponent, SelfMetrics } from '../data/reader.ts';
import { VERSION } from '../data/version.ts';
import type { Meter } from './meter.ts';

export const SELF_SCOPE: InstrumentationScope = { name: 'meterline', version: VERSION };

/** As the conventions have it: a count and a sum; distributions of what happens once a minute say little. */
const advice = { explicitBucketBoundaries: [] };

/** @param createMeter called once, when there is something to record */
export function selfMetrics(createMeter: () => Meter): SelfMetrics {
  const counts = new Map<string, number>();
  let instruments: ReturnType<typeof createInstruments> | undefined;
  const use = () => (instruments ??= createInstruments(createMeter()));

  return {
    component(part) {
      const type = typeOf(part);
      const number = counts.get(type) ?? 0;
      counts.set(type, number + 1);
      const own = { 'otel.component.type': type, 'otel.component.name': `${type}/${number}` };
      return {
        collection() {
          const elapsed = stopwatch();
          return (error) => use().collections.record(elapsed(), withError(own, error), ROOT_CONTEXT);
        },
        operation(points) {
          const elapsed = stopwatch();
          // The root context: an export must not become an exemplar of the span that happened to flush.
          use().inFlight.add(points, own, ROOT_CONTEXT);
          return (error) => {
            const { inFlight, exported, operations } = use();
            inFlight.add(-points, own, ROOT_CONTEXT);
            const failed = error === undefined ? 0 : Math.min(points, refusedOf(error) ?? points);
            if (points > failed) exported.add(points - failed, own, ROOT_CONTEXT);
            if (failed > 0) exported.add(failed, withError(own, error), ROOT_CONTEXT);
            operations.record(elapsed(), withError(own, error), ROOT_CONTEXT);
          };
        },
      };
    },
  };
}

function createInstruments(meter: Meter) {
  const unit = '{data_point}';
  const valueType = ValueType.INT;
  return {
    collections: meter.createHistogram('otel.sdk.metric_reader.collection.duration', {
      description: 'The duration of the collect operation of the metric reader.',
      unit: 's',
      advice,
    }),
    inFlight: meter.createUpDownCounter('otel.sdk.exporter.metric_data_point.inflight', {
      description: 'The number of points passed to the exporter whose export has not ended.',
      unit,
      valueType,
    }),
    exported: meter.createCounter('otel.sdk.exporter.metric_data_point.exported', {
      description: 'The number of points whose export has ended, with or without success.',
      unit,
      valueType,
    }),
    operations: meter.createHistogram('otel.sdk.exporter.operation.duration', {
      description: 'The duration of an export, from its start to its end.',
      unit: 's',
      advice,
    }),
  };
}

/** In seconds. */
function stopwatch(): () => number {
  const start = performance.now();
  return () => (performance.now() - start) / 1_000;
}

function typeOf(part: PipelineComponent): string {
  if (part.componentType !== undefined) return part.componentType;
  const name = part.constructor?.name;
  return name && name !== 'Object' ? name : 'custom_metric_exporter';
}

function withError(own: Attributes, error: unknown): Attributes {
  return error === undefined ? own : { ...own, 'error.type': errorType(error) };
}

/** Few distinct values: a code, else the name of the error's class. */
function errorType(error: unknown): string {
  if (refusedOf(error) !== undefined) return 'rejected';
  const { code, name } = Object(error) as { code?: unknown; name?: unknown };
  if (typeof code === 'string') return code;
  return typeof name === 'string' && name !== 'Error' ? name : '_OTHER';
}

/** How many points the receiver refused for good, when it took the others. */
function refusedOf(error: unknown): number | undefined {
  return (error as Partial<ExportError> | null | undefined)?.rejectedDataPoints;
}
