import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { vi } from 'vitest';
import { binaryPath } from '../../../scripts/servers/go-servers.js';
import type { KeyAndCertificate } from '../../support/certificates.ts';
import { freePort } from '../../support/free-port.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { type ServerProcess, startServer } from './server-process.ts';

export interface CollectorOptions {
  /** Plain text when absent. */
  tls?: KeyAndCertificate & {
    /** The authority that signs the certificates which clients must show. They need none when absent. */
    clientCa?: string;
  };
  /** What clients must send as `Authorization: Bearer …`. */
  bearerToken?: string;
  /** Refuses data when it uses more memory than this. It needs about 20 MiB to be idle, so that 1 refuses everything. */
  memoryLimitMib?: number;
  /** Refuses larger requests, after decompression. Default 4 MiB for gRPC, 20 MiB for HTTP. */
  maxRequestMib?: number;
  /** gRPC connections are told to go away (GOAWAY) after this long; their calls may end. */
  maxConnectionAgeMillis?: number;
}

export interface Collector extends ServerProcess {
  readonly grpcPort: number;
  readonly httpPort: number;
  /** Ends what runs, in good order, and starts again. */
  restart(changes?: CollectorOptions & { newPorts?: boolean }): Promise<void>;
  /** Replaces its certificate while it runs; new connections get it. */
  replaceCertificate(certificate: KeyAndCertificate): void;
  /** All that it has answered with success, over all its lives, as the file exporter wrote it: OTLP JSON, one request each. */
  received(): Promise<OtlpRequest[]>;
}

/** OTLP JSON as far as the tests look into it. */
export interface OtlpRequest {
  resourceMetrics: {
    resource: { attributes?: OtlpAttribute[] };
    schemaUrl?: string;
    scopeMetrics: {
      scope: { name?: string; version?: string; attributes?: OtlpAttribute[] };
      schemaUrl?: string;
      metrics: OtlpMetric[];
    }[];
  }[];
}

export interface OtlpMetric {
  name: string;
  description?: string;
  unit?: string;
  gauge?: { dataPoints: OtlpPoint[] };
  sum?: { dataPoints: OtlpPoint[]; aggregationTemporality: number; isMonotonic?: boolean };
  histogram?: { dataPoints: OtlpPoint[]; aggregationTemporality: number };
  exponentialHistogram?: { dataPoints: OtlpPoint[]; aggregationTemporality: number };
}

export interface OtlpAttribute {
  key: string;
  value: Record<string, unknown>;
}

export interface OtlpPoint {
  attributes?: OtlpAttribute[];
  startTimeUnixNano?: string;
  timeUnixNano: string;
  [field: string]: unknown;
}

/** The scope of requests that only ask for what came before them. */
const MARKER = 'marker';

/** The OpenTelemetry Collector, with an OTLP receiver and a file exporter. */
export async function startCollector(initial: CollectorOptions = {}): Promise<Collector> {
  const folder = temporaryFolder();
  const path = (name: string) => join(folder, name);
  const output = path('received.jsonl');
  let options = initial;
  let grpcPort = await freePort();
  let httpPort = await freePort();
  const markerPort = await freePort();

  function writeCertificate({ cert, key }: KeyAndCertificate): void {
    writeFileSync(path('server.pem'), cert);
    writeFileSync(path('server-key.pem'), key);
  }

  const server = await startServer({
    command: binaryPath('collector'),
    args: () => {
      if (options.tls) writeCertificate(options.tls);
      if (options.tls?.clientCa) writeFileSync(path('client-ca.pem'), options.tls.clientCa);
      // JSON is YAML.
      writeFileSync(path('collector.yaml'), JSON.stringify(configuration()));
      return ['--config', path('collector.yaml')];
    },
    isReady: (log) =>
      log.includes('Everything is ready') &&
      // It starts to refuse once it has looked.
      (options.memoryLimitMib === undefined || log.includes('Refusing data')),
  });

  function configuration() {
    const { tls, bearerToken, memoryLimitMib, maxRequestMib, maxConnectionAgeMillis } = options;
    const shared = {
      ...(tls && {
        tls: {
          cert_file: path('server.pem'),
          key_file: path('server-key.pem'),
          reload_interval: '10ms',
          ...(tls.clientCa && { client_ca_file: path('client-ca.pem') }),
        },
      }),
      ...(bearerToken && { auth: { authenticator: 'bearertokenauth' } }),
    };
    return {
      ...(bearerToken && { extensions: { bearertokenauth: { token: bearerToken } } }),
      receivers: {
        otlp: {
          protocols: {
            grpc: {
              endpoint: `127.0.0.1:${grpcPort}`,
              ...shared,
              ...(maxRequestMib && { max_recv_msg_size_mib: maxRequestMib }),
              ...(maxConnectionAgeMillis && {
                keepalive: { server_parameters: { max_connection_age: `${maxConnectionAgeMillis}ms` } },
              }),
            },
            http: {
              endpoint: `127.0.0.1:${httpPort}`,
              ...shared,
              ...(maxRequestMib && { max_request_body_size: maxRequestMib * 1024 * 1024 }),
            },
          },
        },
        // Needs neither certificate nor token, and no memory limiter stands before it.
        'otlp/marker': { protocols: { http: { endpoint: `127.0.0.1:${markerPort}` } } },
      },
      processors: memoryLimitMib && {
        memory_limiter: { check_interval: '10ms', limit_mib: memoryLimitMib },
      },
      exporters: {
        file: { path: output, append: true, flush_interval: '5ms' },
        // One line a request in the log, for those who look why a test failed.
        debug: {},
      },
      service: {
        ...(bearerToken && { extensions: ['bearertokenauth'] }),
        telemetry: { metrics: { level: 'none' } },
        pipelines: {
          metrics: {
            receivers: ['otlp'],
            ...(memoryLimitMib && { processors: ['memory_limiter'] }),
            exporters: ['file', 'debug'],
          },
          'metrics/marker': { receivers: ['otlp/marker'], exporters: ['file'] },
        },
      },
    };
  }

  function requests(): OtlpRequest[] {
    if (!existsSync(output)) return [];
    const lines = readFileSync(output, 'utf8').split('\n');
    // What follows the last line end is a line that is being written.
    return lines.slice(0, -1).map((line) => JSON.parse(line) as OtlpRequest);
  }

  return {
    ...server,
    get grpcPort() {
      return grpcPort;
    },
    get httpPort() {
      return httpPort;
    },
    restart: async ({ newPorts, ...changes } = {}) => {
      await server.stop();
      options = { ...options, ...changes };
      if (newPorts) [grpcPort, httpPort] = [await freePort(), await freePort()];
      await server.start();
    },
    replaceCertificate: (certificate) => {
      options = { ...options, tls: { ...options.tls, ...certificate } };
      writeCertificate(certificate);
    },
    received: async () => {
      const marker = `${MARKER} ${randomUUID()}`;
      if (await sendMarker(markerPort, marker)) {
        // It writes in order, and to the file once in a while.
        const hasCome = () => requests().some((request) => scopeOf(request) === marker);
        await vi.waitUntil(hasCome, { timeout: 10_000, interval: 5 });
      }
      return requests().filter((request) => !scopeOf(request)?.startsWith(MARKER));
    },
  };
}

function scopeOf({ resourceMetrics }: OtlpRequest): string | undefined {
  return resourceMetrics[0]?.scopeMetrics[0]?.scope.name;
}

/** @returns whether there is a Collector to take it */
async function sendMarker(port: number, marker: string): Promise<boolean> {
  const metrics = [{ name: 'marker', gauge: { dataPoints: [{ timeUnixNano: '1', asInt: '1' }] } }];
  try {
    const response = await fetch(`http://127.0.0.1:${port}/v1/metrics`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ resourceMetrics: [{ scopeMetrics: [{ scope: { name: marker }, metrics }] }] }),
    });
    return response.ok;
  } catch {
    return false;
  }
}
