// Answers through Node's own servers: as fast as the scraper reads, without holding up the event loop.
import { type IncomingMessage, ServerResponse } from 'node:http';
import { constants, Http2ServerResponse } from 'node:http2';
import { Socket } from 'node:net';
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
    cutOff(response);
  };
  response.once('close', () => gone.abort());
  // Writing to a response that someone else has ended emits an error, which would be thrown.
  response.on('error', giveUp);
  // Whoever had the request before may have taken so long that nobody tells any more.
  if (response.destroyed) giveUp();

  const { status, headers, body, outdated, error } = await answer(scrapeRequest(request), gone.signal);
  outdated?.addEventListener('abort', giveUp, { once: true, signal: gone.signal });
  // Not that of the connection, which would count the time of the collection too.
  const stalled = setTimeout(giveUp, STALLED_MILLIS).unref();
  gone.signal.addEventListener('abort', () => clearTimeout(stalled), { once: true });
  try {
    response.statusCode = status;
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    if (typeof body === 'string') response.end(body);
    else {
      const send = senderOf(request, response, gone.signal);
      for await (const chunk of body) {
        await send(chunk);
        stalled.refresh();
      }
      response.end();
    }
  } catch (reason) {
    if (gone.signal.aborted) return;
    cutOff(response);
    throw reason;
  }
  if (error !== undefined) throw error;
}

/** What was sent looks like a whole answer unless the connection breaks, or in HTTP/2 the stream. */
function cutOff(response: ServerResponse | Http2ServerResponse): void {
  if (response instanceof Http2ServerResponse) response.stream?.close(constants.NGHTTP2_INTERNAL_ERROR);
  response.destroy();
}

/** Those of Node itself. */
const WRITES = new Set<unknown>([ServerResponse.prototype.write, Http2ServerResponse.prototype.write]);

/**
 * What it gives resolves when the connection has taken the chunk, whose memory may be used again from then on, and
 * rejects when the scraper has gone.
 */
function senderOf(
  request: IncomingMessage,
  response: ServerResponse,
  gone: AbortSignal,
): (chunk: Uint8Array) => Promise<void> {
  let taken: (() => void) | undefined;
  let failed: ((reason: unknown) => void) | undefined;
  const wake = () => taken?.();
  gone.addEventListener('abort', () => failed?.(gone.reason), { once: true });
  // A middleware's own may keep the chunk and forget the callback. A connection within the process hands it on as it is.
  const isForeign = !WRITES.has(response.write) || !(request.socket instanceof Socket);
  // A single listener, since a middleware may lose those that it is asked to remove.
  if (isForeign) response.on('drain', wake);
  return (chunk) =>
    new Promise((resolve, reject) => {
      if (gone.aborted) return reject(gone.reason);
      [taken, failed] = [resolve, reject];
      if (isForeign) {
        // As for `pipe`, nothing but `false` says to wait.
        if (response.write(Buffer.from(chunk)) !== false) wake();
        // A failure is told to the response too, which ends the wait.
      } else response.write(chunk, (error) => error || wake());
    });
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
