// What an HTTP status means for an export (OTLP specification, "OTLP/HTTP response").
import { ExportError, type ExportErrorCode } from '../data/errors.ts';
import { decodeStatus, type OtlpEncoding } from '../encoding/otlp-response.ts';
import type { HttpResponse } from '../net/http-client.ts';
import { retryAfterMillis } from '../net/retry-after.ts';

/** Those that the specification names, and no others. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

const CODES: Record<number, ExportErrorCode> = {
  401: 'UNAUTHENTICATED',
  403: 'UNAUTHENTICATED',
  404: 'PROTOCOL',
  405: 'PROTOCOL',
  406: 'PROTOCOL',
  407: 'UNAUTHENTICATED',
  413: 'TOO_LARGE',
  415: 'PROTOCOL',
  501: 'PROTOCOL',
};

/** The answer's encoding, which may differ from the request's: proxies and gateways answer as they like. */
export function encodingOf({ headers }: HttpResponse): OtlpEncoding | undefined {
  const type = headers['content-type'] ?? '';
  if (/^application\/json\b/i.test(type)) return 'json';
  return /^application\/x-protobuf\b/i.test(type) ? 'protobuf' : undefined;
}

/** @param shown the address, without secrets */
export function httpStatusError(shown: string, response: HttpResponse): ExportError {
  const { status, headers } = response;
  const retryable = RETRYABLE.has(status);
  const retryAfterMs = retryable ? retryAfterMillis(headers['retry-after'], Date.now()) : undefined;
  const said = reasonOf(response);
  const message = `${shown} answered ${status}${said && `: ${said}`}`;
  if (!retryable)
    return new ExportError(isTooLarge(status, said) ? 'TOO_LARGE' : (CODES[status] ?? 'REJECTED'), message);
  const code = status === 429 || retryAfterMs !== undefined ? 'THROTTLED' : 'UNAVAILABLE';
  return new ExportError(code, message, { retryable, retryAfterMs });
}

/** The Collector answers 400 where 413 is meant; the words are those of Go's HTTP server. */
function isTooLarge(status: number, said: string): boolean {
  return status === 400 && said.includes('request body too large');
}

/** For whoever reads the log. */
function reasonOf(response: HttpResponse): string {
  const encoding = encodingOf(response);
  const status = encoding && decodeStatus(response.body, encoding);
  const isText = /^text\/(plain|html)\b/i.test(response.headers['content-type'] ?? '');
  const text = status?.message ?? (isText ? response.body.subarray(0, 800).toString() : '');
  const line = text.replaceAll(/[\p{Cc}\u2028\u2029\s]+/gu, ' ').trim();
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}
