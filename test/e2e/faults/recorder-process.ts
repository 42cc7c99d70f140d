// The recorder as a child process: killed, stopped, restarted, and its clock moved.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterAll } from 'vitest';
import type { Volume } from './volume.ts';

export interface RecorderSettings {
  readonly url: string;
  readonly protocol: 'otlp' | 'remote-write';
  readonly ledger: string;
  readonly volume: Volume;
  readonly temporality: 'delta' | 'cumulative';
}

export interface Recorder {
  /** What all its lives have logged, the newest end of it. */
  readonly log: string;
  /** When it last went on after standing still, by `performance.now()`. */
  readonly resumedAt: number;
  /** @param maxMemoryPoints how many points it may accept while its disk cannot be written */
  start(maxMemoryPoints: number): Promise<void>;
  kill(): Promise<void>;
  /** In good order; what could not be delivered stays on disk. */
  end(): Promise<void>;
  pause(): void;
  resume(): void;
  moveClock(millis: number): void;
}

const SCRIPT = fileURLToPath(new URL('recorder.js', import.meta.url));
const MAX_LOG = 20_000;

const running = new Set<ChildProcess>();
afterAll(() => {
  for (const child of running) child.kill('SIGKILL');
});

export async function startRecorder({ volume, ...settings }: RecorderSettings): Promise<Recorder> {
  let child: ChildProcess;
  let life = 0;
  let ahead = 0;
  let log = '';
  let resumedAt = 0;

  async function start(maxMemoryPoints: number): Promise<void> {
    life++;
    const given = JSON.stringify({ ...settings, maxMemoryPoints, dir: volume.dir, life, ahead });
    const [command, args] = volume.command(process.execPath, [SCRIPT, given]);
    const started = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe', 'ipc'] });
    child = started;
    running.add(started);
    started.once('exit', () => running.delete(started));
    for (const stream of [started.stdout!, started.stderr!]) {
      stream.on('data', (data) => {
        log = `${log}${data}`.slice(-MAX_LOG);
      });
    }
    await Promise.race([
      once(started, 'message'),
      once(started, 'exit').then(() => Promise.reject(new Error(`the recorder ended:\n${log}`))),
    ]);
  }

  async function ended(signal: NodeJS.Signals): Promise<void> {
    const exit = once(child, 'exit');
    child.kill(signal);
    await exit;
  }

  await start(0);
  return {
    get log() {
      return log;
    },
    get resumedAt() {
      return resumedAt;
    },
    start,
    kill: () => ended('SIGKILL'),
    end: () => ended('SIGTERM'),
    pause: () => void child.kill('SIGSTOP'),
    resume() {
      child.kill('SIGCONT');
      resumedAt = performance.now();
    },
    moveClock(millis) {
      ahead += millis;
      child.send(ahead);
    },
  };
}
