// Points to a file of JSON lines, one line a point. `docs/json-file.md` has the format.
import { resolve } from 'node:path';
import { report } from '../data/diagnostics.ts';
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { encodeJsonLines } from '../encoding/json-lines.ts';
import { sliced } from '../net/time-slice.ts';
import { AppendFile } from './append-file.ts';
import { fileError } from './file-error.ts';
import { type JsonFileOptions, validJsonFileOptions } from './json-file-options.ts';
import { RotatedFiles } from './rotated-files.ts';

export type { JsonFileOptions, JsonFileRotation } from './json-file-options.ts';

/** Half of what supervisors commonly wait before they kill; an interrupted compression is redone later. */
const TIDY_MILLIS = 5_000;

/**
 * Makes an exporter that appends each point to a file as one JSON object a line, and returns success once the
 * disk has all of them. An export that fails leaves none of its lines behind.
 *
 * @throws ConfigError when an option cannot work
 */
export function jsonFile(options: JsonFileOptions): PushMetricExporter {
  const { timestampOffset, mode, temporality, timeoutMillis, rotate, ...valid } =
    validJsonFileOptions(options);
  const path = resolve(valid.path);
  const file = new AppendFile(path, mode);
  const rotated = rotate && new RotatedFiles(path, { keep: rotate.keep, gzip: rotate.gzip, mode });
  let lastBytes = 0;
  let busy: Promise<unknown> | undefined;

  async function write(batch: MetricBatch, signal: AbortSignal): Promise<void> {
    const lines = encodeJsonLines(batch, { timestampOffset, reuseBuffers: true });
    const first = lines.next();
    if (first.done) return;
    // Small exports are one chunk, whose size is known. Larger ones will be about as large as the one before.
    await openFor(Math.max(first.value.length, lastBytes));
    lastBytes = await file.append(sliced(resumed(first.value, lines), { signal }), signal);
  }

  /** An export goes to one file as a whole, so that it can be taken back as a whole when it fails. */
  async function openFor(bytes: number): Promise<void> {
    const opened = await file.open();
    if (opened.isNew) rotated?.tidy();
    if (rotate === undefined || opened.size === 0) return;
    const isFull = opened.size + bytes > rotate.maxBytes;
    const isOld = Date.now() - opened.bornMillis >= rotate.maxAgeMillis;
    if (!isFull && !isOld) return;
    await file.close();
    try {
      await rotated?.add();
    } catch (error) {
      // Better too large a file than points lost.
      report('warn', `json-file-rotate:${path}`, `no new file begun: ${fileError(path, error).message}`);
    }
    await file.open();
    rotated?.tidy();
  }

  async function exportOne(batch: MetricBatch, signal: AbortSignal): Promise<void> {
    // An export that is given up while it waits must not keep its batch in memory until a hung disk answers.
    while (busy !== undefined) await settledOrAborted(busy, signal);
    const writing = write(batch, signal).finally(() => {
      busy = undefined;
    });
    busy = writing;
    try {
      await writing;
    } catch (error) {
      // Whoever called reports it; a second message would say the same.
      throw fileError(path, error);
    }
  }

  return createExporter({
    name: `jsonFile(${path})`,
    componentType: 'json_file_metric_exporter',
    timeoutMillis,
    selectAggregationTemporality: temporality,
    export: (batch, { signal }) => exportOne(batch, signal),
    async shutdown() {
      await busy?.catch(() => {});
      await file.close();
      await rotated?.close(TIDY_MILLIS);
    },
  });
}

function* resumed<T>(first: T, rest: Iterable<T>): Generator<T> {
  yield first;
  yield* rest;
}

function settledOrAborted(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    work.then(
      () => resolve(),
      () => resolve(),
    );
  });
}
