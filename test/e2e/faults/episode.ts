// Some trouble, at random, and the end of it.
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { Random } from './random.ts';
import type { Recorder } from './recorder-process.ts';
import { queueFiles, type Volume } from './volume.ts';

/** The receiving end, whatever it is. */
export interface FailingReceiver {
  /** Fails in a way of its own choice, and says which. */
  fail(random: Random): Promise<string>;
  heal(): Promise<void>;
}

export interface Scene {
  readonly random: Random;
  readonly recorder: Recorder;
  readonly volume: Volume;
  readonly receiver: FailingReceiver;
  /** Told of each thing that is done. */
  note(what: string): void;
  /** By how many milliseconds the clock may be moved at once, back and ahead. */
  readonly clockRange: readonly [number, number];
}

const PAUSE_MILLIS = 120;
/** Less than a batch of the recorder has. */
const TAIL_BYTES = 400;
/** Where the first batch of a file begins. */
const FILE_HEAD_BYTES = 32;

/** What may happen to the recorder; each leaves it running. */
const TROUBLES: Record<string, (scene: Scene) => Promise<void>> = {
  async kill({ recorder, random, volume, note }) {
    await recorder.kill();
    if (random.chance(0.5)) note(damageTail(volume, random));
    await recorder.start();
  },
  async restart({ recorder }) {
    await recorder.end();
    await recorder.start();
  },
  async stop({ recorder, random }) {
    recorder.pause();
    await setTimeout(random.between(20, 300));
    recorder.resume();
  },
  async 'fill the disk'({ volume, random }) {
    volume.fill();
    await setTimeout(random.between(30, 200));
    volume.free();
  },
  async 'fill the disk and kill'({ volume, recorder, random }) {
    volume.fill();
    await setTimeout(random.between(0, 100));
    await recorder.kill();
    await recorder.start();
    volume.free();
  },
  async 'move the clock'({ recorder, random, clockRange: [back, ahead] }) {
    recorder.moveClock(random.between(-back, ahead));
  },
};

export async function runEpisode(scene: Scene): Promise<void> {
  const { random, receiver, volume, note } = scene;
  const pause = () => setTimeout(random.between(0, PAUSE_MILLIS));
  const names = Object.keys(TROUBLES).filter((name) => volume.canBeFilled || !name.includes('disk'));
  if (random.chance(0.6)) note(`the receiver ${await receiver.fail(random)}`);
  for (let left = random.between(1, 2); left > 0; left--) {
    await pause();
    const name = random.oneOf(names);
    note(name);
    await TROUBLES[name]!(scene);
  }
  await pause();
  await receiver.heal();
}

/** Adds what a write leaves that was interrupted. Nothing that was accepted is touched. */
function damageTail(volume: Volume, random: Random): string {
  const newest = queueFiles(volume).at(-1);
  if (newest === undefined) return 'there is no file to damage';
  const bytes = random.between(1, TAIL_BYTES);
  const [what, tail] = random.oneOf([
    ['noise', Buffer.from(Array.from({ length: bytes }, () => random.between(0, 255)))],
    ['zeros', Buffer.alloc(bytes)],
    // The beginning of a batch, as far as it got.
    ['half a batch', readFileSync(newest).subarray(FILE_HEAD_BYTES, FILE_HEAD_BYTES + bytes)],
  ] as const);
  try {
    appendFileSync(newest, tail);
  } catch {
    return 'the disk is too full for damage';
  }
  return `${tail.length} bytes of ${what} at the end of the queue`;
}
