// `npm run demo`: the service under load, seen from outside as its users would see it, and all accounts compared.
import { once } from 'node:events';
import { resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { readArguments, UsageError } from './demo/arguments.js';
import { startChild } from './demo/child.js';
import { followMetricsFile } from './demo/metrics-file.js';
import { freePort } from './demo/port.js';
import { routeRows, routesOf } from './demo/routes.js';
import { endpointIsOpen, scrape } from './demo/scrape.js';
import { createScreen, totalsTable } from './demo/screen.js';
import { compare, isEqual, isSettled, requestCount } from './demo/totals.js';

/** Both as in config.yaml. */
const FILE = 'logs/metrics.jsonl';
const DEFAULT_PORT = 9464;
const REFRESH_MILLIS = 1_000;
/** For the service to notice that the last connections have closed. */
const SETTLE_MILLIS = 5_000;

/** @typedef {import('./load.js').Result} Result */

const interrupted = new AbortController();
let interruptedAt = 0;
for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, onSignal);

/** Ends the load; a second Ctrl-C ends everything at once. */
function onSignal() {
  if (!interrupted.signal.aborted) {
    interruptedAt = performance.now();
    interrupted.abort();
    // What npm passes on may have come from the terminal already: that is one Ctrl-C, not two.
  } else if (performance.now() - interruptedAt > 500) process.exit(130);
}

/** @param {import('./demo/arguments.js').Options} options */
async function demo({ durationMillis, rps, port, lingerMillis }) {
  const metricsPort = await choosePort(port);
  const url = `http://localhost:${metricsPort}/metrics`;
  const service = startChild('server.js', [
    '--http-port=0',
    '--grpc-port=0',
    `--metrics-port=${metricsPort}`,
  ]);
  const file = followMetricsFile(FILE, service.child.pid);
  const [{ httpPort, grpcPort }] = await Promise.race([once(service.child, 'message'), service.died]);
  await Promise.race([endpointIsOpen(url), service.died]);
  console.log(`Metrics file     ${resolve(FILE)}`);
  console.log(`Scrape endpoint  ${url}`);
  console.log(`Orders           http://127.0.0.1:${httpPort}/orders and gRPC on 127.0.0.1:${grpcPort}`);
  console.log(`Load             ${rps} requests a second for ${durationMillis / 1_000} s; Ctrl-C ends it\n`);

  const load = startChild('load.js', [
    `--http=http://127.0.0.1:${httpPort}`,
    `--grpc=127.0.0.1:${grpcPort}`,
    `--duration=${durationMillis}ms`,
    `--rps=${rps}`,
  ]);
  const { sent, failures } = await Promise.race([watch(load, file, url), service.died, load.died]);
  await load.stop();
  const scraped = await settledScrape(url, sent);
  if (lingerMillis > 0) await linger(lingerMillis);
  await service.stop();
  await file.read();

  console.log(`\n${file.exports} exports of ${(file.bytes / 1024).toFixed(0)} KiB in all to ${FILE}\n`);
  return verdict(compare(sent, file.samples(), scraped), failures);
}

/** @param {number | undefined} port */
async function choosePort(port) {
  if (await freePort(port ?? DEFAULT_PORT)) return port ?? DEFAULT_PORT;
  if (port !== undefined)
    throw new UsageError(`port ${port} is taken; name another one, or leave out --port`);
  const free = await freePort(0);
  console.log(`Port ${DEFAULT_PORT} is taken, so the scrape endpoint listens on ${free} instead.\n`);
  return free;
}

/**
 * Shows what happens until the load has ended.
 *
 * @param {import('./demo/child.js').Child} load
 * @param {ReturnType<typeof followMetricsFile>} file
 * @param {string} url
 * @returns {Promise<Result>}
 */
async function watch({ child }, file, url) {
  const screen = createScreen();
  const startedAt = performance.now();
  const ended = new AbortController();
  /** @type {import('./load.js').Progress} */
  let progress = { launched: 0, inFlight: 0 };
  /** @type {Result | undefined} */
  let result;
  child.on('message', (/** @type {import('./load.js').Progress | Result} */ message) => {
    if ('sent' in message) {
      result = message;
      ended.abort();
    } else progress = message;
  });
  const stop = () => child.send('stop');
  if (interrupted.signal.aborted) stop();
  interrupted.signal.addEventListener('abort', stop);

  /** @type {ReturnType<typeof routesOf>} */
  let before = new Map();
  let beforeAt = startedAt;
  for (;;) {
    await sleep(REFRESH_MILLIS, undefined, { signal: ended.signal }).catch(() => {});
    if (result) {
      interrupted.signal.removeEventListener('abort', stop);
      return result;
    }
    const now = routesOf(await scrape(url));
    const nowAt = performance.now();
    await file.read();
    screen.show({
      seconds: (nowAt - startedAt) / 1_000,
      ...progress,
      exports: file.exports,
      bytes: file.bytes,
      rows: routeRows(now, before, (nowAt - beforeAt) / 1_000),
    });
    [before, beforeAt] = [now, nowAt];
  }
}

/** The last scrape, made once the service has seen the end of every request. @param {string} url @param {Result['sent']} sent */
async function settledScrape(url, sent) {
  const deadline = performance.now() + SETTLE_MILLIS;
  for (;;) {
    const samples = await scrape(url);
    if (isSettled(sent, samples) || performance.now() > deadline) return samples;
    await sleep(50);
  }
}

/** @param {number} millis */
async function linger(millis) {
  console.log(`\nThe load has ended; the endpoint stays up for another ${millis / 1_000} s.`);
  await sleep(millis, undefined, { signal: interrupted.signal }).catch(() => {});
}

/**
 * @param {import('./demo/totals.js').Row[]} rows
 * @param {Result['failures']} failures requests that got no answer, by reason
 * @returns {boolean} whether all is well
 */
function verdict(rows, failures) {
  console.log(`${totalsTable(rows)}\n`);
  const problems = [
    ...Object.entries(failures).map(([reason, count]) => `${count} requests failed: ${reason}`),
    ...rows
      .filter((row) => !isEqual(row))
      .map(({ name, sent, file, scraped }) => `${name}: sent ${sent}, file ${file}, scraped ${scraped}`),
  ];
  if (problems.length === 0) {
    console.log(
      `${requestCount(rows)} requests sent; the file and the scrape endpoint have the same totals.`,
    );
  } else console.error(`The totals differ:\n${problems.map((problem) => `  ${problem}`).join('\n')}`);
  return problems.length === 0;
}

try {
  const options = readArguments(process.argv.slice(2));
  if ('help' in options) console.log(options.help);
  else if (!(await demo(options))) process.exitCode = 1;
} catch (error) {
  console.error(error instanceof UsageError ? error.message : error);
  // Children that still run end with this process.
  process.exit(error instanceof UsageError ? 2 : 1);
}
