// What the answer of a server means that explains itself in plain text, as Prometheus and its relatives do.
import { ExportError } from '../data/errors.ts';
import type { HttpResponse } from '../net/http-client.ts';
import { retryAfterMillis } from '../net/retry-after.ts';
import { oneLine, refusalCode } from './http-status.ts';

/** Long enough for the label sets that Prometheus quotes, short enough for a line of a log. */
const MAX_REASON = 500;

/** 429 and all of 5xx. */
export const mayPass = (status: number): boolean => status >= 500 || status === 429;

/**
 * The error that any other answer is.
 *
 * @param name of whoever sent the request, with the address, without secrets
 * @param retryable whether the same request may be taken later
 */
export function answerError(
  name: string,
  response: HttpResponse,
  retryable = mayPass(response.status),
): ExportError {
  const { status, headers } = response;
  const said = reasonIn(response);
  const message = `${name} was answered ${status}${said && `: ${said}`}`;
  if (!retryable) return new ExportError(refusalCode(status), message);
  const retryAfterMs = retryAfterMillis(headers['retry-after'], Date.now());
  const code = status === 429 || retryAfterMs !== undefined ? 'THROTTLED' : 'UNAVAILABLE';
  return new ExportError(code, message, { retryable, retryAfterMs });
}

/** The body in one line, of a gateway's page its title; whatever it is, it goes into a log. */
export function reasonIn({ headers, body }: HttpResponse): string {
  // A character has four bytes at most.
  const text = body.subarray(0, 4 * MAX_REASON).toString();
  const isPage = /^text\/html\b/i.test(headers['content-type'] ?? '');
  const title = isPage ? /<title>([^<]+)/i.exec(text)?.[1] : undefined;
  return oneLine(title ?? text, MAX_REASON);
}
