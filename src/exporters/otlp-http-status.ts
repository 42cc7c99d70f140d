// What an HTTP status means for an export (OTLP specification, "OTLP/HTTP response").
import { ExportError, type ExportErrorCode } from '../data/errors.ts';
import { decodeStatus, type OtlpEncoding } from '../encoding/otlp-response.ts';
import type { HttpResponse } from '../net/http-client.ts';
import { retryAfterMillis } from '../net/retry-after.ts';
import { oneLine, refusalCode } from './http-status.ts';

/** Those that the specification names, and no others. */
const RETRYABLE: ReadonlySet<number> = new Set([429, 502, 503, 504]);

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
  if (!retryable) return new ExportError(codeOf(status, said), message);
  const code = status === 429 || retryAfterMs !== undefined ? 'THROTTLED' : 'UNAVAILABLE';
  return new ExportError(code, message, { retryable, retryAfterMs });
}

function codeOf(status: number, said: string): ExportErrorCode {
  // The Collector answers 400 where 413 is meant; the words are those of Go's HTTP server.
  if (status === 400 && said.includes('request body too large')) return 'TOO_LARGE';
  return status === 501 ? 'PROTOCOL' : refusalCode(status);
}

/** For whoever reads the log. */
function reasonOf(response: HttpResponse): string {
  const encoding = encodingOf(response);
  const status = encoding && decodeStatus(response.body, encoding);
  const isText = /^text\/(plain|html)\b/i.test(response.headers['content-type'] ?? '');
  const text = status?.message ?? (isText ? response.body.subarray(0, 800).toString() : '');
  return oneLine(text, 200);
}
