// Which proxy a request takes, by the rules of the variables HTTPS_PROXY, HTTP_PROXY and NO_PROXY.
import type { OptionChecks } from '../data/option-checks.ts';
import type { HttpAddress } from './http-address.ts';

export interface ProxyOptions {
  /** The proxy for `http:` addresses, as a URL; user and password in it are used. */
  http?: string;
  /** The proxy for `https:` addresses, as a URL; a tunnel through it keeps TLS between the two ends. */
  https?: string;
  /**
   * Hosts that are reached without a proxy: names (with all below them), addresses, each with `:port` if it matters, or
   * `*` for all; as text with commas or as a list.
   */
  noProxy?: string | readonly string[];
}

/** Undefined for a direct connection. */
export type ProxyFor = (address: HttpAddress) => string | undefined;

/** @throws ConfigError when a proxy is no URL */
export function proxyFor(
  { demand, demandObject, demandNothing, demandSecret }: OptionChecks,
  proxy: string | ProxyOptions | undefined,
): ProxyFor {
  if (proxy === undefined) return () => undefined;
  if (typeof proxy === 'string') proxy = { http: proxy, https: proxy };
  demandObject('proxy', proxy);
  const { http, https, noProxy = [], ...unknown } = proxy;
  demandNothing(unknown, 'proxy.');
  for (const [name, url] of Object.entries({ http, https })) {
    const isUrl = url === undefined || (URL.canParse(url) && /^https?:$/.test(new URL(url).protocol));
    // It may hold a password.
    demandSecret(isUrl, `proxy.${name}`, 'an http: or https: URL such as http://proxy:3128');
  }
  const list = typeof noProxy === 'string' ? noProxy.split(/[\s,]+/) : noProxy;
  demand(Array.isArray(list), 'proxy.noProxy', noProxy, 'a list of hosts');
  const exceptions = list.filter((entry) => entry !== '').map(exceptionOf);
  return (address) => {
    const url = address.isSecure ? https : http;
    if (url === undefined || address.socketPath !== undefined) return undefined;
    return exceptions.some((matches) => matches(address)) ? undefined : url;
  };
}

function exceptionOf(entry: string): (address: HttpAddress) => boolean {
  if (entry === '*') return () => true;
  const [, host = '', port] = /^(.*?)(?::(\d+))?$/.exec(
    // The colons of an IPv6 address without brackets are no port.
    (entry.match(/:/g)?.length ?? 0) > 1 && !entry.startsWith('[') ? `[${entry}]` : entry,
  )!;
  const name = host
    .toLowerCase()
    .replace(/^\[(.*)\]$/, '$1')
    .replace(/^\*?\./, '');
  return ({ hostname, port: actual }) =>
    (port === undefined || port === actual) && (hostname === name || hostname.endsWith(`.${name}`));
}
