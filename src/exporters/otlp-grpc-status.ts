// What a gRPC status means for an export (OTLP specification, "OTLP/gRPC response").
import { ExportError, type ExportErrorCode } from '../data/errors.ts';
import { NOTHING_OWED } from '../data/owed-points.ts';
import { decodeStatus } from '../encoding/otlp-response.ts';
import type { GrpcAnswer } from '../net/grpc-client.ts';

export type GrpcFailure = Exclude<GrpcAnswer, { code: 0 }>;

interface Meaning {
  readonly name: string;
  readonly code: ExportErrorCode;
  readonly retryable: boolean;
}

const RESOURCE_EXHAUSTED = 8;
const OUT_OF_RANGE = 11;

/** By status code. The specification's table decides on `retryable`. */
const MEANINGS: Record<number, Meaning> = {
  1: { name: 'CANCELLED', code: 'UNAVAILABLE', retryable: true },
  2: { name: 'UNKNOWN', code: 'REJECTED', retryable: false },
  3: { name: 'INVALID_ARGUMENT', code: 'REJECTED', retryable: false },
  4: { name: 'DEADLINE_EXCEEDED', code: 'TIMEOUT', retryable: true },
  5: { name: 'NOT_FOUND', code: 'REJECTED', retryable: false },
  6: { name: 'ALREADY_EXISTS', code: 'REJECTED', retryable: false },
  7: { name: 'PERMISSION_DENIED', code: 'UNAUTHENTICATED', retryable: false },
  [RESOURCE_EXHAUSTED]: { name: 'RESOURCE_EXHAUSTED', code: 'REJECTED', retryable: false },
  9: { name: 'FAILED_PRECONDITION', code: 'REJECTED', retryable: false },
  10: { name: 'ABORTED', code: 'UNAVAILABLE', retryable: true },
  [OUT_OF_RANGE]: { name: 'OUT_OF_RANGE', code: 'UNAVAILABLE', retryable: true },
  12: { name: 'UNIMPLEMENTED', code: 'PROTOCOL', retryable: false },
  13: { name: 'INTERNAL', code: 'REJECTED', retryable: false },
  14: { name: 'UNAVAILABLE', code: 'UNAVAILABLE', retryable: true },
  15: { name: 'DATA_LOSS', code: 'UNAVAILABLE', retryable: true },
  16: { name: 'UNAUTHENTICATED', code: 'UNAUTHENTICATED', retryable: false },
};

/** Servers in Go, Java, C++, .NET and Rust each say in other words that a message is too large for them. */
const TOO_LARGE =
  /larger than max|too (large|big|long)|(max|exceed|limit).*\b(size|bytes|length)\b|\b(size|bytes|length)\b.*(max|exceed|limit)/i;
/** What grpc-js says when it refuses an answer; some servers say the same of a request, without having begun to answer. */
const ANSWER_TOO_LARGE = /^Received message (larger than max|that decompresses)/;
/** grpc-js reports so that a stream was reset, by whomever: no status of the server's, and so not its last word. */
const STREAM_RESET = /^Received RST_STREAM|^Bandwidth exhausted or memory limit exceeded$/;
const HANDSHAKE = /certificate|self-signed|\bSSL\b|\bTLS\b|altnames|EPROTO|unable to (verify|get)/i;

/** @param shown the address, without secrets */
export function exportErrorOf(shown: string, failure: GrpcFailure): ExportError {
  const { code, details, statusDetails, hasHeaders } = failure;
  const status = statusDetails && decodeStatus(statusDetails, 'protobuf');
  const retryAfterMs = status?.retryDelayMs;
  const meaning = MEANINGS[code] ?? { name: `status ${code}`, code: 'PROTOCOL', retryable: false };
  const text = oneLine(details || status?.message || 'no reason given');
  const failed = (is: ExportErrorCode, retryable: boolean, message: string) =>
    new ExportError(is, message, {
      retryable,
      ...(retryable && retryAfterMs !== undefined && { retryAfterMs }),
    });
  const answered = `${shown} answered ${meaning.name}: ${text}`;

  if (STREAM_RESET.test(details)) {
    return failed('UNAVAILABLE', true, `${shown} ended the call without an answer: ${text}`);
  }
  if (code === RESOURCE_EXHAUSTED && hasHeaders && ANSWER_TOO_LARGE.test(details)) {
    // A message is what servers answer with when they have taken the request.
    return new ExportError('PROTOCOL', `the answer of ${shown} is too large: ${text}`, {
      undelivered: NOTHING_OWED,
    });
  }
  if (code === RESOURCE_EXHAUSTED && retryAfterMs !== undefined) return failed('THROTTLED', true, answered);
  if ((code === RESOURCE_EXHAUSTED || code === OUT_OF_RANGE) && TOO_LARGE.test(details)) {
    return failed('TOO_LARGE', false, answered);
  }
  if (meaning.code === 'UNAVAILABLE' && retryAfterMs !== undefined)
    return failed('THROTTLED', true, answered);
  if (
    /^Received HTTP status code/.test(details) &&
    !meaning.retryable &&
    meaning.code !== 'UNAUTHENTICATED'
  ) {
    return failed('PROTOCOL', false, `${shown} does not speak gRPC: ${text}`);
  }
  if (/^No connection established|^Name resolution failed/.test(details)) {
    const reason = text.replace(/^No connection established\. Last error: (Error: )?/, '');
    // Both may pass: certificates are renewed, and nothing was delivered.
    return HANDSHAKE.test(reason)
      ? failed('TLS', true, `no secure connection to ${shown}: ${reason}`)
      : failed('UNAVAILABLE', true, `${shown} cannot be reached: ${reason}`);
  }
  return failed(meaning.code, meaning.retryable, answered);
}

/** A log entry must not be able to forge the next one, nor to flood the log. */
function oneLine(text: string): string {
  const short = text.length > 1_000 ? `${text.slice(0, 1_000)}…` : text;
  return short.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}
