// Some trouble, at random, and the end of it.
import { appendFileSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import type { Ledger } from './ledger.ts';
import type { Random } from './random.ts';
import type { Recorder } from './recorder-process.ts';
import { flip, storedBatches } from './stored-batches.ts';
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
  readonly ledger: Ledger;
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

/** None, so that accepted means on disk; or more than there ever are. */
const MAX_MEMORY_POINTS = [0, 100_000];

/** After it nothing else happens, so that what is counted as damaged is told. */
const DAMAGE = 'kill, and damage what waits on disk';

/** What may happen to the recorder; each leaves it running. */
const TROUBLES: Record<string, (scene: Scene) => Promise<void>> = {
  async kill(scene) {
    const { recorder, random, volume, note } = scene;
    await recorder.kill();
    if (random.chance(0.5)) note(damageTail(volume, random));
    await start(scene);
  },
  async restart(scene) {
    await scene.recorder.end();
    await start(scene);
  },
  async [DAMAGE](scene) {
    scene.note(`the receiver ${await scene.receiver.fail(scene.random)}`);
    await setTimeout(scene.random.between(50, 200));
    await scene.recorder.kill();
    scene.note(damageAccepted(scene));
    await start(scene);
  },
  async stop({ recorder, random }) {
    recorder.pause();
    await setTimeout(random.between(20, 300));
    recorder.resume();
  },
  async 'fill the disk'(scene) {
    scene.ledger.diskGoes();
    scene.volume.fill();
    await withoutDisk(scene);
    scene.volume.free();
    scene.ledger.diskComes();
  },
  async 'make the disk read-only'(scene) {
    scene.ledger.diskGoes();
    scene.volume.setReadOnly();
    await withoutDisk(scene);
    scene.volume.setWritable();
    scene.ledger.diskComes();
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
    if (name === DAMAGE) break;
  }
  await pause();
  await receiver.heal();
}

function start({ recorder, random }: Scene): Promise<void> {
  return recorder.start(random.oneOf(MAX_MEMORY_POINTS));
}

async function withoutDisk(scene: Scene): Promise<void> {
  const { random, recorder, note } = scene;
  await setTimeout(random.between(0, 200));
  const ending = random.oneOf(['kill', 'end', undefined] as const);
  if (ending === undefined) return;
  note(`${ending} it meanwhile`);
  await recorder[ending]();
  await start(scene);
  await setTimeout(random.between(0, 100));
}

/** Changes bytes of batches that are still to be delivered. */
function damageAccepted({ random, volume, ledger }: Scene): string {
  ledger.read();
  const waiting = storedBatches(volume).filter(({ points }) => points.some((point) => ledger.owes(point)));
  if (waiting.length === 0) return 'nothing waits there';
  const { path, at, recordAt, end, points } = random.oneOf(waiting);
  const isHead = random.chance(0.2);
  flip(
    path,
    isHead ? random.between(at, recordAt - 1) : random.between(recordAt, end - 1),
    random.between(1, 255),
  );
  ledger.damaged(points);
  return `a byte of a batch's ${isHead ? 'head' : 'content'} is changed`;
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
