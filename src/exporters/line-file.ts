// A file that exports are appended to, one after the other, each as a whole or not at all, and that is rotated.
import { resolve } from 'node:path';
import { report } from '../data/diagnostics.ts';
import { fileError } from '../data/file-error.ts';
import { sliced } from '../data/time-slice.ts';
import { AppendFile } from './append-file.ts';
import type { ValidLineFileOptions } from './line-file-options.ts';
import { RotatedFiles } from './rotated-files.ts';
import { inTurn } from './turns.ts';

/** Half of what supervisors commonly wait before they kill; an interrupted compression is redone later. */
const TIDY_MILLIS = 5_000;

export class LineFile {
  readonly path: string;
  readonly #rotate: ValidLineFileOptions['rotate'];
  readonly #file: AppendFile;
  readonly #rotated: RotatedFiles | undefined;
  #lastBytes = 0;
  /** The append under way, or the one before. */
  #last: Promise<unknown> | undefined;

  constructor({ path, mode, rotate }: ValidLineFileOptions) {
    this.path = resolve(path);
    this.#rotate = rotate;
    this.#file = new AppendFile(this.path, mode);
    this.#rotated = rotate && new RotatedFiles(this.path, { keep: rotate.keep, gzip: rotate.gzip, mode });
  }

  /**
   * Appends whole lines once those before are done, and waits until the disk has them. When it fails, or `signal` aborts,
   * none of the lines is left behind. The chunks may use two buffers in turns.
   */
  async append(chunks: Iterator<Uint8Array>, signal: AbortSignal): Promise<void> {
    try {
      await inTurn(this.path, signal, () => (this.#last = this.#write(chunks, signal)));
    } catch (error) {
      // Whoever called reports it; a second message would say the same.
      throw fileError(this.path, error);
    }
  }

  async close(): Promise<void> {
    await this.#last?.catch(() => {});
    await this.#file.close();
    await this.#rotated?.close(TIDY_MILLIS);
  }

  async #write(chunks: Iterator<Uint8Array>, signal: AbortSignal): Promise<void> {
    const first = chunks.next();
    if (first.done) return;
    // Small exports are one chunk, whose size is known. Larger ones will be about as large as the one before.
    await this.#openFor(Math.max(first.value.length, this.#lastBytes));
    this.#lastBytes = await this.#file.append(sliced(resumed(first.value, chunks), { signal }), signal);
  }

  /** An export goes to one file as a whole, so that it can be taken back as a whole when it fails. */
  async #openFor(bytes: number): Promise<void> {
    const opened = await this.#file.open();
    if (opened.isNew) this.#rotated?.tidy();
    const rotate = this.#rotate;
    if (rotate === undefined || opened.size === 0) return;
    const isFull = opened.size + bytes > rotate.maxBytes;
    const isOld = Date.now() - opened.bornMillis >= rotate.maxAgeMillis;
    if (!isFull && !isOld) return;
    await this.#file.close();
    try {
      await this.#rotated?.add();
    } catch (error) {
      // Better too large a file than points lost.
      const reason = fileError(this.path, error).message;
      report('warn', `rotate:${this.path}`, `no new file begun: ${reason}`);
    }
    await this.#file.open();
    this.#rotated?.tidy();
  }
}

function* resumed<T>(first: T, rest: Iterator<T>): Generator<T> {
  yield first;
  for (let step = rest.next(); !step.done; step = rest.next()) yield step.value;
}
