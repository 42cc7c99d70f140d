// A batch to a receiver of remote write: in parts that are delivered at the same time.
import { report } from '../data/diagnostics.ts';
import { ExportError } from '../data/errors.ts';
import { MetricBatch } from '../data/metric-batch.ts';
import { sliceBatch } from '../data/slice-batch.ts';
import { inSlices } from '../data/time-slice.ts';
import type { PartialSuccess } from '../encoding/otlp-response.ts';
import { type EncodedWrite, encodeRemoteWrite, type RemoteWriteBatch } from '../encoding/remote-write.ts';
import type { RemoteWriteVersion } from '../encoding/remote-write-message.ts';
import type { RetryPolicy } from '../net/backoff.ts';
import { type Deliver, otlpDelivery } from './otlp-delivery.ts';
import { type Cuts, cutsOfExport, isolating } from './remote-write-isolation.ts';
import type { Negotiation, SendWrite, WriteRequest } from './remote-write-transport.ts';

export interface RemoteWriteDeliveryOptions {
  readonly name: string;
  readonly negotiation: Negotiation;
  /** One for each request that may be under way. */
  readonly senders: readonly SendWrite[];
  readonly maxSamples: number;
  readonly maxRequestBytes: number;
  readonly timeoutMillis: number;
  readonly retry: RetryPolicy;
  readonly closing: AbortSignal;
}

/** Fewer are not worth a connection. */
const MIN_POINTS_PER_PART = 256;

/**
 * In a batch each series has one sample, so parts need not wait for one another. Batches do: whoever calls this delivers them
 * one after the other.
 *
 * @param batch whose points the errors name
 * @param prepared the same, for the encoder
 */
export function remoteWriteDelivery(options: RemoteWriteDeliveryOptions) {
  const { name, negotiation, senders, maxSamples, maxRequestBytes, timeoutMillis, retry, closing } = options;
  const parts = new WeakMap<MetricBatch, { prepared: RemoteWriteBatch; from: number; cuts: Cuts }>();
  const requests = new WeakMap<Uint8Array, { request: WriteRequest; cuts: Cuts; isStale: boolean }>();

  const deliveries = senders.map((sender): Deliver => {
    const send = isolating(sender);
    return otlpDelivery({
      transport: {
        name,
        send: async (body, { signal }) => {
          const sent = requests.get(body);
          // Without a request there was nothing to encode.
          if (sent === undefined) return undefined;
          const answer = send(sent.request, sent.cuts, signal);
          return sent.isStale ? unlessRefused(name, answer) : answer;
        },
        shutdown: async () => {},
      },
      *encode(part, range) {
        const { prepared, from: offset, cuts } = parts.get(part)!;
        const { maxBytes, memory } = range;
        const { version } = negotiation;
        const from = range.from + offset;
        const whole = { from, to: range.to + offset, maxBytes, maxSamples, memory, version };
        const encoded = yield* encodeRemoteWrite(prepared, whole);
        if (encoded.body.length > 0)
          requests.set(encoded.body, {
            request: writeRequest(prepared, from, version, encoded),
            cuts,
            isStale: prepared.isStale,
          });
        return { ...encoded, next: encoded.next - offset };
      },
      maxRequestBytes,
      timeoutMillis,
      retry,
      closing,
    });
  });
  return async (
    batch: MetricBatch,
    prepared: RemoteWriteBatch,
    signal?: AbortSignal,
  ): Promise<ExportError | undefined> => {
    const { pointCount } = batch;
    const cuts = cutsOfExport();
    const count = Math.max(1, Math.min(deliveries.length, Math.floor(pointCount / MIN_POINTS_PER_PART)));
    const slices = Array.from({ length: count }, (_, i) => {
      const from = Math.floor((i * pointCount) / count);
      const slice = sliceBatch(batch, from, Math.floor(((i + 1) * pointCount) / count));
      parts.set(slice, { prepared, from, cuts });
      return slice;
    });
    const results = await Promise.allSettled(slices.map((slice, i) => deliveries[i]!(slice, signal)));
    return together(name, batch, slices, results);
  };
}

/** Of refused ends of series nothing is lost that was measured, so nobody has to count or to do anything. */
async function unlessRefused(name: string, answer: Promise<PartialSuccess | undefined>): Promise<undefined> {
  let reason: string | undefined;
  try {
    reason = (await answer)?.errorMessage;
  } catch (error) {
    const cause = ExportError.from(error);
    if (cause.code !== 'REJECTED') throw cause;
    reason = textOf(cause);
  }
  if (reason === undefined) return;
  report(
    'info',
    `remote-write-ends:${name}`,
    `${name} did not take the ends of some series, as when another process goes on with them; otherwise queries show their last values for up to five minutes: ${reason}`,
  );
}

function writeRequest(
  prepared: RemoteWriteBatch,
  from: number,
  version: RemoteWriteVersion,
  encoded: EncodedWrite,
): WriteRequest {
  const to = encoded.next;
  // All of them, whatever size they have now.
  const anew = (first: number, end: number, other: RemoteWriteVersion) =>
    inSlices(
      encodeRemoteWrite(prepared, {
        from: first,
        to: end,
        maxBytes: Infinity,
        maxSamples: Infinity,
        version: other,
      }),
    );
  return {
    ...encoded,
    version,
    from,
    to,
    encodedIn: (other) => anew(from, to, other),
    piece: async (first, end) => writeRequest(prepared, first, version, await anew(first, end, version)),
  };
}

/** @throws ExportError where a part failed, with what all parts still owe */
function together(
  name: string,
  batch: MetricBatch,
  slices: readonly MetricBatch[],
  results: readonly PromiseSettledResult<ExportError | undefined>[],
): ExportError | undefined {
  if (results.length === 1) {
    const [only] = results;
    if (only!.status === 'rejected') throw only!.reason;
    return only!.value;
  }
  const owed: MetricBatch[] = [];
  let rejected = 0;
  let cause: ExportError | undefined;
  let refusal: ExportError | undefined;
  let retryAfterMs: number | undefined;
  results.forEach((result, i) => {
    if (result.status === 'fulfilled') {
      refusal ??= result.value;
      rejected += result.value?.rejectedDataPoints ?? 0;
      return;
    }
    const error = ExportError.from(result.reason);
    const slice = slices[i]!;
    const undelivered = error.undelivered ?? (error.retryable ? slice : undefined);
    if (undelivered !== undefined) owed.push(undelivered);
    rejected += error.rejectedDataPoints ?? (undelivered === undefined ? slice.pointCount : 0);
    if (error.retryAfterMs !== undefined) retryAfterMs = Math.max(retryAfterMs ?? 0, error.retryAfterMs);
    // One that may pass says what to wait for.
    if (cause === undefined || (error.retryable && !cause.retryable)) cause = error;
  });
  if (cause === undefined) {
    if (refusal === undefined) return undefined;
    const message = `${name} refused ${rejected} of ${batch.pointCount} points: ${textOf(refusal)}`;
    return new ExportError('REJECTED', message, { rejectedDataPoints: rejected });
  }
  const undelivered = new MetricBatch(
    batch.resource,
    owed.flatMap(({ scopeMetrics }) => scopeMetrics),
  );
  const owedPoints = undelivered.pointCount;
  const isWhole = owedPoints === batch.pointCount || rejected === batch.pointCount;
  const message = isWhole
    ? textOf(cause)
    : `of ${batch.pointCount} points, ${owedPoints} are still to be delivered and ${rejected} were refused for good: ${textOf(cause)}`;
  throw new ExportError(cause.code, message, {
    retryable: owedPoints > 0,
    retryAfterMs,
    rejectedDataPoints: rejected > 0 && !isWhole ? rejected : undefined,
    undelivered: owedPoints > 0 && !isWhole ? undelivered : undefined,
    cause,
  });
}

function textOf({ code, message }: ExportError): string {
  return message.replace(`[${code}] `, '');
}
