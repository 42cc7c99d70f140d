// The load: `node load.js [--http URL] [--grpc ADDRESS] [--duration 10s] [--rps 50]`, then JSON with what it sent.
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { parseDuration } from './demo/arguments.js';
import { grpcCalls } from './load/grpc-calls.js';
import { httpRequests } from './load/http-requests.js';
import { round } from './load/schedule.js';
import { createTally } from './load/tally.js';

/**
 * @typedef {{ launched: number, inFlight: number }} Progress
 * @typedef {{ sent: Record<string, number>, failures: Record<string, number> }} Result
 */

/** A service that hangs must not make this process eat the machine's memory. */
const MAX_IN_FLIGHT = 1_000;
const ANSWER_TIMEOUT_MILLIS = 10_000;

const { values } = parseArgs({
  options: {
    http: { type: 'string', default: 'http://127.0.0.1:8080' },
    grpc: { type: 'string', default: '127.0.0.1:50051' },
    duration: { type: 'string', default: '10s' },
    rps: { type: 'string', default: '50' },
  },
});
const durationMillis = parseDuration(values.duration);
const rps = Number(values.rps);
if (!(durationMillis > 0 && rps > 0)) {
  console.error('--duration takes a time such as 500ms or 10s, --rps a number above 0');
  process.exit(2);
}

const sent = createTally();
const failures = createTally();
const grpcClient = grpcCalls(values.grpc, sent);
const operations = round([...httpRequests(values.http, sent), ...grpcClient.operations]);

let launched = 0;
let isStopped = false;
/** @type {Set<Promise<unknown>>} */
const inFlight = new Set();

function launch() {
  const operation = operations[launched++ % operations.length];
  const done = /** @type {NonNullable<typeof operation>} */ (operation)
    .run()
    .catch((error) => failures.add(String(error?.message ?? error)))
    .finally(() => inFlight.delete(done));
  inFlight.add(done);
}
const stop = () => {
  isStopped = true;
};
process.once('SIGINT', stop);
process.once('SIGTERM', stop);
process.once('message', stop);
process.once('disconnect', () => process.exit());

const progress = setInterval(() => {
  process.send?.(/** @satisfies {Progress} */ ({ launched, inFlight: inFlight.size }));
}, 250);

const startedAt = performance.now();
for (;;) {
  const elapsed = performance.now() - startedAt;
  if (isStopped || elapsed >= durationMillis) break;
  // By the clock, not by counting timers: a late timer is made up for, so the rate holds.
  while (launched < (elapsed * rps) / 1_000 && inFlight.size < MAX_IN_FLIGHT) launch();
  await sleep(5);
}
clearInterval(progress);

await Promise.race([Promise.all(inFlight), sleep(ANSWER_TIMEOUT_MILLIS)]);
failures.add(`not answered within ${ANSWER_TIMEOUT_MILLIS / 1_000} s`, inFlight.size);

/** @type {Result} */
const result = { sent: sent.counts, failures: failures.counts };
if (process.connected) process.send?.(result);
else {
  console.log(JSON.stringify(result, null, 2));
  process.exit();
}
