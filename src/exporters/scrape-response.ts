// Answers through Node's own servers: as fast as the scraper reads, without holding up the event loop.
import { once } from 'node:events';
import { type IncomingMessage, ServerResponse } from 'node:http';
import { Http2ServerResponse } from 'node:http2';
import type { ScrapeAnswer, ScrapeRequest } from './scrape-answer.ts';

/**
 * A scraper that takes nothing for so long is given up: each one holds a collection in memory. Three
 * times the scrape timeout that Prometheus has by default.
 */
export const STALLED_MILLIS = 30_000;

/**
 * Resolves when all is written or the scraper has gone.
 *
 * @throws what the answer failed with, after the response was ended or cut off
 */
export async function answerScrape(
  request: IncomingMessage,
  response: ServerResponse,
  answer: (request: ScrapeRequest, gone: AbortSignal) => Promise<ScrapeAnswer>,
): Promise<void> {
  const gone = new AbortController();
  const giveUp = () => {
    gone.abort();
    response.destroy();
  };
  response.once('close', () => gone.abort());
  // Writing to a connection that has just closed emits an error, which nobody needs and which would be thrown.
  response.on('error', giveUp);
  response.setTimeout(STALLED_MILLIS, giveUp);
  // Whoever had the request before may have taken so long that nobody tells any more.
  if (response.destroyed) giveUp();

  const { status, headers, body, cutOff, error } = await answer(scrapeRequest(request), gone.signal);
  cutOff?.addEventListener('abort', giveUp, { once: true, signal: gone.signal });
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  try {
    if (typeof body === 'string') response.end(body);
    else {
      for await (const chunk of body) await sent(response, chunk, gone.signal);
      response.end();
    }
  } catch (reason) {
    if (gone.signal.aborted) return;
    // What was sent looks like a whole answer unless the connection breaks.
    response.destroy();
    throw reason;
  }
  if (error !== undefined) throw error;
}

/** Resolves when the connection has taken the chunk, whose memory may be used again from then on; rejects when it has gone. */
function sent(response: ServerResponse, chunk: Uint8Array, gone: AbortSignal): Promise<unknown> | undefined {
  if (!WRITES.has(response.write)) {
    // A middleware's own, which may keep the chunk and forget the callback.
    return response.write(Buffer.from(chunk)) ? undefined : once(response, 'drain', { signal: gone });
  }
  return new Promise<void>((resolve, reject) => {
    const onGone = () => reject(gone.reason);
    if (gone.aborted) return onGone();
    gone.addEventListener('abort', onGone, { once: true });
    response.write(chunk, (error) => {
      // A failure is told to the response too, which ends the wait.
      if (error) return;
      gone.removeEventListener('abort', onGone);
      resolve();
    });
  });
}

/** Those of Node itself. */
const WRITES = new Set<unknown>([ServerResponse.prototype.write, Http2ServerResponse.prototype.write]);

function scrapeRequest({ method = '', url = '', headers }: IncomingMessage): ScrapeRequest {
  return {
    method,
    url,
    header(name) {
      const value = headers[name];
      return Array.isArray(value) ? value.join() : value;
    },
  };
}
