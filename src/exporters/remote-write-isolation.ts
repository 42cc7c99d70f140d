// Finding the samples for which a receiver refuses a whole request.
import type { ExportError } from '../data/errors.ts';
import type { PartialSuccess } from '../encoding/otlp-response.ts';
import type { SendWrite, WriteRequest } from './remote-write-transport.ts';

/** How often one export may cut a request in two; one bad sample among 2,000 takes eleven cuts. */
const MAX_CUTS = 64;

/** What cuts are left, for all requests of an export. */
export interface Cuts {
  left: number;
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
 * again, until such samples are alone or there have been enough cuts, so that the others arrive.
 *
 * @returns sends a request; when it is asked to send the same one again, it goes on with the pieces that are left
 */
export function isolating(send: SendWrite) {
  const progressOf = new WeakMap<WriteRequest, Progress>();

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
