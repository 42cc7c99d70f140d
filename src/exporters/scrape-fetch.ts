// Answers through servers in the manner of `fetch`: a `Request` in, a `Response` out.
import type { ScrapeAnswer, ScrapeRequest } from './scrape-answer.ts';
import { STALLED_MILLIS } from './scrape-response.ts';

/** What is read of a `Request`; those of other runtimes have it too. */
export interface FetchRequest {
  readonly method: string;
  readonly url: string;
  readonly headers: { get(name: string): string | null };
  readonly signal?: AbortSignal;
}

/**
 * @param onFailure told of what the answer failed with, after or instead of the body
 */
export async function fetchScrape(
  request: FetchRequest,
  answer: (request: ScrapeRequest, gone: AbortSignal) => Promise<ScrapeAnswer>,
  onFailure: (error: unknown) => void,
): Promise<Response> {
  const gone = new AbortController();
  const signal = request.signal === undefined ? gone.signal : AbortSignal.any([gone.signal, request.signal]);
  const scrape: ScrapeRequest = {
    method: request.method,
    url: request.url,
    header: (name) => request.headers.get(name) ?? undefined,
  };
  const { status, headers, body, outdated, error } = await answer(scrape, signal);
  if (error !== undefined) onFailure(error);
  const content =
    typeof body === 'string'
      ? request.method === 'HEAD'
        ? null
        : body
      : streamOf(body, gone, signal, outdated, onFailure);
  return new Response(content, { status, headers });
}

function streamOf(
  chunks: AsyncGenerator<Uint8Array, void, undefined>,
  gone: AbortController,
  signal: AbortSignal,
  outdated: AbortSignal | undefined,
  onFailure: (error: unknown) => void,
): ReadableStream<Uint8Array> {
  let stalled: NodeJS.Timeout | undefined;
  async function end() {
    clearTimeout(stalled);
    gone.abort();
    // Not before the chunk on its way is done, and never with an error that anyone waits for.
    await chunks.return().catch(() => {});
  }
  return new ReadableStream<Uint8Array>(
    {
      start(controller) {
        const giveUp = () => {
          controller.error(new Error('the scraper reads too slowly'));
          void end();
        };
        stalled = setTimeout(giveUp, STALLED_MILLIS).unref();
        outdated?.addEventListener('abort', giveUp, { once: true, signal: gone.signal });
        const stop = () => {
          controller.error(signal.reason);
          void end();
        };
        // It may be that nobody asks for the next chunk, nor cancels the stream.
        signal.addEventListener('abort', stop, { once: true });
      },
      async pull(controller) {
        try {
          const { done, value } = await chunks.next();
          if (gone.signal.aborted) return;
          stalled?.refresh();
          if (!done) {
            controller.enqueue(new Uint8Array(value));
            return;
          }
          controller.close();
        } catch (error) {
          if (gone.signal.aborted) return;
          onFailure(error);
          controller.error(error);
        }
        await end();
      },
      cancel: end,
    },
    { highWaterMark: 0 },
  );
}
