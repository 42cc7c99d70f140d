// A batch to an OTLP receiver: cut into requests, each compressed, sent and tried again on its own, in order.
import { setImmediate } from 'node:timers/promises';
import { report } from '../data/diagnostics.ts';
import { ExportError } from '../data/errors.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { isAboutConnection } from '../data/owed-points.ts';
import { inSlices } from '../data/time-slice.ts';
import { type EncodeRequest, REFUSED_POINT_ROOM } from '../encoding/otlp-request.ts';
import type { PartialSuccess } from '../encoding/otlp-response.ts';
import { type RetryPolicy, retrying } from '../net/backoff.ts';
import { withDeadline } from '../net/deadline.ts';
import type { OtlpTransport } from './otlp-transport.ts';
import { OwedRanges } from './owed-ranges.ts';

export interface OtlpDeliveryOptions {
  readonly transport: OtlpTransport;
  readonly encode: EncodeRequest;
  /** Absent where the transport compresses, or nobody does. */
  readonly compress?: (body: Uint8Array) => Promise<Uint8Array>;
  /** Before compression. */
  readonly maxRequestBytes: number;
  /** For the whole batch, with all its requests and retries; Infinity for no limit. */
  readonly timeoutMillis: number;
  readonly retry: RetryPolicy;
  /** Aborts when the exporter is to end: nothing waits for another attempt any more, and each request left has one. */
  readonly closing?: AbortSignal;
}

/**
 * Delivers one batch. Holds one request at a time, beside its compressed form, in memory that requests share.
 *
 * A request that fails in a way that may pass is owed, one refused for good is lost, and the others are sent all the same:
 * one request that a receiver chokes on must not keep those behind it from being delivered. Only when the receiver asks for
 * a longer pause than there is time for is nothing more sent.
 *
 * @returns what the receiver refused of a batch that it took (partial success), if anything
 * @throws ExportError with the points still owed, and how many were refused
 */
export type Deliver = (batch: MetricBatch, signal?: AbortSignal) => Promise<ExportError | undefined>;

export function otlpDelivery(options: OtlpDeliveryOptions): Deliver {
  const { transport, encode, compress, maxRequestBytes, timeoutMillis, retry, closing } = options;
  const { name } = transport;
  /**
   * Of the last request that was sent, for the next: megabytes of garbage each time would make the garbage collector stop the
   * host. Kept from the first batch on that takes several requests.
   */
  let memory: Buffer<ArrayBuffer> | undefined;

  async function send(request: Uint8Array, points: number, deadline: number, signal: AbortSignal) {
    const waits = new AbortController();
    const endWaits = () => waits.abort();
    for (const end of [signal, closing]) {
      if (end?.aborted) endWaits();
      else end?.addEventListener('abort', endWaits, { signal: waits.signal });
    }
    try {
      const body = compress ? await compress(request) : request;
      const attempt = () =>
        transport.send(body, { points, timeoutMillis: Math.max(0, deadline - performance.now()), signal });
      return await retrying(attempt, retry, { signal: waits.signal, deadline });
    } finally {
      endWaits();
    }
  }

  async function deliverWithin(batch: MetricBatch, signal: AbortSignal): Promise<ExportError | undefined> {
    const deadline = performance.now() + timeoutMillis;
    const outcome = new Outcome(name);
    const end = batch.pointCount;
    let maxBytes = maxRequestBytes;
    // The turn of the loop in which the points were collected is long enough.
    await setImmediate();
    for (let from = 0; from < end; ) {
      let next = end;
      // Not given back after a failure, when what is in it may still be on its way.
      const lent = memory;
      memory = undefined;
      try {
        let request = await inSlices(encode(batch, { from, to: end, maxBytes, memory: lent }), { signal });
        if (request.oversizedBytes !== undefined && maxBytes < maxRequestBytes) {
          // Too large for what has been learned, so it goes alone, and the receiver decides.
          const alone = { from, to: from + 1, maxBytes: maxRequestBytes };
          request = await inSlices(encode(batch, alone), { signal });
        }
        next = request.next;
        if (request.oversizedBytes !== undefined) {
          outcome.refused(oversized(request.oversizedBytes, maxRequestBytes), 1);
        } else {
          const points = next - from;
          try {
            outcome.answered(await send(request.body, points, deadline, signal), points);
            memory ??=
              lent ?? (next < end ? Buffer.allocUnsafeSlow(maxRequestBytes + REFUSED_POINT_ROOM) : undefined);
          } catch (error) {
            const cause = ExportError.from(error);
            if (cause.code !== 'TOO_LARGE' || points === 1) throw cause;
            maxBytes = Math.floor(request.body.length / 2);
            report(
              'warn',
              `otlp-too-large:${name}`,
              `${name} refuses a request of ${request.body.length} bytes as too large; it is sent in halves: set maxRequestBytes below`,
            );
            continue;
          }
        }
      } catch (error) {
        const cause = ExportError.from(error);
        if (cause.retryable || isAboutConnection(cause)) {
          if (cause.retryAfterMs !== undefined) next = end;
          outcome.owed(cause, from, next);
        } else outcome.refused(cause, next - from);
      }
      from = next;
    }
    return outcome.result(batch);
  }

  return (batch, signal) =>
    withDeadline(`the export to ${name}`, timeoutMillis, signal, (bound) => deliverWithin(batch, bound));
}

/** What became of the points of one batch. */
class Outcome {
  readonly #name: string;
  readonly #owed = new OwedRanges();
  #lost = 0;
  #partial: PartialSuccess = { rejectedDataPoints: 0, errorMessage: '' };
  /** The first of each kind says most: later ones may follow from it. */
  #owedBecause: ExportError | undefined;
  #mayPass = false;
  #lostBecause: ExportError | undefined;

  constructor(name: string) {
    this.#name = name;
  }

  owed(cause: ExportError, from: number, to: number): void {
    this.#owedBecause ??= cause;
    this.#mayPass ||= cause.retryable;
    this.#owed.add(from, to);
  }

  refused(cause: ExportError, points: number): void {
    this.#lostBecause ??= cause;
    this.#lost += points;
  }

  answered(partial: PartialSuccess | undefined, points: number): void {
    if (partial === undefined) return;
    // The number comes from elsewhere.
    const rejected = Math.min(partial.rejectedDataPoints, points);
    const { rejectedDataPoints, errorMessage } = this.#partial;
    this.#partial = {
      rejectedDataPoints: rejectedDataPoints + rejected,
      errorMessage: errorMessage || partial.errorMessage,
    };
    const said = partial.errorMessage || 'it gives no reason';
    if (rejected > 0) {
      report(
        'error',
        `otlp-partial:${this.#name}`,
        `${this.#name} refused ${rejected} of ${points} points: ${said}`,
      );
    } else report('warn', `otlp-warning:${this.#name}`, `${this.#name} took all points and says: ${said}`);
  }

  result(batch: MetricBatch): ExportError | undefined {
    const partial = this.#partial.rejectedDataPoints;
    const rejected = this.#lost + partial;
    const cause = this.#owedBecause ?? this.#lostBecause;
    if (cause === undefined) {
      if (partial === 0) return undefined;
      const message = `${this.#name} refused ${partial} of ${batch.pointCount} points: ${this.#partial.errorMessage}`;
      return new ExportError('REJECTED', message, { rejectedDataPoints: partial });
    }
    if (this.#owedBecause !== undefined && this.#lostBecause !== undefined) {
      const reason = this.#lostBecause.message;
      report(
        'error',
        `otlp-lost:${this.#name}`,
        `${this.#name} refused ${this.#lost} points for good: ${reason}`,
      );
    }
    const isOwed = !this.#owed.isEmpty;
    // A failure that is the same for all points stays as it is.
    const isWhole = isOwed ? rejected === 0 : this.#lost === batch.pointCount;
    const undelivered = isOwed ? this.#owed.of(batch) : undefined;
    if (isWhole && (!isOwed || undelivered!.pointCount === batch.pointCount)) throw cause;
    const owedPoints = undelivered?.pointCount ?? 0;
    const reason = cause.message.replace(`[${cause.code}] `, '');
    throw new ExportError(
      cause.code,
      `of ${batch.pointCount} points, ${owedPoints} are still to be delivered and ${rejected} were refused for good: ${reason}`,
      {
        retryable: this.#mayPass,
        retryAfterMs: cause.retryAfterMs,
        rejectedDataPoints: rejected > 0 ? rejected : undefined,
        undelivered,
        cause,
      },
    );
  }
}

function oversized(bytes: number, limit: number): ExportError {
  return new ExportError(
    'TOO_LARGE',
    `one point takes ${bytes} bytes, and maxRequestBytes is ${limit}; it is dropped: shorten its attributes`,
  );
}
