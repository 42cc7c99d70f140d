// One answer to one scraper: as fast as it reads, without holding up the event loop.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { sliced } from '../net/time-slice.ts';

/** What a scraper gets. */
export interface Exposition {
  readonly contentType: string;
  readonly chunks: Iterable<Uint8Array>;
}

/**
 * A scraper that takes nothing for so long is given up: each one holds a collection in memory. Three
 * times the scrape timeout that Prometheus has by default.
 */
const STALLED_MILLIS = 30_000;

/**
 * Answers GET and HEAD with what `expose` resolves with, and with 500 when it rejects. Resolves when all is
 * written or the scraper has gone.
 *
 * @throws what `expose` rejects with or its chunks throw, after the response was ended or cut off
 */
export async function answerScrape(
  request: IncomingMessage,
  response: ServerResponse,
  expose: () => Promise<Exposition>,
): Promise<void> {
  const gone = new AbortController();
  response.once('close', () => gone.abort());
  // Writing to a connection that has just closed emits an error, which nobody needs and which would be thrown.
  response.on('error', () => gone.abort());
  response.setTimeout(STALLED_MILLIS, () => response.destroy());

  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('Allow', 'GET, HEAD');
    refuse(response, 405, 'Metrics are read with GET.');
    return;
  }
  try {
    const { contentType, chunks } = await expose();
    response.setHeader('Content-Type', contentType);
    if (request.method === 'GET') {
      for await (const chunk of sliced(chunks, { signal: gone.signal })) {
        if (!response.write(chunk)) await once(response, 'drain', { signal: gone.signal });
      }
    }
    response.end();
  } catch (error) {
    if (gone.signal.aborted) return;
    // What was sent looks like a whole answer unless the connection breaks.
    if (response.headersSent) response.destroy();
    else refuse(response, 500, 'The metrics could not be collected; the log of the process says why.');
    throw error;
  }
}

export function refuse(response: ServerResponse, status: number, why: string): void {
  response.statusCode = status;
  response.setHeader('Content-Type', 'text/plain; charset=utf-8');
  response.end(`${why}\n`);
}
