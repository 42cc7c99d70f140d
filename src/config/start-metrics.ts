// One call from settings to a running provider.
import {
  type MeterProvider as ApiMeterProvider,
  DiagConsoleLogger,
  DiagLogLevel,
  diag,
  metrics,
} from '@opentelemetry/api';
import { report, textOf } from '../data/diagnostics.ts';
import { ConfigError } from '../data/errors.ts';
import type { ReaderCallOptions } from '../data/reader.ts';
import { jsonFile } from '../exporters/json-file.ts';
import { PrometheusMetricReader } from '../exporters/prometheus.ts';
import { MeterProvider } from '../sdk/meter-provider.ts';
import { PeriodicExportingMetricReader } from '../sdk/readers/periodic-exporting-metric-reader.ts';
import { detectResource } from './detect-resource.ts';
import type { Environment } from './environment.ts';
import { environmentExporter, PUSH_EXPORTERS } from './environment-exporters.ts';
import { loadConfig } from './load-config.ts';
import { exportersOfEnvironment, metricsEnvironment, prometheusEnvironment } from './metrics-environment.ts';
import { onProcessEnd } from './process-end.ts';
import { listenPersistently } from './prometheus-listener.ts';
import type { MetricsConfig, ResolvedConfig } from './schema.ts';

export interface StartMetricsOptions extends MetricsConfig {
  /** A YAML file with the same settings under `metrics:`, in snake_case. Settings in code win. */
  configFile?: string;
}

export interface MetricsHandle extends AsyncDisposable {
  /** Also registered as the global provider of `@opentelemetry/api`. */
  readonly meterProvider: MeterProvider;
  /** The scrape endpoint, when one was configured. */
  readonly prometheus: PrometheusMetricReader | undefined;
  /**
   * Exports what was recorded so far. When it settles nothing is under way any more, so that a function may be frozen. A
   * failure is logged, never thrown.
   */
  forceFlush(options?: ReaderCallOptions): Promise<void>;
  /** Exports for the last time and frees everything. Once; a failure is logged, never thrown. */
  shutdown(options?: ReaderCallOptions): Promise<void>;
}

/** On `globalThis`, so that two copies of this package in one process find each other. */
const STARTED = Symbol.for('meterline.started');
const started = globalThis as { [STARTED]?: MetricsHandle };

/**
 * Starts metrics for this process: resource, exporters, readers and provider from settings, registered with
 * `@opentelemetry/api`. Once it has returned, nothing that goes wrong reaches the caller: it is logged through
 * `diag`, to the console if no logger is set. Settings in code win over those in a file, and these over the environment's.
 *
 * A second call in the same process changes nothing and returns the handle of the first.
 *
 * @throws ConfigError when a setting is wrong; nothing has been started or registered then
 */
export function startMetrics(options: StartMetricsOptions = {}): MetricsHandle {
  ensureLogger();
  const running = started[STARTED];
  if (running) {
    report(
      'warn',
      'second-start',
      'startMetrics was called again; the metrics already running stay as they are',
    );
    return running;
  }
  if (typeof options !== 'object' || options === null) {
    throw new ConfigError(
      `startMetrics got ${textOf(options)}; pass an object, such as { configFile: 'config.yaml' }`,
    );
  }
  const { configFile, ...code } = options;
  const config = loadConfig(configFile, code, metricsEnvironment(process.env));
  // Only where no setting names a destination: what code and files say comes first.
  const named = hasDestination(config) ? undefined : exportersOfEnvironment(process.env);
  if (named?.includes('prometheus')) config.prometheus = true;

  const { metricProducers } = config;
  const prometheus =
    config.prometheus === false ? undefined : new PrometheusMetricReader({ metricProducers });
  const exporters = [
    ...(config.jsonFilePath === undefined
      ? []
      : [
          jsonFile({
            path: config.jsonFilePath,
            timeoutMillis: config.exportTimeout || Number.POSITIVE_INFINITY,
          }),
        ]),
    ...PUSH_EXPORTERS.filter((name) => named?.includes(name)).map((name) =>
      environmentExporter(name, process.env),
    ),
    ...config.exporters,
  ];
  const periodic = exporters.map(
    (exporter) =>
      new PeriodicExportingMetricReader({
        exporter,
        exportIntervalMillis: config.exportInterval,
        exportTimeoutMillis: config.exportTimeout,
        metricProducers,
      }),
  );
  const readers = [...periodic, ...(prometheus ? [prometheus] : []), ...config.readers];
  if (readers.length === 0 && named === undefined) {
    report(
      'warn',
      'no-reader',
      'metrics go nowhere: set jsonFilePath, prometheus, exporters or readers, or OTEL_METRICS_EXPORTER=none',
    );
  }
  const meterProvider = new MeterProvider({
    resource: detectResource(config),
    readers,
    exemplarFilter: config.exemplarFilter,
    selfMetrics: config.selfMetrics,
  });

  if (!metrics.setGlobalMeterProvider(meterProvider)) {
    report(
      'error',
      'global-provider',
      'another MeterProvider is already registered, so libraries will not record here; start Meterline first',
    );
  }
  const stopListening =
    prometheus && listenPersistently(prometheus, scrapeAddress(config.prometheus, process.env));
  const removeHandlers = onProcessEnd(
    {
      signals: config.handleSignals,
      beforeExit: config.handleBeforeExit,
      uncaughtExceptions: config.handleUncaughtExceptions,
    },
    (options) => handle.forceFlush(options),
    (options) => handle.shutdown(options),
  );

  let ended: Promise<void> | undefined;
  const handle: MetricsHandle = {
    meterProvider,
    prometheus,
    forceFlush: (options) => logged('forceFlush', meterProvider.forceFlush(options)),
    shutdown(options) {
      ended ??= (async () => {
        // First, and not awaited: a module that hot reload evaluates anew starts at once, and must not get metrics
        // that are ending.
        unregister(meterProvider);
        if (started[STARTED] === handle) delete started[STARTED];
        removeHandlers();
        stopListening?.();
        await logged('shutdown', meterProvider.shutdown(options));
      })();
      return ended;
    },
    [Symbol.asyncDispose]: () => handle.shutdown(),
  };
  started[STARTED] = handle;
  return handle;
}

function hasDestination({ jsonFilePath, prometheus, exporters, readers }: ResolvedConfig): boolean {
  return jsonFilePath !== undefined || prometheus !== false || exporters.length + readers.length > 0;
}

function scrapeAddress(setting: ResolvedConfig['prometheus'], env: Environment) {
  const { host, port, path } = typeof setting === 'object' ? setting : {};
  const fallback = prometheusEnvironment(env);
  return { host: host ?? fallback.host, port: port ?? fallback.port, path };
}

/** OpenTelemetry's `diag` is silent until a logger is set, and silence is how outages of metrics go unnoticed. */
function ensureLogger(): void {
  const api = (globalThis as Record<symbol, { diag?: unknown } | undefined>)[
    Symbol.for('opentelemetry.js.api.1')
  ];
  if (api?.diag === undefined) diag.setLogger(new DiagConsoleLogger(), DiagLogLevel.WARN);
}

function unregister(provider: ApiMeterProvider): void {
  if (metrics.getMeterProvider() === provider) metrics.disable();
}

async function logged(call: string, work: Promise<void>): Promise<void> {
  try {
    await work;
  } catch (error) {
    report('error', call, `${call}: ${error instanceof Error ? error.message : String(error)}`, error);
  }
}
