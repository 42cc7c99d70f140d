// Processes that are killed, stopped and restarted, full disks, torn files, clocks that move and receivers that fail, at random:
// what the queue has accepted arrives, in order, and nothing is counted twice.
//
// METERLINE_FAULT_EPISODES says how many (200 otherwise), METERLINE_FAULT_SEED repeats the choices of a run, though not its timing.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { startFaultProxy } from '../../support/fault-proxy.ts';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { startPrometheus } from '../support/prometheus.ts';
import { runEpisode, type Scene } from './episode.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';
import { pointsIn } from './prometheus-points.ts';
import { randomFrom } from './random.ts';
import { RECEIVER_FAULTS, startReceiver } from './receiver.ts';
import { type Recorder, startRecorder } from './recorder-process.ts';
import { smallVolume } from './volume.ts';

const EPISODES = Number(process.env.METERLINE_FAULT_EPISODES ?? 200);
const SEED = Number(process.env.METERLINE_FAULT_SEED ?? Math.floor(Math.random() * 2 ** 32));
const HALF = Math.ceil(EPISODES / 2);
/** With a real server, which takes longer to ask. */
const SERVER_EPISODES = Math.ceil(EPISODES / 10);
const MILLIS_PER_EPISODE = 10_000;
const ARRIVAL_MILLIS = 20_000;
const HOUR_MILLIS = 3_600_000;
const VOLUME_MEGABYTES = 8;
const SERVER_LOOK_MILLIS = 100;
/** Prometheus takes samples of the next ten minutes. */
const TOO_FAR_AHEAD_MILLIS = 500_000;

function newLedger(options: LedgerOptions): { path: string; ledger: Ledger } {
  const path = join(temporaryFolder(), 'ledger');
  writeFileSync(path, '');
  return { path, ledger: new Ledger(path, options) };
}

/** Runs episodes, each followed by `check`, and tells what happened when one fails. */
async function runEpisodes(count: number, scene: Omit<Scene, 'note'>, check: () => Promise<void>) {
  const began = performance.now();
  const counts: Record<string, number> = {};
  for (let i = 1; i <= count; i++) {
    const notes: string[] = [];
    const note = (what: string) => {
      notes.push(what);
      const kind = what.replace(/^\d+ /, '');
      counts[kind] = (counts[kind] ?? 0) + 1;
    };
    try {
      await runEpisode({ ...scene, note });
      await check();
    } catch (error) {
      const { message } = error as Error;
      const told = `seed ${SEED}, episode ${i}: ${notes.join('; ')}`;
      throw new Error(`${message}\n${told}\n${scene.recorder.log.slice(-4_000)}`, { cause: error });
    }
  }
  const seconds = Math.round((performance.now() - began) / 1_000);
  console.log(`seed ${SEED}: ${count} episodes in ${seconds} s`, counts);
}

/** What was accepted up to now arrives. */
async function settled(ledger: Ledger, look?: () => Promise<void>): Promise<void> {
  ledger.read();
  const due = [...ledger.owed.keys()];
  const end = performance.now() + ARRIVAL_MILLIS;
  for (;;) {
    await look?.();
    const missing = due.filter((key) => ledger.owed.has(key));
    if (missing.length === 0) break;
    if (performance.now() > end) {
      throw new Error(
        `${missing.length} points accepted did not arrive, such as ${missing.slice(0, 5).join(', ')}`,
      );
    }
    await setTimeout(10);
  }
  ledger.read();
  ledger.checkTotals();
}

test.each(['delta', 'cumulative'] as const)(
  `${HALF} episodes with a receiver in this process, %s`,
  async (temporality) => {
    const random = randomFrom(SEED);
    const { path, ledger } = newLedger({ temporality });
    const volume = await smallVolume(VOLUME_MEGABYTES);
    let recorder: Recorder | undefined;
    let failure: unknown;
    const receiver = await startReceiver(random, (arrival) => {
      try {
        ledger.arrived(arrival, recorder?.resumedAt ?? 0);
      } catch (error) {
        failure ??= error;
      }
    });
    onTestFinished(() => receiver.close());
    recorder = await startRecorder({ url: receiver.url, ledger: path, volume, temporality });
    const failing = {
      fail: async () => {
        const fault = random.oneOf(RECEIVER_FAULTS);
        receiver.fail(fault);
        return fault;
      },
      heal: () => receiver.heal(),
    };
    const scene = {
      random,
      recorder,
      volume,
      receiver: failing,
      clockRange: [HOUR_MILLIS, HOUR_MILLIS] as const,
    };
    const throwFailure = async () => {
      if (failure !== undefined) throw failure;
    };

    await runEpisodes(HALF, scene, () => settled(ledger, throwFailure));
    await recorder.end();
    console.log(
      `${temporality}: ${ledger.accepted} batches accepted, ${ledger.duplicates} of them arrived again`,
    );
    expect(ledger.accepted).toBeGreaterThan(HALF);
  },
  HALF * MILLIS_PER_EPISODE + 60_000,
);

test(
  `${SERVER_EPISODES} episodes with Prometheus`,
  async () => {
    const random = randomFrom(SEED);
    const temporality = 'cumulative';
    // It keeps milliseconds.
    const { path, ledger } = newLedger({ temporality, cutDigits: 6 });
    const [volume, prometheus] = await Promise.all([
      smallVolume(VOLUME_MEGABYTES),
      startPrometheus({ version: 3 }),
    ]);
    const began = Date.now();
    const proxy = await startFaultProxy(Number(new URL(prometheus.url).port));
    onTestFinished(() => proxy.stop());
    const url = `http://127.0.0.1:${proxy.port}/api/v1/otlp/v1/metrics`;
    const recorder = await startRecorder({ url, ledger: path, volume, temporality });
    onTestFinished(() => recorder.kill());
    const failures: Record<string, () => Promise<void> | void> = {
      'refuses connections': () => {
        proxy.refuse();
        proxy.reset();
      },
      'is in a black hole': () => proxy.blackHole(),
      'takes it and loses the answer': () => void proxy.cutAfter(0, 'responses'),
      'loses the request on its way': () => void proxy.cutAfter(random.between(1, 500)),
      'is restarted': async () => {
        await prometheus.stop();
        await prometheus.start();
      },
      'stands still': () => prometheus.pause(),
    };
    const failing = {
      async fail() {
        const fault = random.oneOf(Object.keys(failures));
        await failures[fault]!();
        return fault;
      },
      async heal() {
        prometheus.resume();
        await proxy.heal();
      },
    };
    // Back, samples of one series would meet in the same millisecond; far ahead, Prometheus refuses them.
    const scene = {
      random,
      recorder,
      volume,
      receiver: failing,
      clockRange: [0, TOO_FAR_AHEAD_MILLIS / (4 * SERVER_EPISODES)] as const,
    };

    await runEpisodes(SERVER_EPISODES, scene, () =>
      settled(ledger, async () => {
        await setTimeout(SERVER_LOOK_MILLIS);
        // Up to the farthest that the clock has been moved.
        const to = Date.now() + TOO_FAR_AHEAD_MILLIS;
        ledger.received(await pointsIn(prometheus, began - 1_000, to));
      }),
    );
    console.log(`Prometheus: ${ledger.accepted} batches accepted`);
  },
  SERVER_EPISODES * MILLIS_PER_EPISODE + 60_000,
);
