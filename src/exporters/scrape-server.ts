// An HTTP server for nothing but scrapes. It never keeps the process alive.
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { report } from '../data/diagnostics.ts';
import { ConfigError } from '../data/errors.ts';
import { refuse } from './scrape-response.ts';

export interface ListenOptions {
  /**
   * Host name or address to listen on. Default `localhost`, as OpenTelemetry specifies: metrics are for this
   * machine until someone decides otherwise. `0.0.0.0` or `::` listens on all interfaces.
   */
  host?: string;
  /** Port, 0 for any free one. Default 9464, which is registered for OpenTelemetry's Prometheus exporters. */
  port?: number;
  /** Path of the metrics; all others are 404. Default `/metrics`, where Prometheus looks. */
  path?: string;
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
  { host = 'localhost', port = 9464, path = '/metrics' }: ListenOptions,
): Promise<ScrapeServer> {
  if (!Number.isInteger(port) || port < 0 || port > 65_535) {
    throw new ConfigError(`port is ${port}; it must be an integer from 0 to 65535`);
  }
  if (!path.startsWith('/')) throw new ConfigError(`path is "${path}"; it must start with "/"`);

  const server = createServer((request, response) => {
    if (request.url?.split('?', 1)[0] === path) handler(request, response);
    else refuse(response, 404, `The metrics are at ${path}.`);
  });
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
    address: { host: address, port: actual, url: `http://${urlHost}:${actual}${path}` },
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
