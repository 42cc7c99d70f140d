// Finding the samples for which a receiver refuses a whole request.
import { ExportError } from '../data/errors.ts';
import { isAboutConnection } from '../data/owed-points.ts';
import type { PartialSuccess } from '../encoding/otlp-response.ts';
import type { RemoteWriteVersion } from '../encoding/remote-write-message.ts';
import type { SendWrite, WriteRequest } from './remote-write-transport.ts';

/** How often one export may cut a request in two; one bad sample among 2,000 takes eleven cuts. */
const MAX_CUTS = 64;

/** What is known of refusals, for all requests of an export. */
export interface Cuts {
  left: number;
  /** What the receiver says to a request without samples; undefined where it takes it. */
  toNothing?: Promise<string | undefined>;
}

export const cutsOfExport = (): Cuts => ({ left: MAX_CUTS });

interface Progress {
  readonly pending: WriteRequest[];
  rejected: number;
  /** Why, as the first answer has it. */
  reason: string | undefined;
  because: ExportError | undefined;
}

/**
 * Version 1.0 answers 400 for all of a request when one of its samples is too old or out of order. It is cut in two, and those
 * again, until such samples are alone or there have been enough cuts, so that the others arrive. Some gateways answer 400 for
 * a token or a tenant that they do not know, so the first that is refused is followed by a request without samples: where that
 * is refused in the same words, no sample is to blame.
 *
 * @returns sends a request; when it is asked to send the same one again, it goes on with the pieces that are left
 */
export function isolating(send: SendWrite) {
  const progressOf = new WeakMap<WriteRequest, Progress>();

  /** @throws ExportError where it has nothing to do with the samples */
  async function blamingSamples(
    refusal: ExportError,
    request: WriteRequest,
    cuts: Cuts,
    signal: AbortSignal,
  ) {
    const { message } = refusal;
    cuts.toNothing ??= send(withoutSamples(request), signal).then(
      ({ badRequest }) => badRequest?.message,
      (error) => {
        const cause = ExportError.from(error);
        // Refused for good in another way than the samples, such as for having none.
        if (!cause.retryable && !isAboutConnection(cause)) return cause.message;
        throw cause;
      },
    );
    let toNothing: string | undefined;
    try {
      toNothing = await cuts.toNothing;
    } catch (error) {
      delete cuts.toNothing;
      throw error;
    }
    if (toNothing !== message) return;
    const text = message.replace(`[${refusal.code}] `, '');
    throw new ExportError('UNAUTHENTICATED', `${text} (and so is a request without samples)`);
  }

  return async (
    request: WriteRequest,
    cuts: Cuts,
    signal: AbortSignal,
  ): Promise<PartialSuccess | undefined> => {
    const progress = progressOf.get(request) ?? {
      pending: [request],
      rejected: 0,
      reason: undefined,
      because: undefined,
    };
    progressOf.set(request, progress);
    const { pending } = progress;
    while (pending.length > 0) {
      const [piece] = pending as [WriteRequest];
      // All of its points may have been left out.
      const { partial, badRequest } = piece.body.length > 0 ? await send(piece, signal) : {};
      const { from, to } = piece;
      if (badRequest !== undefined) await blamingSamples(badRequest, piece, cuts, signal);
      if (badRequest !== undefined && to - from > 1 && cuts.left > 0) {
        cuts.left--;
        const middle = Math.ceil((from + to) / 2);
        pending.splice(0, 1, await piece.piece(from, middle), await piece.piece(middle, to));
        continue;
      }
      pending.shift();
      progress.because ??= badRequest;
      progress.reason ??= badRequest?.message ?? partial?.errorMessage;
      progress.rejected += badRequest === undefined ? (partial?.rejectedDataPoints ?? 0) : to - from;
    }
    const { rejected, reason, because } = progress;
    if (because !== undefined && rejected >= request.to - request.from) throw because;
    return reason === undefined ? undefined : { rejectedDataPoints: rejected, errorMessage: reason };
  };
}

/** In version 2.0 with its first symbol, which is to be there always and empty. */
const NOTHING: Record<RemoteWriteVersion, Uint8Array> = {
  '1.0': new Uint8Array(0),
  '2.0': Uint8Array.of(0x22, 0),
};

function withoutSamples(request: WriteRequest): WriteRequest {
  const counts = { samples: 0, histograms: 0, exemplars: 0 };
  const nothing = (version: RemoteWriteVersion) => ({ ...request, version, body: NOTHING[version], counts });
  return { ...nothing(request.version), encodedIn: async (version) => nothing(version) };
}
