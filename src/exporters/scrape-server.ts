// An HTTP server for nothing but scrapes. It never keeps the process alive.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer, type Server as TlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { report } from '../data/diagnostics.ts';
import { ConfigError } from '../data/errors.ts';
import { optionChecks } from '../data/option-checks.ts';
import { type PemSource, type TlsMaterial, tlsSource } from '../net/tls.ts';

/** Named as in `tls.createServer`. Files are read again when they change. */
export interface ScrapeTlsOptions {
  /**
   * The server's certificate, followed by its intermediates: PEM, or the file that holds it.
   * @default required
   */
  cert: PemSource;
  /**
   * The private key of `cert`.
   * @default required
   */
  key: PemSource;
  /** The passphrase of an encrypted `key`. */
  passphrase?: string;
  /** The authorities of scrapers. When given, only those with a certificate from one of them may scrape. */
  ca?: PemSource | PemSource[];
}

export interface ListenOptions {
  /**
   * Host name or address to listen on. `0.0.0.0` or `::` is every interface, which a Prometheus on another machine needs.
   * @default 'localhost', as OpenTelemetry specifies: metrics are for this machine until someone decides otherwise
   */
  host?: string;
  /**
   * Port; 0 for any free one, which the promise tells.
   * @default 9464, which is registered for OpenTelemetry's Prometheus exporters
   */
  port?: number;
  /**
   * Path of the metrics; all others are 404.
   * @default '/metrics', where Prometheus looks
   */
  path?: string;
  /**
   * Serves HTTPS; see [authentication and TLS](#authentication-and-tls).
   * @default HTTP
   */
  tls?: ScrapeTlsOptions;
}

export interface ScrapeAddress {
  /** The address that the host turned out to be. */
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

export interface ScrapeServer {
  readonly address: ScrapeAddress;
  /** Accepts no more, lets scrapes in flight end for so long, then cuts them off. */
  close(graceMillis: number): Promise<void>;
}

/** Tells our HTTP instrumentation to leave the requests of a server out. */
const UNINSTRUMENTED = Symbol.for('meterline.uninstrumented');

/** @throws ConfigError when an option is not valid or the server cannot listen there */
export async function startScrapeServer(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
  options: ListenOptions,
): Promise<ScrapeServer> {
  const { host, port, path, tls } = validated(options);
  const server = await serverOf(tls, (request, response) => {
    // Proxies may ask with the whole address, which a server has to take (RFC 9112, 3.2.2).
    if (request.url?.replace(/^https?:\/\/[^/?]*/i, '').split('?', 1)[0] === path) {
      handler(request, response);
      return;
    }
    response.writeHead(404, { 'Content-Type': 'text/plain; charset=utf-8' });
    response.end(`The metrics are at ${path}.\n`);
  });
  // A scrape has no body and few headers: who takes longer to send them only holds the connection.
  server.headersTimeout = REQUEST_MILLIS;
  server.requestTimeout = REQUEST_MILLIS;
  Object.assign(server, { [UNINSTRUMENTED]: true });
  // A scraper keeps its connection open between scrapes.
  server.on('connection', (socket) => socket.unref());

  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) => reject(cannotListen(host, port, error)));
    server.listen(port, host, resolve);
  });
  server.unref();
  server.removeAllListeners('error');
  server.on('error', (error) => report('error', 'scrape-server', 'the scrape server had an error', error));

  // A server that listens on a port has an address of this form.
  const { address, port: actual } = server.address() as AddressInfo;
  const urlHost = address.includes(':') ? `[${address}]` : address;
  return {
    address: { host: address, port: actual, url: `${tls ? 'https' : 'http'}://${urlHost}:${actual}${path}` },
    close: (graceMillis) =>
      new Promise((resolve) => {
        // Not unref'd: the connections are, so without it the process could end before this promise does.
        const timer = setTimeout(() => server.closeAllConnections(), graceMillis);
        server.close(() => {
          clearTimeout(timer);
          resolve();
        });
      }),
  };
}

function validated(options: ListenOptions) {
  const { demand, demandObject, demandNothing } = optionChecks('listen');
  demandObject('options', options);
  const { host = 'localhost', port = 9464, path = '/metrics', tls, ...unknown } = options;
  demandNothing(unknown);
  // To Node, what is no host is every interface.
  demand(typeof host === 'string' && host !== '', 'host', host, 'a host name or an address');
  demand(
    Number.isInteger(port) && port >= 0 && port <= 65_535,
    'port',
    port,
    'a whole number from 0 to 65535',
  );
  demand(
    typeof path === 'string' && /^\/[^?#\s]*$/.test(path),
    'path',
    path,
    'a path that starts with "/", without a query',
  );
  if (tls !== undefined) demandObject('tls', tls);
  return { host, port, path, tls };
}

const REQUEST_MILLIS = 10_000;
/** How often Node looks for requests that take too long. */
const CHECK_MILLIS = 5_000;

async function serverOf(
  tls: ScrapeTlsOptions | undefined,
  answer: (request: IncomingMessage, response: ServerResponse) => void,
): Promise<Server | TlsServer> {
  const options = { connectionsCheckingInterval: CHECK_MILLIS };
  if (tls === undefined) return createServer(options, answer);
  if (tls.cert === undefined || tls.key === undefined) {
    throw new ConfigError('listen: tls has no cert or no key; give both, or leave tls out');
  }
  const source = tlsSource('PrometheusMetricReader', tls);
  let material = await source.current();
  const mutual = tls.ca !== undefined;
  const server = createTlsServer(
    { ...options, ...parts(material), requestCert: mutual, rejectUnauthorized: mutual },
    answer,
  );
  // The connection after the next one has the renewed certificate: this one cannot wait.
  server.on('connection', () => {
    source.current().then(
      (present) => {
        if (present !== material) server.setSecureContext(parts(present));
        material = present;
      },
      (error) =>
        report('error', 'scrape-tls', 'the certificate of the scrape server could not be renewed', error),
    );
  });
  return server;
}

function parts({ cert, key, ca, passphrase }: TlsMaterial) {
  return { cert, key, ca, passphrase };
}

const REMEDIES: Record<string, string> = {
  EADDRINUSE: 'another process or reader has the port; choose another one, or 0 for any free port',
  EACCES: 'the process may not use this port; choose one above 1023',
  EADDRNOTAVAIL: 'the host is not an address of this machine; use localhost, or 0.0.0.0 for all interfaces',
  ENOTFOUND: 'the host has no address; use localhost, or 0.0.0.0 for all interfaces',
};

function cannotListen(host: string, port: number, cause: NodeJS.ErrnoException): ConfigError {
  const why = REMEDIES[cause.code ?? ''] ?? cause.message;
  return new ConfigError(`cannot serve metrics on host ${host}, port ${port}: ${why}`, { cause });
}
