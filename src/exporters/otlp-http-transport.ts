// OTLP requests over HTTP, to one endpoint.
import { report } from '../data/diagnostics.ts';
import { optionChecks } from '../data/option-checks.ts';
import { VERSION } from '../data/version.ts';
import { decodePartialSuccess, type OtlpEncoding } from '../encoding/otlp-response.ts';
import { HTTP_ADDRESS_FORMAT, httpAddress } from '../net/http-address.ts';
import { type HttpClientOptions, httpClient } from '../net/http-client.ts';
import { isSuccess } from './http-status.ts';
import { encodingOf, httpStatusError } from './otlp-http-status.ts';
import type { OtlpTransport } from './otlp-transport.ts';
import { type BearerToken, type HeaderRules, type HeadersOption, requestHeaders } from './request-headers.ts';

const CONTENT_TYPES: Record<OtlpEncoding, string> = {
  protobuf: 'application/x-protobuf',
  json: 'application/json',
};

export interface OtlpHttpTransportOptions extends HttpClientOptions {
  readonly url: string | URL;
  readonly headers?: HeadersOption;
  readonly bearerToken?: BearerToken;
  readonly encoding: OtlpEncoding;
  /** Of the bodies that `send` is given. */
  readonly contentEncoding: string | undefined;
  readonly userAgent: string | undefined;
}

/** @throws ConfigError when an option cannot work */
export function otlpHttpTransport(owner: string, options: OtlpHttpTransportOptions): OtlpTransport {
  const { url, encoding, contentEncoding, userAgent } = options;
  const { demandSecret } = optionChecks(owner);
  const address = httpAddress(url);
  // It may hold a password.
  demandSecret(address !== undefined, 'url', HTTP_ADDRESS_FORMAT);
  const name = `${owner}(${address!.shown})`;
  const withHeaders = requestHeaders(owner, options, HEADER_RULES);
  const client = httpClient(owner, options);
  const product = `Meterline-OTLP-Exporter-JavaScript/${VERSION}`;
  const own = {
    'content-type': CONTENT_TYPES[encoding],
    'user-agent': userAgent === undefined ? product : `${userAgent} ${product}`,
    ...(contentEncoding !== undefined && { 'content-encoding': contentEncoding }),
  };

  return {
    name,
    send(body, { signal }) {
      return withHeaders(async (headers) => {
        const response = await client.request(address!, { headers: { ...headers, ...own }, body, signal });
        if (!isSuccess(response)) throw httpStatusError(name, response);
        // Taken is taken, whatever the body looks like.
        const partial = decodePartialSuccess(response.body, encodingOf(response) ?? encoding);
        if (partial === undefined && response.body.length > 0 && encodingOf(response) === undefined) {
          const type = response.headers['content-type'] ?? 'nothing';
          report(
            'debug',
            `otlp-answer:${name}`,
            `${name} took a request, but its answer is of the type ${type}`,
          );
        }
        return partial;
      }, signal);
    },
    shutdown: () => client.close(),
  };
}

/** Those that describe the body and the connection are ours. */
export const HEADER_RULES: HeaderRules = {
  owned: (name) =>
    /^(content-|accept-encoding$|connection$|keep-alive$|proxy-connection$|host$|te$|trailer$|transfer-encoding$|upgrade$|expect$|user-agent$)/.test(
      name,
    ),
  isName: () => true,
  isValue: (value) => /^[\t\x20-\x7e\x80-\xff]*$/.test(value),
  valueFormat: 'text without line breaks, in Latin-1',
};
