// What a provider tells of its own readers and exporters, in the metrics that OpenTelemetry's semantic conventions
// define for SDKs. `docs/self-metrics.md` lists them.
import { type Attributes, ROOT_CONTEXT, ValueType } from '@opentelemetry/api';
import { EXPORT_ERROR_CODES, type ExportError } from '../data/errors.ts';
import type { InstrumentationScope } from '../data/metric-data.ts';
import { undeliveredPoints } from '../data/owed-points.ts';
import type { PipelineComponent, SelfMetrics } from '../data/reader.ts';
import { VERSION } from '../data/version.ts';
import type { Meter } from './meter.ts';

export const SELF_SCOPE: InstrumentationScope = { name: 'meterline', version: VERSION };

/** As the conventions have it: a count and a sum; distributions of what happens once a minute say little. */
const advice = { explicitBucketBoundaries: [] };

/** @param createMeter called once, when there is something to record */
export function selfMetrics(createMeter: () => Meter): SelfMetrics {
  const counts = new Map<string, number>();
  const errorType = errorTypes();
  const withError = (own: Attributes, error: unknown): Attributes =>
    error === undefined ? own : { ...own, 'error.type': errorType(error) };
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
            const { delivered, refused, failed } = outcomeOf(points, error);
            if (delivered > 0) exported.add(delivered, own, ROOT_CONTEXT);
            if (refused > 0) exported.add(refused, { ...own, 'error.type': REFUSED }, ROOT_CONTEXT);
            if (failed > 0) exported.add(failed, withError(own, error), ROOT_CONTEXT);
            const type =
              failed === 0 && refused > 0 ? { ...own, 'error.type': REFUSED } : withError(own, error);
            operations.record(elapsed(), type, ROOT_CONTEXT);
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

/** How an export of so many points ended for them. Errors come from exporters of any maker, so nothing in them is trusted. */
function outcomeOf(points: number, error: unknown): { delivered: number; refused: number; failed: number } {
  if (error === undefined) return { delivered: points, refused: 0, failed: 0 };
  const undelivered = undeliveredPoints(error, points)?.pointCount;
  const refused = refusedOf(error, points - (undelivered ?? 0));
  if (undelivered === undefined && refused === undefined) return { delivered: 0, refused: 0, failed: points };
  const failed = undelivered ?? 0;
  return { delivered: points - failed - (refused ?? 0), refused: refused ?? 0, failed };
}

/** How many of so many points the receiver refused for good, when it took the others. */
function refusedOf(error: unknown, points: number): number | undefined {
  const { rejectedDataPoints: refused } = parts(error);
  return Number.isInteger(refused) && (refused as number) > 0
    ? Math.min(refused as number, points)
    : undefined;
}

/** Semantic conventions, `error.type`: where there is nothing better to say of points that were refused. */
const REFUSED = 'rejected';
/** And where there is no class of errors that many have in common. */
const OTHER = '_OTHER';

const CODES: ReadonlySet<unknown> = new Set(EXPORT_ERROR_CODES);
/** How many classes of errors a provider tells apart; an exporter may give each of its errors a name of its own. */
const MAX_NAMES = 20;
const NAME = /^[A-Za-z_$][\w$.]{0,63}$/;

/** From an error to one of few texts: a code of ours, else the name of the error's class. */
function errorTypes(): (error: unknown) => string {
  const names = new Set<string>();
  return (error) => {
    const { code, cause } = parts(error);
    // Whatever an exporter threw is the cause of an error of ours, and says more than its code.
    const { code: innerCode, name } =
      code === 'INTERNAL' && cause !== undefined ? parts(cause) : parts(error);
    if (CODES.has(innerCode)) return innerCode as string;
    const other = CODES.has(code) ? (code as string) : OTHER;
    if (typeof name !== 'string' || name === 'Error' || !NAME.test(name)) return other;
    if (names.size < MAX_NAMES) names.add(name);
    return names.has(name) ? name : other;
  };
}

function parts(error: unknown): {
  code?: unknown;
  name?: unknown;
  cause?: unknown;
  rejectedDataPoints?: unknown;
} {
  try {
    const { code, name, cause, rejectedDataPoints } = Object(error) as Partial<ExportError>;
    return { code, name, cause, rejectedDataPoints };
  } catch {
    return {};
  }
}
