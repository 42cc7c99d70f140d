// Writing to standard output and the like, whose reader may be slow, or gone.
import type { Writable } from 'node:stream';
import { ExportError } from '../data/errors.ts';

/** Settles once the stream has passed the piece on, which is what keeps more than one piece from waiting in memory. */
export function written(stream: Writable, piece: string | Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    // Without a listener the failure would end the process. It is emitted right after the callback.
    const ignore = () => {};
    stream.on('error', ignore);
    stream.write(piece, (error) => {
      setImmediate(() => stream.off('error', ignore));
      if (error) reject(outputError(error));
      else resolve();
    });
  });
}

function outputError(error: NodeJS.ErrnoException): ExportError {
  const isGone = error.code === 'EPIPE' || error.code === 'ERR_STREAM_DESTROYED';
  const reason = isGone ? 'whoever read it has gone' : error.message;
  return new ExportError('IO', `cannot write to the output (${error.code}): ${reason}`, {
    retryable: !isGone,
    cause: error,
  });
}
