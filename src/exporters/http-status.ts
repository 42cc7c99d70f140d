// What HTTP statuses mean for an export, whatever is posted.
import type { ExportErrorCode } from '../data/errors.ts';
import type { HttpResponse } from '../net/http-client.ts';

export const isSuccess = ({ status }: HttpResponse): boolean => status >= 200 && status <= 299;

const CODES: Record<number, ExportErrorCode> = {
  401: 'UNAUTHENTICATED',
  403: 'UNAUTHENTICATED',
  404: 'PROTOCOL',
  405: 'PROTOCOL',
  406: 'PROTOCOL',
  407: 'UNAUTHENTICATED',
  413: 'TOO_LARGE',
  415: 'PROTOCOL',
};

/** Why a request was refused for good. */
export function refusalCode(status: number): ExportErrorCode {
  return CODES[status] ?? 'REJECTED';
}

/** What a server said, whatever it is, in one line of a log. */
export function oneLine(text: string, maxLength: number): string {
  const line = text.replaceAll(/[\p{Cc}\u2028\u2029\s]+/gu, ' ').trim();
  return line.length > maxLength ? `${line.slice(0, maxLength)}…` : line;
}
