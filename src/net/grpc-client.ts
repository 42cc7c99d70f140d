// Unary calls over gRPC. The library underneath, an optional peer, is loaded here and nowhere else in exporters.
import { setMaxListeners } from 'node:events';
import type {
  ChannelCredentials,
  ChannelOptions,
  Client,
  Interceptor,
  ServiceError,
  StatusObject,
} from '@grpc/grpc-js';
import { textOf } from '../data/diagnostics.ts';
import { ExportError } from '../data/errors.ts';
import { SOCKETS_OPTION, tiedTarget } from './grpc-sockets.ts';
import type { GrpcTarget } from './grpc-target.ts';
import { maskSecrets } from './masked-answer.ts';

export type Grpc = typeof import('@grpc/grpc-js');

export interface GrpcClientOptions {
  target: GrpcTarget;
  /** Asked before each call; another `version` than before means a new connection for that call. */
  credentials(grpc: Grpc): Promise<{ version: number; make(): ChannelCredentials }>;
  channelOptions: ChannelOptions;
  interceptors: Interceptor[];
  /** Milliseconds after which a call gets a new connection; Infinity for never. */
  maxConnectionAgeMillis: number;
}

export interface GrpcCallOptions {
  /** Names in lower case; values in Base64 where the name ends in `-bin`, as they are on the wire. */
  metadata: Record<string, string>;
  /** Milliseconds since the Unix epoch; told to the server. Infinity for none. */
  deadline: number;
  signal: AbortSignal;
}

/** How a call ended; `code` is one of gRPC's status codes, 0 for success. */
export type GrpcAnswer =
  | { readonly code: 0; readonly body: Uint8Array }
  | {
      readonly code: number;
      readonly body?: undefined;
      /** Without the secrets of the metadata, as `statusDetails` is. */
      readonly details: string;
      /** `grpc-status-details-bin`: a google.rpc.Status. */
      readonly statusDetails: Uint8Array | undefined;
      /** Whether the server had begun to answer. A refusal that it makes up its mind about at once has no headers. */
      readonly hasHeaders: boolean;
    };

export interface GrpcClient {
  /** Rejects with an {@link ExportError} only where there is no status: grpc-js missing, or a call that cannot be made. */
  call(path: string, body: Uint8Array, options: GrpcCallOptions): Promise<GrpcAnswer>;
  /** Later calls open connections anew. */
  close(): void;
}

interface Connection {
  readonly client: Client;
  readonly sockets: AbortController;
  readonly credentialsVersion: number;
  readonly openedAt: number;
  calls: number;
  isRetired: boolean;
}

const OK = 0;
const DEADLINE_EXCEEDED = 4;
const TRANSPARENT = (message: Buffer): Buffer => message;

/**
 * Keeps one connection (with `round_robin`: one to each address) and replaces it when that is due: for other
 * credentials, at its maximum age, and after a failure that leaves it in doubt. grpc-js alone would fail calls at once for up to
 * two minutes after a server was away, and wait forever on a connection whose peer has vanished; waiting between attempts
 * is the caller's, and each attempt shall be a real one.
 */
export function createGrpcClient(options: GrpcClientOptions): GrpcClient {
  const loading = loadGrpc();
  let current: Connection | undefined;

  async function connectionOf(grpc: Grpc): Promise<Connection> {
    const { version, make } = await options.credentials(grpc);
    const age = current ? performance.now() - current.openedAt : 0;
    if (current && (current.credentialsVersion !== version || age >= options.maxConnectionAgeMillis)) {
      retire(current);
    }
    try {
      current ??= open(grpc, options, version, make());
    } catch (cause) {
      // Credentials of another copy of grpc-js, or a service config that is none.
      throw new ExportError('INTERNAL', `no gRPC channel can be made: ${textOf(cause)}`, { cause });
    }
    return current;
  }

  function retire(connection: Connection): void {
    connection.isRetired = true;
    if (current === connection) current = undefined;
    if (connection.calls === 0) close(connection);
  }

  return {
    async call(path, body, { metadata, deadline, signal }) {
      const grpc = await loading;
      const connection = await connectionOf(grpc);
      signal.throwIfAborted();
      connection.calls++;
      try {
        const answer = await unaryCall(grpc, connection.client, path, body, metadata, deadline, signal);
        if (answer.code !== 0 && isDoubtful(grpc, connection, answer.code, signal)) retire(connection);
        return answer;
      } finally {
        connection.calls--;
        if (connection.isRetired && connection.calls === 0) close(connection);
      }
    },
    close() {
      if (current) retire(current);
    },
  };
}

function loadGrpc(): Promise<Grpc> {
  const loading = import('@grpc/grpc-js').catch((cause: unknown) => {
    const message = `@grpc/grpc-js cannot be loaded; npm install @grpc/grpc-js (${textOf(cause)})`;
    throw new ExportError('INTERNAL', message, { cause });
  });
  // Each call tells; without one, nobody misses it.
  loading.catch(() => {});
  return loading;
}

function open(
  grpc: Grpc,
  { target, channelOptions, interceptors }: GrpcClientOptions,
  credentialsVersion: number,
  credentials: ChannelCredentials,
): Connection {
  const sockets = new AbortController();
  // One listener a socket, and round_robin may have many.
  setMaxListeners(0, sockets.signal);
  const client = new grpc.Client(tiedTarget(grpc, target), credentials, {
    // Only src/config reads the environment; a proxy comes as an option.
    'grpc.enable_http_proxy': 0,
    ...channelOptions,
    [SOCKETS_OPTION]: sockets.signal,
    interceptors,
  });
  return { client, sockets, credentialsVersion, openedAt: performance.now(), calls: 0, isRetired: false };
}

/** Says goodbye to the server, then frees the sockets, also those that are still being connected. */
function close({ client, sockets }: Connection): void {
  client.close();
  setImmediate(() => sockets.abort());
}

function isDoubtful(grpc: Grpc, { client }: Connection, code: number, signal: AbortSignal): boolean {
  if (signal.aborted || code === DEADLINE_EXCEEDED) return true;
  return client.getChannel().getConnectivityState(false) !== grpc.connectivityState.READY;
}

function unaryCall(
  grpc: Grpc,
  client: Client,
  path: string,
  body: Uint8Array,
  headers: Record<string, string>,
  deadline: number,
  signal: AbortSignal,
): Promise<GrpcAnswer> {
  const metadata = new grpc.Metadata();
  for (const [name, value] of Object.entries(headers)) {
    metadata.set(name, name.endsWith('-bin') ? Buffer.from(value, 'base64') : value);
  }
  return new Promise((resolve) => {
    let hasHeaders = false;
    let answer: GrpcAnswer | undefined;
    const onAbort = () => call.cancel();
    const call = client.makeUnaryRequest(
      path,
      TRANSPARENT,
      TRANSPARENT,
      Buffer.from(body.buffer, body.byteOffset, body.byteLength),
      metadata,
      { deadline },
      (error: ServiceError | null, response?: Buffer) => {
        signal.removeEventListener('abort', onAbort);
        answer = error === null ? { code: 0, body: response! } : { ...failureOf(error, headers), hasHeaders };
      },
    );
    call.on('metadata', () => {
      hasHeaders = true;
    });
    // Follows the answer. Where success comes without a message, grpc-js has made a failure of it: UNIMPLEMENTED.
    call.on('status', ({ code }: StatusObject) => {
      resolve(code === OK ? { code, body: answer?.body ?? new Uint8Array(0) } : answer!);
    });
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

function failureOf({ code, details, metadata }: ServiceError, headers: Record<string, string>) {
  const [statusDetails] = metadata.get('grpc-status-details-bin');
  return {
    code,
    // A user's interceptor may have left it out.
    details: maskSecrets('', headers, Buffer.from(details ?? '')).toString(),
    statusDetails: typeof statusDetails === 'object' ? maskSecrets('', headers, statusDetails) : undefined,
  };
}
