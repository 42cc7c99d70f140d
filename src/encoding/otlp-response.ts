// What an OTLP receiver answers. It may come from any server or from a proxy between: whatever cannot be read says
// nothing, and nothing throws.
import { visitFields } from './protobuf-fields.ts';

/** How OTLP messages are written. */
export const OTLP_ENCODINGS = ['protobuf', 'json'] as const;

export type OtlpEncoding = (typeof OTLP_ENCODINGS)[number];

/** The receiver has taken a request, but not all of it, or has something to say about it. */
export interface PartialSuccess {
  /** 0 with a message is a warning: everything was taken. */
  readonly rejectedDataPoints: number;
  readonly errorMessage: string;
}

/** What an error answer tells beyond its status code (google.rpc.Status). */
export interface ReceiverStatus {
  readonly message: string;
  /** How long the receiver asks to wait (google.rpc.RetryInfo). */
  readonly retryDelayMs: number | undefined;
}

/** Honest answers have some hundred bytes; reading 4 MiB of JSON would hold the event loop for longer than an export may. */
const MAX_BODY_BYTES = 1024 * 1024;
/** More of a message does not help whoever reads the log. */
const MAX_MESSAGE_LENGTH = 1000;
/** UTF-8 needs at most three bytes for each UTF-16 code unit. */
const MAX_MESSAGE_BYTES = 3 * MAX_MESSAGE_LENGTH;

const RETRY_INFO = 'google.rpc.RetryInfo';

/** Reads an ExportMetricsServiceResponse; undefined for plain success and for what is no such message. */
export function decodePartialSuccess(body: Uint8Array, encoding: OtlpEncoding): PartialSuccess | undefined {
  if (body.length > MAX_BODY_BYTES) return undefined;
  const { rejectedDataPoints, errorMessage } =
    (encoding === 'json' ? partialSuccessOfJson(body) : partialSuccessOfProtobuf(body)) ?? NOTHING_REJECTED;
  if (rejectedDataPoints === 0 && errorMessage === '') return undefined;
  return { rejectedDataPoints, errorMessage };
}

/** Reads a google.rpc.Status; undefined for what is no such message. */
export function decodeStatus(body: Uint8Array, encoding: OtlpEncoding): ReceiverStatus | undefined {
  if (body.length === 0 || body.length > MAX_BODY_BYTES) return undefined;
  return encoding === 'json' ? statusOfJson(body) : statusOfProtobuf(body);
}

const NOTHING_REJECTED: PartialSuccess = { rejectedDataPoints: 0, errorMessage: '' };

function partialSuccessOfProtobuf(body: Uint8Array): PartialSuccess | undefined {
  let rejectedDataPoints = 0;
  let errorMessage = '';
  let isRead = true;
  const isResponse = visitFields(body, (number, value) => {
    if (number !== 1 || typeof value === 'number') return;
    isRead &&= visitFields(value, (number, value) => {
      if (number === 1 && typeof value === 'number') rejectedDataPoints = Math.max(0, value);
      else if (number === 2 && typeof value !== 'number') errorMessage = messageOf(value);
    });
  });
  return isResponse && isRead ? { rejectedDataPoints, errorMessage } : undefined;
}

function partialSuccessOfJson(body: Uint8Array): PartialSuccess | undefined {
  const { partialSuccess } = jsonObject(body) ?? {};
  if (!isObject(partialSuccess)) return undefined;
  const { rejectedDataPoints, errorMessage } = partialSuccess;
  // 64-bit integers are strings in protobuf's JSON, yet some receivers write numbers.
  const rejected = typeof rejectedDataPoints === 'string' ? Number(rejectedDataPoints) : rejectedDataPoints;
  return {
    rejectedDataPoints: Number.isInteger(rejected) ? Math.max(0, rejected as number) : 0,
    errorMessage: shortText(errorMessage),
  };
}

function statusOfProtobuf(body: Uint8Array): ReceiverStatus | undefined {
  let message = '';
  let retryDelayMs: number | undefined;
  const isStatus = visitFields(body, (number, value) => {
    if (typeof value === 'number') return;
    if (number === 2) message = messageOf(value);
    else if (number === 3) retryDelayMs ??= retryDelayOfAny(value);
  });
  return isStatus ? { message, retryDelayMs } : undefined;
}

function retryDelayOfAny(any: Uint8Array): number | undefined {
  let type = '';
  let content: Uint8Array = new Uint8Array(0);
  const isAny = visitFields(any, (number, value) => {
    if (typeof value === 'number') return;
    if (number === 1) type = messageOf(value);
    else if (number === 2) content = value;
  });
  if (!isAny || !isRetryInfo(type)) return undefined;
  let seconds = 0;
  let nanos = 0;
  let isRead = true;
  const isRetry = visitFields(content, (number, value) => {
    if (number !== 1 || typeof value === 'number') return;
    isRead &&= visitFields(value, (number, value) => {
      if (number === 1 && typeof value === 'number') seconds = value;
      else if (number === 2 && typeof value === 'number') nanos = value;
    });
  });
  return isRetry && isRead ? millisOf(seconds, nanos) : undefined;
}

function statusOfJson(body: Uint8Array): ReceiverStatus | undefined {
  const status = jsonObject(body);
  if (status === undefined) return undefined;
  const { message, details } = status;
  const retryInfo = (Array.isArray(details) ? details : [])
    .filter(isObject)
    .find((detail) => isRetryInfo(detail['@type']));
  return { message: shortText(message), retryDelayMs: retryInfo && millisOfText(retryInfo.retryDelay) };
}

/** A Duration in protobuf's JSON, such as `1.5s`; one that was left out is zero. */
function millisOfText(duration: unknown): number | undefined {
  if (duration === undefined) return 0;
  const match = typeof duration === 'string' && /^(-?\d{1,12}(?:\.\d{1,9})?)s$/.exec(duration);
  return match ? millisOf(Number(match[1]), 0) : undefined;
}

/** Rounded up, since the receiver asks to wait at least that long. */
function millisOf(seconds: number, nanos: number): number {
  return Math.max(0, Math.ceil(seconds * 1000 + nanos / 1e6));
}

/** The host before the slash of a type URL does not matter. */
function isRetryInfo(type: unknown): boolean {
  return typeof type === 'string' && type.slice(type.lastIndexOf('/') + 1) === RETRY_INFO;
}

const utf8 = new TextDecoder();

function messageOf(bytes: Uint8Array): string {
  return shortText(utf8.decode(bytes.subarray(0, MAX_MESSAGE_BYTES)));
}

/** On one line: a log entry must not be able to forge the next one. */
function shortText(text: unknown): string {
  if (typeof text !== 'string') return '';
  const short = text.length > MAX_MESSAGE_LENGTH ? `${text.slice(0, MAX_MESSAGE_LENGTH)}…` : text;
  return short.replaceAll(/[\p{Cc}\u2028\u2029]+/gu, ' ');
}

function jsonObject(body: Uint8Array): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(utf8.decode(body));
    return isObject(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
