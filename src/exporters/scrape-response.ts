// Answers through Node's own servers: as fast as the scraper reads, without holding up the event loop.
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
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
  response.once('close', () => gone.abort());
  // Writing to a connection that has just closed emits an error, which nobody needs and which would be thrown.
  response.on('error', () => gone.abort());
  response.setTimeout(STALLED_MILLIS, () => response.destroy());

  const { status, headers, body, cutOff, error } = await answer(scrapeRequest(request), gone.signal);
  cutOff?.addEventListener('abort', () => response.destroy(), { once: true, signal: gone.signal });
  response.statusCode = status;
  for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
  try {
    if (typeof body === 'string') response.end(body);
    else {
      for await (const chunk of body) {
        if (!response.write(chunk)) await once(response, 'drain', { signal: gone.signal });
      }
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
