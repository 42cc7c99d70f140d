// Options given in code over those of the environment.
import type { TlsOptions } from '../net/tls.ts';
import type { OtlpTransportSettings } from './otlp-environment.ts';

/** The options of OTLP exporters that are made of several values, or stand for others. */
interface Options {
  endpoints?: unknown;
  headers?: unknown;
  tls?: TlsOptions;
}

/** Those that are undefined are not given. */
export function givenOf<T extends object>(options: T): T {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as T;
}

/**
 * An option given in code wins, but for two that are made of several: headers go over the environment's name by name, and of
 * certificates, those to trust and those to show are each given on their own. With `endpoints`, address and headers of the
 * environment, which are those of one receiver, are not used.
 */
export function overEnvironment<T extends Options>(
  options: T,
  { url, headers, tls, ...others }: OtlpTransportSettings,
): T {
  const given = givenOf(options);
  const single = given.endpoints === undefined ? headersOver(given, headers) : {};
  const address = given.endpoints === undefined ? { url } : {};
  return givenOf({ ...others, ...address, ...given, ...single, ...tlsOver(given, tls) }) as T;
}

function headersOver({ headers }: Options, environment: Record<string, string> | undefined): Options {
  if (environment === undefined) return { headers };
  if (typeof headers === 'function')
    return { headers: async () => ({ ...environment, ...(await headers()) }) };
  return { headers: isPlain(headers) ? { ...environment, ...headers } : (headers ?? environment) };
}

function tlsOver({ tls }: Options, environment: TlsOptions | undefined): Options {
  if (environment === undefined) return { tls };
  if (tls === undefined) return { tls: environment };
  if (!isPlain(tls) || tls.secureContext !== undefined) return { tls };
  const { ca, cert, key } = environment;
  const isShown = tls.cert !== undefined || tls.key !== undefined;
  return { tls: { ca, ...(!isShown && { cert, key }), ...tls } };
}

function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
