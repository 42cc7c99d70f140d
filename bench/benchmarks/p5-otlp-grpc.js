import { otlpBenchmark } from '../otlp-export.js';

const address = ({ grpc }) => `http://127.0.0.1:${grpc}`;

export default otlpBenchmark({
  id: 'P5-otlp-grpc',
  transport: 'OTLP over gRPC',
  rival: '@opentelemetry/exporter-metrics-otlp-grpc',
  async ours(ports, compression) {
    const { otlpGrpc } = await import('../../dist/exporters/otlp-grpc.js');
    return otlpGrpc({ url: address(ports), compression });
  },
  async theirs(ports, compression) {
    const { OTLPMetricExporter } = await import('@opentelemetry/exporter-metrics-otlp-grpc');
    return new OTLPMetricExporter({ url: address(ports), compression });
  },
});
