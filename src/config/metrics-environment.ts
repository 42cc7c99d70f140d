// What the environment says about metrics as a whole (OpenTelemetry specification, "Metrics SDK configuration" and "Exporter
// selection"). Settings in code and in a file come before it.
import { EXEMPLAR_FILTERS } from '../sdk/exemplars/exemplar-filter.ts';
import {
  type Environment,
  listOf,
  millis,
  oneOf,
  readVariable,
  type ValueKind,
  warnOf,
} from './environment.ts';
import { PUSH_EXPORTERS } from './environment-exporters.ts';
import { hasOtlpEndpoint } from './otlp-environment.ts';
import type { MetricsConfig } from './schema.ts';

/** Settings by their variables; those that are not set, or not usable, are undefined. */
export function metricsEnvironment(env: Environment) {
  return {
    exportInterval: readVariable(env, ['OTEL_METRIC_EXPORT_INTERVAL'], millis(1)),
    exportTimeout: readVariable(env, ['OTEL_METRIC_EXPORT_TIMEOUT'], millis(0)),
    exemplarFilter: readVariable(env, ['OTEL_METRICS_EXEMPLAR_FILTER'], oneOf(EXEMPLAR_FILTERS)),
  } satisfies MetricsConfig;
}

const host: ValueKind<string> = { parse: (text) => text, format: 'a host name or an address' };
const port: ValueKind<number> = {
  parse: (text) => (/^\d{1,5}$/.test(text) && Number(text) <= 65_535 ? Number(text) : undefined),
  format: 'a port from 0 to 65535',
};

/** Where the scrape endpoint listens, where there is one and no setting says it. */
export function prometheusEnvironment(env: Environment) {
  return {
    host: readVariable(env, ['OTEL_EXPORTER_PROMETHEUS_HOST'], host),
    port: readVariable(env, ['OTEL_EXPORTER_PROMETHEUS_PORT'], port),
  };
}

const EXPORTERS = [...PUSH_EXPORTERS, 'prometheus'] as const;

export type ExporterName = (typeof EXPORTERS)[number];

/**
 * The exporters that `OTEL_METRICS_EXPORTER` names, none for `none`, and undefined when it says nothing. OTLP, its default, needs an
 * address there: a program that names no destination at all would log a failure at each export, where nobody runs a receiver.
 */
export function exportersOfEnvironment(env: Environment): readonly ExporterName[] | undefined {
  const variable = 'OTEL_METRICS_EXPORTER';
  const names = listOf(env[variable] ?? '');
  if (names.includes('none')) return [];
  const known = EXPORTERS.filter((name) => names.includes(name));
  if (known.length < names.length) {
    warnOf(
      variable,
      `${variable} is ${JSON.stringify(env[variable])}; of it ${known.join(' and ') || 'nothing'} is used. Use ${EXPORTERS.join(', ')} or none here, ` +
        'and pass other exporters to startMetrics',
    );
  }
  if (known.length > 0) return known;
  return names.length === 0 && hasOtlpEndpoint(env) ? ['otlp'] : undefined;
}
