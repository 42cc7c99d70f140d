// The ways to deliver to a Collector, under one roof.
import { otlpGrpc } from '../../../src/exporters/otlp-grpc.ts';
import { otlpHttp } from '../../../src/exporters/otlp-http.ts';
import type { OtlpOptions } from '../../../src/exporters/otlp-options.ts';
import type { HeadersOption } from '../../../src/exporters/request-headers.ts';
import type { PushMetricExporter } from '../../../src/index.ts';
import type { TlsOptions } from '../../../src/net/tls.ts';
import type { Collector } from './collector.ts';

/** Options that mean the same to all. */
export interface SharedOptions extends OtlpOptions {
  compression?: 'none' | 'gzip';
  tls?: TlsOptions;
  headers?: HeadersOption;
}

export interface Transport {
  readonly name: string;
  portOf(collector: Collector): number;
  /** One that sends to these ports of `localhost`; several are endpoints to fail over to. */
  make(ports: number | number[], options?: SharedOptions): PushMetricExporter;
}

/** Quick enough for tests, in place of seconds. */
const RETRY = { initialIntervalMillis: 20, maxIntervalMillis: 100, maxElapsedTimeMillis: 0 };

const http = (encoding: 'protobuf' | 'json'): Transport => ({
  name: `http/${encoding}`,
  portOf: ({ httpPort }) => httpPort,
  make: (ports, options) =>
    otlpHttp({ retry: RETRY, ...options, encoding, ...addresses(ports, options, '/v1/metrics') }),
});

export const TRANSPORTS: Transport[] = [
  {
    name: 'grpc',
    portOf: ({ grpcPort }) => grpcPort,
    make: (ports, options) => otlpGrpc({ retry: RETRY, ...options, ...addresses(ports, options, '') }),
  },
  http('protobuf'),
  http('json'),
];

function addresses(ports: number | number[], options: SharedOptions | undefined, path: string) {
  const address = (port: number) => ({
    url: `${options?.tls ? 'https' : 'http'}://localhost:${port}${path}`,
  });
  return Array.isArray(ports) ? { endpoints: ports.map(address) } : address(ports);
}
