// Push exporters as the environment names and configures them (OpenTelemetry specification, "Exporter selection").
import type { PushMetricExporter } from '../data/exporter.ts';
import { temporalityPreference } from '../data/temporality-preference.ts';
import { ConsoleMetricExporter } from '../exporters/console.ts';
import { otlpFile } from '../exporters/otlp-file.ts';
import { type DeferredDefinition, deferredExporter } from './deferred-exporter.ts';
import type { Environment } from './environment.ts';
import {
  type OtlpSelectors,
  otlpGrpcSettings,
  otlpHttpSettings,
  otlpProtocol,
  otlpSelectors,
} from './otlp-environment.ts';

export const PUSH_EXPORTERS = ['otlp', 'otlp/stdout', 'console'] as const;

export type PushExporterName = (typeof PUSH_EXPORTERS)[number];

export function environmentExporter(name: PushExporterName, env: Environment): PushMetricExporter {
  switch (name) {
    case 'otlp':
      return otlpOf(env);
    case 'otlp/stdout':
      return otlpFile(otlpSelectors(env));
    case 'console':
      return new ConsoleMetricExporter();
  }
}

/** The variables are read now, whenever the modules are loaded. */
function otlpOf(env: Environment): PushMetricExporter {
  const protocol = otlpProtocol(env);
  if (protocol === 'grpc') {
    const settings = otlpGrpcSettings(env);
    return deferredExporter(definition('otlp_grpc_metric_exporter', settings), async () => {
      const { otlpGrpc } = await import('../exporters/otlp-grpc.ts');
      return otlpGrpc(settings);
    });
  }
  const settings = otlpHttpSettings(env);
  const encoding = protocol === 'http/json' ? 'json' : 'protobuf';
  const type = encoding === 'json' ? 'otlp_http_json_metric_exporter' : 'otlp_http_metric_exporter';
  return deferredExporter(definition(type, settings), async () => {
    const { otlpHttp } = await import('../exporters/otlp-http.ts');
    return otlpHttp({ ...settings, encoding });
  });
}

function definition(
  componentType: string,
  { temporality = 'cumulative', aggregation }: OtlpSelectors,
): DeferredDefinition {
  return {
    name: 'the OTLP exporter of the environment',
    componentType,
    selectAggregationTemporality: temporalityPreference(temporality),
    selectAggregation: aggregation,
  };
}
