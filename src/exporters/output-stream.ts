// Writing to standard output and the like, whose reader may be slow, or gone.
import type { Writable } from 'node:stream';
import { ExportError } from '../data/errors.ts';

/** Settles once the stream has passed the piece on, which is what keeps more than one piece from waiting in memory. */
export function written(stream: Writable, piece: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    // Such a stream keeps what it is given and says nothing.
    if (stream.errored) return reject(outputError(stream.errored));
    const release = guard(stream);
    stream.write(piece, (error) => {
      // The failure is emitted right after the callback.
      setImmediate(release);
      if (error) reject(outputError(error));
      else resolve();
    });
  });
}

const guards = new WeakMap<Writable, number>();
const ignore = () => {};

/** Without a listener a failure would end the process. One listener for all writes, or there would seem to be a leak. */
function guard(stream: Writable): () => void {
  const count = (by: number) => {
    const before = guards.get(stream) ?? 0;
    guards.set(stream, before + by);
    if (before === 0) stream.on('error', ignore);
    if (before + by === 0) stream.off('error', ignore);
  };
  count(1);
  return () => count(-1);
}

function outputError(error: NodeJS.ErrnoException): ExportError {
  const isGone = error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED';
  const reason = isGone ? 'whoever read it has gone' : error.message;
  return new ExportError('IO', `cannot write to the output (${error.code}): ${reason}`, {
    retryable: !isGone,
    cause: error,
  });
}
