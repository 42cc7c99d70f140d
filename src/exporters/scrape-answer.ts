// The answer to one scraper, whichever server it came through.
import type { MetricBatch } from '../data/metric-batch.ts';
import { ownTurn, sliced } from '../data/time-slice.ts';
import type { PrometheusEncodingOptions } from '../encoding/prometheus-options.ts';
import { compressedStream, STREAM_COMPRESSIONS } from '../net/compression.ts';
import type { Authentication } from './scrape-authentication.ts';
import type { HeldBatch } from './scrape-collections.ts';
import { negotiateCompression, negotiateFormat, type ScrapeFormat } from './scrape-negotiation.ts';

export interface ScrapeRequest {
  readonly method: string;
  /** Whole, or from the path on. */
  readonly url: string;
  /** @param name in lower case */
  header(name: string): string | undefined;
}

export interface ScrapeAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  /**
   * A text for people, or the metrics. Who starts to read the metrics ends the reading, or reads to the end. A chunk may
   * change when the next one is asked for, so that whoever keeps one has to copy it.
   */
  readonly body: string | AsyncGenerator<Uint8Array, void, undefined>;
  /** Aborted when the body must not be read any longer. */
  readonly outdated?: AbortSignal;
  /** Why the collection failed. */
  readonly error?: unknown;
}

export interface ScrapeSource {
  readonly authentication: Authentication | undefined;
  readonly encodingOptions: PrometheusEncodingOptions;
  /** For scrapers that read none of our formats, or any. */
  readonly fallbackFormat?: ScrapeFormat | undefined;
  /** @param scrapeTimeoutMillis what the scraper says that it waits for; undefined when it does not say */
  acquire(scrapeTimeoutMillis: number | undefined): Promise<HeldBatch>;
  /** Told when the encoding of a batch begins; what is returned, when it has ended. */
  started(batch: MetricBatch): (error?: unknown) => void;
}

/** @param gone aborted when the scraper has gone */
export async function answerOf(
  request: ScrapeRequest,
  source: ScrapeSource,
  gone: AbortSignal,
): Promise<ScrapeAnswer> {
  if (source.authentication?.accepts(request.header('authorization')) === false) {
    return refusal(401, 'The metrics are for those with credentials.', {
      'WWW-Authenticate': source.authentication.challenge,
    });
  }
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    return refusal(405, 'Metrics are read with GET.', { Allow: 'GET, HEAD' });
  }
  let held: HeldBatch;
  try {
    held = await source.acquire(timeoutOf(request));
  } catch (error) {
    return {
      ...refusal(500, 'The metrics could not be collected; the log of the process says why.'),
      error,
    };
  }
  const format = negotiateFormat(request.header('accept'), source.fallbackFormat);
  const compression = negotiateCompression(request.header('accept-encoding'), STREAM_COMPRESSIONS);
  const headers = {
    'Content-Type': format.contentType,
    Vary: 'Accept, Accept-Encoding',
    ...(compression && { 'Content-Encoding': compression }),
  };
  if (request.method === 'HEAD' || gone.aborted) {
    held.release();
    return { status: 200, headers, body: '' };
  }

  // Also when nobody ever begins to read the body.
  gone.addEventListener('abort', held.release, { once: true });
  async function* metrics(): AsyncGenerator<Uint8Array, void, undefined> {
    // From here on it is read, and read to the end of a slice also when the scraper has gone.
    gone.removeEventListener('abort', held.release);
    const ended = source.started(held.batch);
    const { escaping } = format;
    const names = namesOf(request.url);
    const options = { ...source.encodingOptions, escaping, names, reuseBuffers: true };
    try {
      for await (const chunk of sliced(format.encode(held.batch, options), { signal: gone })) {
        if (chunk.length > 0) yield chunk;
      }
      ended();
    } catch (error) {
      // A scraper that has gone is no failure of ours.
      ended(gone.aborted ? undefined : error);
      throw error;
    } finally {
      held.release();
    }
  }
  async function* body(): AsyncGenerator<Uint8Array, void, undefined> {
    // The collection has had this turn, or all those begin who have waited for it.
    await ownTurn();
    gone.throwIfAborted();
    yield* compression === undefined ? metrics() : compressedStream(metrics(), compression);
  }
  return { status: 200, headers, outdated: held.signal, body: body() };
}

export function refusal(status: number, why: string, headers: Record<string, string> = {}): ScrapeAnswer {
  return { status, headers: { ...headers, 'Content-Type': 'text/plain; charset=utf-8' }, body: `${why}\n` };
}

/** `?name[]=…`, as Prometheus's own clients have it. */
function namesOf(url: string): ReadonlySet<string> | undefined {
  const start = url.indexOf('?');
  if (start < 0) return undefined;
  const names = new URLSearchParams(url.slice(start)).getAll('name[]');
  return names.length === 0 ? undefined : new Set(names);
}

function timeoutOf(request: ScrapeRequest): number | undefined {
  const seconds = Number(request.header('x-prometheus-scrape-timeout-seconds'));
  return seconds > 0 && Number.isFinite(seconds) ? seconds * 1_000 : undefined;
}
