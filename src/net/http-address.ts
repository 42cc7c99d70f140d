// Where an HTTP request goes: a host, or a unix socket written as a URL.

export interface HttpAddress {
  /** Scheme, host and port, for the connection. */
  readonly origin: string;
  /** Path and query, for the request line. */
  readonly path: string;
  readonly isSecure: boolean;
  /** Host and port, as proxies' exceptions name them. */
  readonly hostname: string;
  readonly port: string;
  /** The unix socket to connect to. */
  readonly socketPath: string | undefined;
  /** The header `Authorization` for the user and password in the URL. */
  readonly authorization: string | undefined;
  /** For messages: without user, password and query, which may be secrets. */
  readonly shown: string;
}

export const HTTP_ADDRESS_FORMAT =
  'an http: or https: URL such as https://collector:4318/v1/metrics, or http+unix://%2Fpath%2Fto.sock/v1/metrics';

/** Undefined when it is no such URL. */
export function httpAddress(url: string | URL): HttpAddress | undefined {
  if (!URL.canParse(String(url))) return undefined;
  const parsed = new URL(String(url));
  const { protocol, hostname, host, pathname, search, username, password } = parsed;
  const isUnix = protocol === 'http+unix:' || protocol === 'https+unix:';
  if (!isUnix && protocol !== 'http:' && protocol !== 'https:') return undefined;
  if (host === '') return undefined;
  const socketPath = isUnix ? decoded(hostname) : undefined;
  if (isUnix && !socketPath?.startsWith('/')) return undefined;
  const isSecure = protocol.startsWith('https');
  const path = pathname === '' ? '/' : pathname;
  return {
    origin: isUnix ? `${isSecure ? 'https' : 'http'}://localhost` : parsed.origin,
    path: path + search,
    isSecure,
    // Brackets belong to URLs, not to the address.
    hostname: isUnix ? 'localhost' : hostname.replace(/^\[(.*)\]$/, '$1'),
    port: parsed.port || (isSecure ? '443' : '80'),
    socketPath,
    authorization:
      username || password
        ? `Basic ${Buffer.from(`${decoded(username)}:${decoded(password)}`).toString('base64')}`
        : undefined,
    shown: `${protocol}//${host}${path}`,
  };
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
