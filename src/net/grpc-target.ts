// Where a gRPC endpoint is: an http or https URL, a target of gRPC's own naming, or a host and port.
import { isIP, isIPv4, isIPv6 } from 'node:net';

/** The schemes that gRPC clients resolve (github.com/grpc/grpc, doc/naming.md). */
const NATIVE_SCHEMES = ['dns', 'ipv4', 'ipv6', 'unix', 'xds'] as const;

export const GRPC_ENDPOINT_FORMAT =
  'an http:// or https:// URL, a host and port, or a gRPC target such as dns:///collector:4317, ' +
  'ipv4:10.0.0.1:4317,10.0.0.2:4317 or unix:/run/otel.sock';

export interface GrpcTarget {
  /** `dns`, `ipv4`, … */
  readonly scheme: (typeof NATIVE_SCHEMES)[number];
  /** The name server to ask, for `dns://8.8.8.8/collector`. */
  readonly authority: string | undefined;
  readonly path: string;
  /** What an http or https URL says of encryption; undefined for other forms, which leave it to the options. */
  readonly isSecure: boolean | undefined;
}

/** Undefined for a text that is none of {@link GRPC_ENDPOINT_FORMAT}. */
export function parseGrpcTarget(endpoint: string): GrpcTarget | undefined {
  if (/\s/.test(endpoint)) return undefined;
  if (/^https?:\/\//i.test(endpoint)) return fromUrl(endpoint);
  const [, scheme, rest = ''] = /^([a-z][a-z0-9+.-]*):(.+)$/i.exec(endpoint) ?? [];
  const native = NATIVE_SCHEMES.find((known) => known === scheme);
  if (native === undefined) {
    return isHostAndPort(endpoint) ? target('dns', undefined, endpoint) : undefined;
  }
  const [, authority, path] = /^(?:\/\/([^/]*)\/)?(.+)$/.exec(rest) ?? [];
  if (path === undefined) return undefined;
  return isPathOf(native, path) ? target(native, authority, path) : undefined;
}

export function targetText({ scheme, authority, path }: GrpcTarget): string {
  return `${scheme}:${authority === undefined ? '' : `//${authority}/`}${path}`;
}

/** What HTTP/2's `:authority` says and what the server's certificate must be for, unless options say otherwise. */
export function authorityOf({ scheme, path }: Pick<GrpcTarget, 'scheme' | 'path'>): string {
  return scheme === 'unix' ? 'localhost' : path.split(',')[0]!;
}

function target(
  scheme: GrpcTarget['scheme'],
  authority: string | undefined,
  path: string,
  isSecure?: boolean,
): GrpcTarget {
  return { scheme, authority, path, isSecure };
}

/** The path of a URL means nothing to gRPC; one set for OTLP over HTTP and for gRPC alike may have one. */
function fromUrl(endpoint: string): GrpcTarget | undefined {
  if (!URL.canParse(endpoint)) return undefined;
  const { protocol, hostname, port, username, password } = new URL(endpoint);
  if (username !== '' || password !== '' || port === '0') return undefined;
  const isSecure = protocol === 'https:';
  return target('dns', '', `${hostname}:${port || (isSecure ? 443 : 80)}`, isSecure);
}

function isPathOf(scheme: GrpcTarget['scheme'], path: string): boolean {
  if (scheme === 'unix' || scheme === 'xds') return true;
  if (scheme === 'dns') return isHostAndPort(path);
  const isAddress = scheme === 'ipv4' ? isIPv4 : isIPv6;
  return path.split(',').every((item) => isHostAndPort(item) && isAddress(hostOf(item)));
}

const HOST_AND_PORT = /^(?:\[([^\]]+)\]|([^:/[\]?#@]+))(?::(\d{1,5}))?$/;

function isHostAndPort(text: string): boolean {
  if (isIP(text) === 6) return true;
  const [matched, v6, , port] = HOST_AND_PORT.exec(text) ?? [];
  if (matched === undefined || (v6 !== undefined && !isIPv6(v6))) return false;
  return port === undefined || (Number(port) >= 1 && Number(port) <= 65_535);
}

function hostOf(hostAndPort: string): string {
  const [, v6, name] = HOST_AND_PORT.exec(hostAndPort) ?? [];
  return v6 ?? name ?? hostAndPort;
}
