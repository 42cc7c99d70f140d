import { otlpBenchmark } from '../otlp-export.js';

const address = ({ http }) => `http://127.0.0.1:${http}/v1/metrics`;

export default otlpBenchmark({
  id: 'P5-otlp-http',
  transport: 'OTLP over HTTP, protobuf',
  rival: '@opentelemetry/exporter-metrics-otlp-proto',
  async ours(ports, compression) {
    const { otlpHttp } = await import('../../dist/exporters/otlp-http.js');
    return otlpHttp({ url: address(ports), compression });
  },
  async theirs(ports, compression) {
    const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-proto');
    return new OTLPMetricExporter({ url: address(ports), compression });
  },
});
