// The files that a log file leaves behind when it is rotated: `metrics.jsonl.20251216T013017594Z[.gz]`.
// The time in the name is UTC, so that names sort by age in any zone; only files named like this are touched.
import { createReadStream, createWriteStream } from 'node:fs';
import { readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { report } from '../data/diagnostics.ts';
import { fileError } from '../data/file-error.ts';

export interface RotatedFilesOptions {
  /** How many to keep; the oldest go first. */
  keep: number;
  gzip: boolean;
  /** Permissions of compressed files. */
  mode: number;
}

const NAME = /^\.(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)(\d{3})Z(\.gz|\.gz\.tmp)?$/;
/** Few, large pieces: each costs the event loop a turn. */
const PIECE_BYTES = 256 * 1024;

interface Found {
  millis: number;
  plain: boolean;
  gzipped: boolean;
  unfinished: boolean;
}

export class RotatedFiles {
  readonly #path: string;
  readonly #options: RotatedFilesOptions;
  readonly #abort = new AbortController();
  #tidying: Promise<void> = Promise.resolve();

  constructor(path: string, options: RotatedFilesOptions) {
    this.#path = path;
    this.#options = options;
  }

  /** Moves the file away. It must be closed, since Windows does not rename open files. */
  async add(): Promise<void> {
    const newest = (await this.#found()).at(-1)?.millis ?? 0;
    // A clock set back must not make the newest file look like the oldest, the first to be deleted.
    await rename(this.#path, this.#name(Math.max(Date.now(), newest + 1)));
  }

  /** Deletes and compresses in the background, and finishes what a crash has interrupted. */
  tidy(): void {
    this.#tidying = this.#tidying
      .then(() => this.#tidy())
      .catch((error) => {
        if (this.#abort.signal.aborted) return;
        report(
          'warn',
          `rotated-files:${this.#path}`,
          `rotated files: ${fileError(this.#path, error).message}`,
        );
      });
  }

  /** Waits for work in the background, but no longer than given; what is left is done after the next start. */
  async close(waitMillis: number): Promise<void> {
    const giveUp = setTimeout(() => this.#abort.abort(), waitMillis).unref();
    await this.#tidying;
    clearTimeout(giveUp);
  }

  async #tidy(): Promise<void> {
    const found = await this.#found();
    const excess = found.length - this.#options.keep;
    for (const [i, { millis, plain, gzipped, unfinished }] of found.entries()) {
      const name = this.#name(millis);
      if (unfinished) await rm(`${name}.gz.tmp`, { force: true });
      if (i < excess) {
        await rm(name, { force: true });
        await rm(`${name}.gz`, { force: true });
      } else if (plain && gzipped) {
        // The compressed one got its name only when it was whole.
        await rm(name, { force: true });
      } else if (plain && this.#options.gzip) {
        await this.#compress(name);
      }
    }
  }

  /** The original goes last, so that at each moment one of the two is whole. */
  async #compress(name: string): Promise<void> {
    const unfinished = `${name}.gz.tmp`;
    await pipeline(
      createReadStream(name, { highWaterMark: PIECE_BYTES }),
      createGzip({ chunkSize: PIECE_BYTES }),
      createWriteStream(unfinished, { mode: this.#options.mode, flush: true }),
      { signal: this.#abort.signal },
    );
    await rename(unfinished, `${name}.gz`);
    await rm(name);
  }

  /** Oldest first. */
  async #found(): Promise<Found[]> {
    const base = basename(this.#path);
    const byTime = new Map<number, Found>();
    for (const name of await readdir(dirname(this.#path))) {
      const match = name.startsWith(base) && NAME.exec(name.slice(base.length));
      if (!match) continue;
      const [, year, month, day, hour, minute, second, milli, ending] = match;
      const millis = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:${second}.${milli}Z`);
      if (Number.isNaN(millis)) continue;
      const file = byTime.get(millis) ?? { millis, plain: false, gzipped: false, unfinished: false };
      byTime.set(millis, file);
      if (ending === '.gz') file.gzipped = true;
      else if (ending === '.gz.tmp') file.unfinished = true;
      else file.plain = true;
    }
    return [...byTime.values()].sort((a, b) => a.millis - b.millis);
  }

  #name(millis: number): string {
    return `${this.#path}.${new Date(millis).toISOString().replaceAll(/[-:.]/g, '')}`;
  }
}
