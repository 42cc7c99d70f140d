// What a Prometheus server would read from the endpoint.
import { setTimeout as sleep } from 'node:timers/promises';

/** @typedef {import('./totals.js').Sample} Sample */

/** Long enough for the service's second try, should its port have been taken for a moment. */
const OPEN_MILLIS = 10_000;

const LINE = /^(\w+)(?:\{(.*)\})? (\S+)$/;
const LABEL = /(\w+)="((?:[^"\\]|\\.)*)"/g;

/** @param {string} url @returns {Promise<Sample[]>} */
export async function scrape(url) {
  const response = await fetch(url, { signal: AbortSignal.timeout(5_000) });
  const text = await response.text();
  if (!response.ok) throw new Error(`${url} answered ${response.status}: ${text}`);
  return text
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'))
    .map((line) => {
      const [, name, labels = '', value] = LINE.exec(line) ?? [];
      if (name === undefined) throw new Error(`${url} has a line that is no sample: ${line}`);
      const pairs = [...labels.matchAll(LABEL)].map(([, key, quoted]) => [key, quoted]);
      return { name, labels: Object.fromEntries(pairs), value: Number(value) };
    });
}

/**
 * Waits until the endpoint answers: it opens in the background, because no service should wait for its metrics.
 *
 * @param {string} url
 */
export async function endpointIsOpen(url) {
  const deadline = performance.now() + OPEN_MILLIS;
  for (;;) {
    try {
      return await scrape(url);
    } catch (error) {
      if (performance.now() > deadline) throw new Error(`nothing can be read from ${url}`, { cause: error });
      await sleep(20);
    }
  }
}
