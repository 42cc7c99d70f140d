// Every setting of `startMetrics`, declared once: type, default, reason, and what is said when it is wrong.
// YAML has the same settings under `metrics:`, with snake_case names.
import type { AttributeValue } from '@opentelemetry/api';
import { z } from 'zod';
import type { PushMetricExporter } from '../data/exporter.ts';
import type { IMetricReader, MetricProducer } from '../data/reader.ts';
import { EXEMPLAR_FILTERS } from '../sdk/exemplars/exemplar-filter.ts';
import { DURATION_FORMAT, parseDuration } from './duration.ts';

/** The longest delay that a Node timer takes, about 24 days. */
const MAX_MILLIS = 2 ** 31 - 1;

const text = z.string('use a text').min(1, 'use a text that is not empty');

const duration = (min: number, options: { mayBeNever?: boolean } = {}) =>
  z.union([z.number(), z.string()], DURATION_FORMAT).transform((value, context) => {
    if (value === 'never' && options.mayBeNever) return Number.POSITIVE_INFINITY;
    const millis = typeof value === 'string' ? parseDuration(value) : value;
    if (millis !== undefined && millis >= min && millis <= MAX_MILLIS) return millis;
    const range = millis === undefined ? '' : `, from ${min} ms to ${MAX_MILLIS} ms`;
    context.addIssue({ code: 'custom', message: DURATION_FORMAT + range });
    return z.NEVER;
  });

const has = (value: unknown, ...methods: string[]) =>
  typeof value === 'object' &&
  value !== null &&
  methods.every((method) => typeof (value as Record<string, unknown>)[method] === 'function');

const attributeValue = z.custom<AttributeValue>(
  (value) =>
    ['string', 'number', 'boolean'].includes(typeof value) ||
    (Array.isArray(value) && value.every((item) => ['string', 'number', 'boolean'].includes(typeof item))),
  'use a text, a number, a boolean or a list of them',
);

export const metricsConfig = z.strictObject({
  /** `service.name` of the resource. Default `unknown_service:node`, the name that OpenTelemetry prescribes. */
  serviceName: text.optional(),
  /** `service.version` of the resource. */
  serviceVersion: text.optional(),
  /** `deployment.environment.name` of the resource, such as `dev` or `production`. */
  environment: text.optional(),
  /** Further attributes of the resource; they win over detected ones. */
  resourceAttributes: z.record(z.string(), attributeValue, 'use a map of names to values').optional(),
  /** Where to write metrics as JSON Lines; folders are created. Without it no file is written. */
  jsonFilePath: text.optional(),
  /**
   * Time from one export to the next, in milliseconds or as `10s`. Default 10 s: short enough to watch a service,
   * and a file grows by a few kilobytes a minute. Production services often use 30 to 60 s. With `never` there are no
   * timers, and what was recorded is exported by `forceFlush()` and `shutdown()` alone: for functions that are frozen between
   * invocations.
   */
  exportInterval: duration(1, { mayBeNever: true }).default(10_000),
  /** Time an export may take before it counts as failed; 0 for no limit. Default 5 s, half of the interval. */
  exportTimeout: duration(0).default(5_000),
  /**
   * A scrape endpoint for Prometheus: `true` for http://localhost:9464/metrics, or where to listen instead.
   * Default: none. Host and port are those of the OpenTelemetry specification.
   */
  prometheus: z
    .union(
      [
        z.boolean(),
        z.strictObject({
          host: text.optional(),
          port: z
            .int('use a port from 0 to 65535')
            .min(0, 'use a port from 0 to 65535')
            .max(65_535, 'use a port from 0 to 65535')
            .optional(),
          path: text.regex(/^\/[^?#\s]*$/, 'use a path that starts with "/", without a query').optional(),
        }),
      ],
      'use true, false or a map with host, port and path',
    )
    .default(false),
  /** Further exporters, each with a periodic reader of its own. */
  exporters: z
    .array(
      z.custom<PushMetricExporter>(
        (value) => has(value, 'export', 'forceFlush', 'shutdown'),
        'use an exporter, with the methods export, forceFlush and shutdown',
      ),
      'use a list of exporters',
    )
    .default([]),
  /** Further readers, used as they are. */
  readers: z
    .array(
      z.custom<IMetricReader>(
        (value) => has(value, 'setMetricProducer', 'collect', 'shutdown'),
        'use a reader, such as a PeriodicExportingMetricReader',
      ),
      'use a list of readers',
    )
    .default([]),
  /**
   * Further sources of metrics, such as a bridge to another library: collected by every reader that is made from these
   * settings. A reader of `readers` has its own.
   */
  metricProducers: z
    .array(
      z.custom<MetricProducer>(
        (value) => has(value, 'collect'),
        'use a metric producer, which has the method collect',
      ),
      'use a list of metric producers',
    )
    .default([]),
  /**
   * Which measurements may become exemplars, examples with the trace they were made in. Default `trace_based`: those
   * made in a sampled span, as specified. An exemplar also has the attributes that Views remove.
   */
  exemplarFilter: z.enum(EXEMPLAR_FILTERS, `use ${EXEMPLAR_FILTERS.join(', ')}`).default('trace_based'),
  /**
   * Whether the pipeline measures itself: collections, exports, points in flight and points lost. Default true: an
   * outage of metrics should show in metrics. See docs/self-metrics.md.
   */
  selfMetrics: z.boolean('use true or false').default(true),
  /**
   * Whether SIGTERM and SIGINT export what is left within 5 s and then end the process as they would have. An application
   * that listens to the signal itself keeps its metrics running, and calls `shutdown()` when it has drained.
   * Default false, because a handler changes what these signals do to the whole program.
   */
  handleSignals: z.boolean('use true or false').default(false),
  /**
   * Whether a process that has nothing left to do ends metrics first, within 5 s. It does not happen on `process.exit()`.
   * Default false, like the other handlers.
   */
  handleBeforeExit: z.boolean('use true or false').default(false),
  /**
   * Whether an uncaught exception, or a rejection that nobody handles, ends metrics within 5 s before it ends the process as
   * it would have. The application goes on meanwhile, in whatever state it is in. One that listens to
   * `uncaughtException` itself keeps its metrics running; they are flushed. Default false, because of that state.
   */
  handleUncaughtExceptions: z.boolean('use true or false').default(false),
});

/** What `startMetrics` accepts, beside `configFile`. */
export type MetricsConfig = z.input<typeof metricsConfig>;

/** The settings with defaults filled in and durations in milliseconds. */
export type ResolvedConfig = z.output<typeof metricsConfig>;
