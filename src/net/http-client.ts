// HTTP for exporters: connections kept and pooled, TLS that follows its files, proxies, bounded answers.
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { Agent, buildConnector, type Dispatcher, ProxyAgent } from 'undici';
import { ExportError } from '../data/errors.ts';
import { type OptionChecks, optionChecks } from '../data/option-checks.ts';
import { NOTHING_OWED } from '../data/owed-points.ts';
import type { HttpAddress } from './http-address.ts';
import { connectionError } from './http-error.ts';
import { type ProxyFor, type ProxyOptions, proxyFor } from './http-proxy.ts';
import { maskSecrets } from './masked-answer.ts';
import { type TlsMaterial, type TlsOptions, tlsSource } from './tls.ts';

export interface HttpClientOptions {
  /**
   * Certificates and keys for `https:` addresses; files are read again when they change.
   * @default the authorities that Node trusts, and no client certificate
   * @env OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE, OTEL_EXPORTER_OTLP_CERTIFICATE, OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE, OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY, OTEL_EXPORTER_OTLP_CLIENT_KEY
   */
  tls?: TlsOptions;
  /**
   * A proxy: one URL for all, or one each for `http:` and `https:` addresses, and the hosts that need none.
   * @default none
   * @env HTTPS_PROXY, HTTP_PROXY, NO_PROXY
   */
  proxy?: string | ProxyOptions;
  /**
   * A unix socket to connect to in place of the address's host; `http+unix://` addresses do the same.
   * @default none
   */
  socketPath?: string;
  /**
   * Milliseconds that an idle connection is kept for the next request, unless the server names a time.
   * @default 4000: shorter than servers commonly keep theirs, because a request on a connection that is just being closed
   *   fails without telling whether it was taken
   */
  keepAliveMillis?: number;
  /**
   * Milliseconds after which a connection takes no more requests, so that load balancers get to choose anew.
   * @default Infinity: idle connections are closed anyway
   */
  maxConnectionAgeMillis?: number;
  /**
   * An undici `Dispatcher` to use in place of our own connections. It has its own way with TLS, proxies and sockets, and
   * is not closed by us. Once a request has succeeded, its body may be written over: one that keeps bodies must copy them.
   * @default none
   */
  dispatcher?: Dispatcher;
}

export interface HttpRequest {
  method?: 'POST' | 'PUT' | 'DELETE' | 'GET';
  headers?: Record<string, string>;
  body?: Uint8Array;
  /** Ends the request on the wall clock; its reason is what the request fails with when it is an ExportError. */
  signal?: AbortSignal;
}

export interface HttpResponse {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | undefined>>;
  /** Decompressed, and without the secrets of the request. */
  readonly body: Buffer;
}

export interface HttpClient {
  /**
   * One request, without retries. Resolves with any answer but a redirect.
   *
   * @throws ExportError classified, when there is no answer, or none that can be used
   */
  request(address: HttpAddress, request: HttpRequest): Promise<HttpResponse>;
  /** Ends once the requests under way have. */
  close(): Promise<void>;
}

/** What answers may have after decompression: the limit that OTLP names. */
const MAX_RESPONSE_BYTES = 4 * 1024 * 1024;

/** Connections made under the same circumstances. */
interface Line {
  readonly dispatcher: Dispatcher;
  readonly tlsVersion: number;
  readonly usableUntil: number;
}

/**
 * @param owner whose options they are, for messages
 * @throws ConfigError for the first option that cannot work
 */
export function httpClient(owner: string, options: HttpClientOptions = {}): HttpClient {
  const checks = optionChecks(owner);
  const { tls, proxy, socketPath, keepAliveMillis, maxConnectionAgeMillis, dispatcher } = valid(
    checks,
    options,
  );
  const source = tlsSource(owner, tls);
  const lines = new Map<string, Line>();

  async function dispatcherFor(address: HttpAddress): Promise<Dispatcher> {
    if (dispatcher !== undefined) return dispatcher;
    const path = socketPath ?? address.socketPath;
    const proxyUrl = path === undefined ? proxy(address) : undefined;
    const material = await source.current();
    const key = JSON.stringify([proxyUrl, path]);
    const known = lines.get(key);
    if (known?.tlsVersion === material.version && performance.now() < known.usableUntil)
      return known.dispatcher;
    const fresh = {
      dispatcher: connections(material, proxyUrl, path, keepAliveMillis),
      tlsVersion: material.version,
      usableUntil: performance.now() + maxConnectionAgeMillis,
    };
    lines.set(key, fresh);
    // Lets the requests under way end.
    known?.dispatcher.close().catch(() => {});
    return fresh.dispatcher;
  }

  return {
    async request(address, { method = 'POST', headers, body, signal }) {
      const { shown } = address;
      try {
        const { authorization } = address;
        const sent = { ...(authorization && { authorization }), 'accept-encoding': 'gzip', ...headers };
        const response = await (await dispatcherFor(address)).request({
          origin: address.origin,
          path: address.path,
          method,
          headers: sent,
          body,
          signal,
          // The signal is the one limit of time; undici's restart with each byte.
          headersTimeout: 0,
          bodyTimeout: 0,
        });
        const { statusCode: status } = response;
        const answered = singleValues(response.headers);
        if (status >= 300 && status < 400) {
          response.body.on('error', () => {}).destroy();
          throw redirected(shown, status, answered.location);
        }
        const answer = await bodyOf(shown, response.body, status, answered);
        return { status, headers: answered, body: maskSecrets(address.path, sent, answer) };
      } catch (error) {
        if (error instanceof ExportError) throw error;
        throw connectionError(shown, error, signal);
      }
    },
    async close() {
      const open = [...lines.values()];
      lines.clear();
      await Promise.all(open.map((line) => line.dispatcher.close()));
    },
  };
}

function connections(
  material: TlsMaterial,
  proxyUrl: string | undefined,
  socketPath: string | undefined,
  keepAliveTimeout: number,
): Dispatcher {
  const { secureContext, rejectUnauthorized, servername } = material;
  // Exports follow one another; with more, undici opens a second one while the first has just answered.
  const pool = { connections: 1, keepAliveTimeout };
  const tls = { secureContext, rejectUnauthorized, ...(servername !== undefined && { servername }) };
  if (proxyUrl === undefined) {
    return new Agent({ ...pool, connect: connector({ ...tls, ...(socketPath && { socketPath }) }) });
  }
  // Plain HTTP needs no tunnel, and many proxies refuse one to other ports than 443.
  const proxyTls = { secureContext, rejectUnauthorized };
  return new ProxyAgent({ uri: proxyUrl, ...pool, requestTls: tls, proxyTls, proxyTunnel: false });
}

/** A server that refuses a client's certificate says so once the handshake has ended; undici reports the end after it instead. */
function connector(options: buildConnector.BuildOptions): buildConnector.connector {
  const connect = buildConnector(options);
  return (target, callback) =>
    connect(target, (...result) => {
      const [, socket] = result;
      socket?.once('error', () => socket.removeAllListeners('end'));
      callback(...result);
    });
}

/**
 * The answer's body, empty when it ends early or cannot be decompressed: the status is what tells whether the request was
 * taken, and that has come.
 */
async function bodyOf(
  shown: string,
  body: Readable,
  status: number,
  headers: HttpResponse['headers'],
): Promise<Buffer> {
  const isGzip = /^(x-)?gzip$/i.test(headers['content-encoding'] ?? '');
  const decoded = isGzip ? body.pipe(createGunzip()) : body;
  // A pipe does not pass errors on.
  if (decoded !== body) body.on('error', (error) => decoded.destroy(error));
  const chunks: Buffer[] = [];
  let length = 0;
  try {
    for await (const chunk of decoded as AsyncIterable<Buffer>) {
      length += chunk.length;
      if (length > MAX_RESPONSE_BYTES) {
        // Not TOO_LARGE, which is said of requests: a smaller one would not mend it.
        throw new ExportError(
          'PROTOCOL',
          `the answer of ${shown} is larger than ${MAX_RESPONSE_BYTES} bytes`,
          { undelivered: status < 300 ? NOTHING_OWED : undefined },
        );
      }
      chunks.push(chunk);
    }
    return Buffer.concat(chunks, length);
  } catch (error) {
    body.destroy();
    // What a signal aborts with is an ExportError too, and as little a reason to doubt the status.
    if (length > MAX_RESPONSE_BYTES) throw error;
    return Buffer.alloc(0);
  }
}

function redirected(shown: string, status: number, location: string | undefined): ExportError {
  const target = location !== undefined && URL.canParse(location) ? new URL(location) : undefined;
  // Without user, password and query, which may be secrets.
  const to = target
    ? `${target.protocol}//${target.host}${target.pathname}`
    : (location?.split(/[?#]/)[0] ?? '');
  const where = to === '' ? 'without saying where' : `to ${to.slice(0, 200)}`;
  return new ExportError(
    'PROTOCOL',
    `${shown} redirects ${where} (status ${status}); redirects are not followed: use the address itself`,
  );
}

function singleValues(headers: Record<string, string | string[] | undefined>): HttpResponse['headers'] {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value[0] : value]),
  );
}

interface ValidOptions extends Pick<HttpClientOptions, 'tls' | 'socketPath' | 'dispatcher'> {
  proxy: ProxyFor;
  keepAliveMillis: number;
  maxConnectionAgeMillis: number;
}

function valid(checks: OptionChecks, options: HttpClientOptions): ValidOptions {
  const { demand } = checks;
  const { tls, socketPath, keepAliveMillis = 4_000, maxConnectionAgeMillis = Infinity, dispatcher } = options;
  demand(
    socketPath === undefined || (typeof socketPath === 'string' && socketPath !== ''),
    'socketPath',
    socketPath,
    'the path of a unix socket',
  );
  const isPositive = (value: unknown) => typeof value === 'number' && value > 0;
  demand(isPositive(keepAliveMillis), 'keepAliveMillis', keepAliveMillis, 'a number of milliseconds above 0');
  demand(
    isPositive(maxConnectionAgeMillis),
    'maxConnectionAgeMillis',
    maxConnectionAgeMillis,
    'a number of milliseconds above 0',
  );
  demand(
    dispatcher === undefined || typeof dispatcher?.request === 'function',
    'dispatcher',
    dispatcher,
    'an undici Dispatcher, such as an Agent',
  );
  const rivals = { tls, proxy: options.proxy, socketPath };
  for (const [name, value] of Object.entries(rivals)) {
    checks.demandSecret(
      dispatcher === undefined || value === undefined,
      `${name} beside dispatcher`,
      'left out: set it up in the dispatcher',
    );
  }
  return {
    tls,
    socketPath,
    keepAliveMillis,
    maxConnectionAgeMillis,
    dispatcher,
    proxy: proxyFor(checks, options.proxy),
  };
}
