// A gateway before a Collector that asks clients for a pause, which a Collector with these components never does.
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import {
  Client,
  credentials,
  Metadata,
  Server,
  ServerCredentials,
  type ServiceDefinition,
  type ServiceError,
  status,
  type UntypedServiceImplementation,
} from '@grpc/grpc-js';

export interface Gateway {
  readonly port: number;
  /** Answers the next request with this status and a pause of a whole number of seconds, then forwards again. */
  refuseOnce(status: number, retryAfterSeconds: number): void;
  stop(): void;
}

interface Refusal {
  readonly status: number;
  readonly retryAfterSeconds: number;
}

export async function startHttpGateway(targetPort: number): Promise<Gateway> {
  let refusal: Refusal | undefined;
  const server = createServer((incoming, outgoing) => {
    if (refusal) {
      outgoing.writeHead(refusal.status, { 'retry-after': String(refusal.retryAfterSeconds) });
      refusal = undefined;
      incoming.resume().on('end', () => outgoing.end());
      return;
    }
    const { method, url: path, headers } = incoming;
    const forwarded = request({ port: targetPort, host: '127.0.0.1', method, path, headers }, (answer) => {
      outgoing.writeHead(answer.statusCode!, answer.headers);
      answer.pipe(outgoing);
    });
    forwarded.on('error', () => outgoing.destroy());
    incoming.pipe(forwarded);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    refuseOnce: (code, retryAfterSeconds) => {
      refusal = { status: code, retryAfterSeconds };
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const PATH = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export';
const asIs = (message: Buffer) => message;

const SERVICE: ServiceDefinition = {
  export: {
    path: PATH,
    requestStream: false,
    responseStream: false,
    requestSerialize: asIs,
    requestDeserialize: asIs,
    responseSerialize: asIs,
    responseDeserialize: asIs,
  },
};

export async function startGrpcGateway(targetPort: number): Promise<Gateway> {
  let refusal: Refusal | undefined;
  const client = new Client(`127.0.0.1:${targetPort}`, credentials.createInsecure());
  const implementation: UntypedServiceImplementation = {
    export: (
      call: { request: Buffer },
      answer: (error: Partial<ServiceError> | null, response?: Buffer) => void,
    ) => {
      if (refusal) {
        const { status: code, retryAfterSeconds } = refusal;
        refusal = undefined;
        const metadata = new Metadata();
        metadata.set('grpc-status-details-bin', statusWithRetryInfo(code, retryAfterSeconds));
        answer({ code, details: 'come back later', metadata });
        return;
      }
      client.makeUnaryRequest(PATH, asIs, asIs, call.request, answer);
    },
  };
  const server = new Server();
  server.addService(SERVICE, implementation);
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return {
    port,
    refuseOnce: (code, retryAfterSeconds) => {
      refusal = { status: code, retryAfterSeconds };
    },
    stop: () => {
      client.close();
      server.forceShutdown();
    },
  };
}

/** A google.rpc.Status with a RetryInfo among its details; all lengths are below 128, which takes one byte. */
function statusWithRetryInfo(code: number, seconds: number): Buffer {
  const field = (number: number, bytes: Buffer) =>
    Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
  const varint = (number: number, value: number) => Buffer.from([number << 3, value]);
  const retryInfo = field(1, varint(1, seconds));
  const any = Buffer.concat([
    field(1, Buffer.from('type.googleapis.com/google.rpc.RetryInfo')),
    field(2, retryInfo),
  ]);
  return Buffer.concat([varint(1, code), field(3, any)]);
}

/** The refusals that ask for a pause. */
export const THROTTLING = {
  grpc: [status.RESOURCE_EXHAUSTED, status.UNAVAILABLE],
  http: [429, 503],
};
