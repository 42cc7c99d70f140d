// A real server as a child process: started, killed and paused as the tests need it, never left behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout } from 'node:timers/promises';
import { afterAll } from 'vitest';
import type { Volume } from '../faults/volume.ts';

export interface ServerProcess {
  /** All that it has logged in all its lives. */
  logs(): string;
  /** Starts it again after `stop` or `kill`, with the same data. Settles when it is ready. */
  start(): Promise<void>;
  /** Ends it in good order. Its data stays until the tests of the file have ended. */
  stop(): Promise<void>;
  /** Ends it at once, as a crash would. */
  kill(): Promise<void>;
  /** Nothing runs in it until `resume`; its connections stay open. Settles when it stands still. */
  pause(): Promise<void>;
  resume(): void;
}

export interface ServerCommand {
  readonly command: string;
  /** The disk that it is to see. */
  readonly volume?: Volume | undefined;
  /** Asked at each start. */
  args(): string[];
  /** @param log what it has logged since this start */
  isReady(log: string): boolean | Promise<boolean>;
}

const START_MILLIS = 15_000;
const STOP_MILLIS = 10_000;

const running = new Map<ChildProcess, Promise<void>>();
afterAll(async () => {
  for (const child of running.keys()) child.kill('SIGKILL');
  await Promise.all(running.values());
});

/** Settles when the server is ready. */
export async function startServer({ command, volume, args, isReady }: ServerCommand): Promise<ServerProcess> {
  let logs = '';
  let child: ChildProcess;
  let ended: Promise<void> = Promise.resolve();

  async function start(): Promise<void> {
    let log = '';
    let hasEnded = false;
    const [program, given] = volume ? volume.command(command, args()) : [command, args()];
    child = spawn(program, given, { stdio: ['ignore', 'ignore', 'pipe'] });
    const current = child;
    ended = new Promise((resolve) => {
      const end = () => {
        hasEnded = true;
        running.delete(current);
        resolve();
      };
      current.once('close', end);
      current.once('error', (error) => {
        log += `${error.message}; "npm run test:e2e" installs the servers`;
        end();
      });
    });
    running.set(current, ended);
    current.stderr?.on('data', (data) => {
      log += data;
      logs += data;
    });
    const deadline = performance.now() + START_MILLIS;
    while (!(await isReady(log))) {
      if (hasEnded || performance.now() > deadline) {
        current.kill('SIGKILL');
        throw new Error(`${command} did not start:\n${log}`);
      }
      await setTimeout(10);
    }
  }

  await start();
  return {
    logs: () => logs,
    start,
    stop: async () => {
      child.kill('SIGTERM');
      // One that is paused does not hear the signal.
      child.kill('SIGCONT');
      const impatience = new AbortController();
      const kill = setTimeout(STOP_MILLIS, undefined, { signal: impatience.signal }).then(
        () => child.kill('SIGKILL'),
        () => {},
      );
      await ended;
      impatience.abort();
      await kill;
    },
    kill: async () => {
      child.kill('SIGKILL');
      await ended;
    },
    pause: async () => {
      child.kill('SIGSTOP');
      // The signal reaches one thread after the other, and each may still answer a request.
      while (!isStopped(child.pid!)) await setTimeout(1);
    },
    resume: () => void child.kill('SIGCONT'),
  };
}

/** For `isReady`. */
export async function answersOk(url: string, request?: RequestInit): Promise<boolean> {
  try {
    return (await fetch(url, request)).ok;
  } catch {
    return false;
  }
}

/** Reads the state of each thread from Linux's `/proc`. */
function isStopped(pid: number): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.every((thread) =>
    readFileSync(`/proc/${pid}/task/${thread}/status`, 'utf8').includes('State:\tT'),
  );
}
