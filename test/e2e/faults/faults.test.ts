// Processes that are killed, stopped and restarted, disks that are full or read-only, torn and damaged files, clocks that move and
// receivers that fail, at random: what the queue has accepted on disk arrives, in order, or is counted as damaged, and nothing is
// counted twice.
//
// METERLINE_FAULT_EPISODES says how many (200 otherwise), METERLINE_FAULT_SEED repeats the choices of a run, though not its timing.
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { temporaryFolder } from '../../support/temporary-folder.ts';
import { type FailingReceiver, runEpisode, type Scene } from './episode.ts';
import { failingServer } from './failing-server.ts';
import { Ledger, type LedgerOptions } from './ledger.ts';
import { randomFrom } from './random.ts';
import { REAL_RECEIVERS } from './real-receivers.ts';
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
async function runEpisodes(
  count: number,
  seed: number,
  scene: Omit<Scene, 'note' | 'random'>,
  check: () => Promise<void>,
) {
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
      // Of its own, so that the choices of one do not depend on how those before it went.
      await runEpisode({ ...scene, random: randomFrom(seed + i), note });
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
    ledger.read();
    if (missing.length === 0 && ledger.uncounted === 0) break;
    if (performance.now() > end) {
      throw new Error(
        `${missing.length} points accepted did not arrive, such as ${missing.slice(0, 5).join(', ')}; ` +
          `${ledger.uncounted} damaged ones were not counted`,
      );
    }
    await setTimeout(10);
  }
  ledger.checkTotals();
}

function tell(what: string, { accepted, acceptedInMemory, damagedPoints, duplicates, excused }: Ledger) {
  console.log(`${what}:`, { accepted, acceptedInMemory, damagedPoints, duplicates, excused });
}

test.each(['delta', 'cumulative'] as const)(
  `${HALF} episodes with a receiver in this process, %s`,
  async (temporality) => {
    const seed = temporality === 'delta' ? SEED : SEED + HALF;
    const { path, ledger } = newLedger({ temporality });
    const volume = await smallVolume(VOLUME_MEGABYTES);
    let recorder: Recorder | undefined;
    let failure: unknown;
    const receiver = await startReceiver(randomFrom(SEED), (arrival) => {
      try {
        ledger.arrived(arrival, recorder?.resumedAt ?? 0);
      } catch (error) {
        failure ??= error;
      }
    });
    onTestFinished(() => receiver.close());
    const { url } = receiver;
    recorder = await startRecorder({ url, protocol: 'otlp', ledger: path, volume, temporality });
    const failing: FailingReceiver = {
      async fail(random) {
        const fault = random.oneOf(RECEIVER_FAULTS);
        receiver.fail(fault);
        return fault;
      },
      heal: () => receiver.heal(),
    };
    const scene = {
      recorder,
      volume,
      receiver: failing,
      ledger,
      clockRange: [HOUR_MILLIS, HOUR_MILLIS] as const,
    };
    const throwFailure = async () => {
      if (failure !== undefined) throw failure;
    };

    await runEpisodes(HALF, seed, scene, () => settled(ledger, throwFailure));
    await recorder.end();
    tell(temporality, ledger);
    expect(ledger.accepted).toBeGreaterThan(HALF);
    // Unless the files look different than they did.
    if (HALF >= 50) expect(ledger.damagedPoints).toBeGreaterThan(0);
  },
  HALF * MILLIS_PER_EPISODE + 60_000,
);

test.each(REAL_RECEIVERS)(
  `${SERVER_EPISODES} episodes with $name`,
  async ({ name, protocol, path: apiPath, start }) => {
    const temporality = 'cumulative';
    // It keeps milliseconds.
    const { path, ledger } = newLedger({ temporality, cutDigits: 6 });
    const [volume, server] = await Promise.all([smallVolume(VOLUME_MEGABYTES), start()]);
    const began = Date.now();
    const receiver = await failingServer(server);
    onTestFinished(() => receiver.stop());
    const url = `http://127.0.0.1:${receiver.port}${apiPath}`;
    const recorder = await startRecorder({ url, protocol, ledger: path, volume, temporality });
    onTestFinished(() => recorder.kill());
    // Back, samples of one series would meet in the same millisecond; far ahead, Prometheus refuses them.
    const scene = {
      recorder,
      volume,
      receiver,
      ledger,
      clockRange: [0, TOO_FAR_AHEAD_MILLIS / (4 * SERVER_EPISODES)] as const,
    };

    await runEpisodes(SERVER_EPISODES, SEED, scene, () =>
      settled(ledger, async () => {
        await setTimeout(SERVER_LOOK_MILLIS);
        // Up to the farthest that the clock has been moved.
        ledger.received(await server.pointsIn(began - 1_000, Date.now() + TOO_FAR_AHEAD_MILLIS));
      }),
    );
    tell(name, ledger);
  },
  SERVER_EPISODES * MILLIS_PER_EPISODE + 60_000,
);
