import {
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { resourceFromAttributes } from '@opentelemetry/resources';
import { MeterProvider, PeriodicExportingMetricReader } from '@opentelemetry/sdk-metrics';
import { beforeEach, describe, expect, it, onTestFinished, vi } from 'vitest';
import { resetReports } from '../data/diagnostics.ts';
import { AggregationTemporality, InstrumentType } from '../data/metric-data.ts';
import { everyKind } from '../encoding/fixtures/every-kind.ts';
import { encodeJsonLines } from '../encoding/json-lines.ts';
import { counterBatch, exported, temporaryFolder, valuesIn, valuesOf } from './fixtures/exporting.ts';
import { type JsonFileOptions, type JsonFileRotation, jsonFile } from './json-file.ts';
import { RotatedFiles } from './rotated-files.ts';

let folder: string;
let path: string;
let messages: string[];

beforeEach(async () => {
  folder = await temporaryFolder();
  path = join(folder, 'logs', 'metrics.jsonl');
  messages = [];
  resetReports();
  const log = (message: string) => messages.push(message);
  diag.setLogger(
    { error: log, warn: log, info: log, debug: log, verbose: log },
    { logLevel: DiagLogLevel.INFO, suppressOverrideMessage: true },
  );
  return () => diag.disable();
});

function exporterTo(options: Partial<JsonFileOptions> = {}) {
  const exporter = jsonFile({ path, ...options });
  onTestFinished(() => exporter.shutdown());
  return exporter;
}

/** Every fsync of the process, each with something to do before it. */
async function spyOnSync(before: () => void = () => {}) {
  const probe = await open(folder);
  const prototype = Object.getPrototypeOf(probe) as typeof probe;
  await probe.close();
  const sync = prototype.sync;
  const spy = vi.spyOn(prototype, 'sync').mockImplementation(function (this: typeof probe) {
    before();
    return sync.call(this);
  });
  onTestFinished(() => spy.mockRestore());
  return spy;
}

describe('jsonFile', () => {
  it('appends the lines of a batch to a file that only the owner can read, in folders that it makes', async () => {
    const exporter = exporterTo();
    expect(await exported(exporter, everyKind())).toBeUndefined();
    expect(await exported(exporter, counterBatch(7))).toBeUndefined();
    const expected = Buffer.concat([...encodeJsonLines(everyKind()), ...encodeJsonLines(counterBatch(7))]);
    expect((await readFile(path)).equals(expected)).toBe(true);
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('takes the permissions and the form of the offset from its options', async () => {
    await exported(exporterTo({ mode: 0o640, timestampOffset: 'compact' }), counterBatch(1));
    expect((await stat(path)).mode & 0o777).toBe(0o640);
    expect(await readFile(path, 'utf8')).toMatch(/^\{"timestamp":"[^"]+[+-]\d{4}"/);
  });

  it('asks for cumulative data unless told otherwise', () => {
    const { CUMULATIVE, DELTA } = AggregationTemporality;
    expect(exporterTo().selectAggregationTemporality?.(InstrumentType.COUNTER)).toBe(CUMULATIVE);
    const delta = exporterTo({ temporality: () => DELTA });
    expect(delta.selectAggregationTemporality?.(InstrumentType.COUNTER)).toBe(DELTA);
  });

  it("runs in the official SDK's periodic reader, on forceFlush and on shutdown", async () => {
    const reader = new PeriodicExportingMetricReader({
      exporter: jsonFile({ path }),
      exportIntervalMillis: 3_600_000,
    });
    const provider = new MeterProvider({
      resource: resourceFromAttributes({ 'service.name': 'official' }),
      readers: [reader],
    });
    const counter = provider.getMeter('shop', '1.0').createCounter('orders', { unit: '1' });
    const duration = provider.getMeter('shop', '1.0').createHistogram('duration', {
      advice: { explicitBucketBoundaries: [1, 2] },
    });
    counter.add(3, { paid: true, amount: 12.5 });
    duration.record(1.5);
    await provider.forceFlush();
    counter.add(4, { paid: true, amount: 12.5 });
    await provider.shutdown();
    const lines = (await readFile(path, 'utf8')).trimEnd().split('\n');
    const summary = lines
      .map((line) => JSON.parse(line))
      .map(({ service_name, metric_type, value, attributes, scope }) => ({
        ...{ service_name, metric_type, value, attributes, scope },
      }));
    const histogram = {
      service_name: 'official',
      metric_type: 'histogram',
      value: {
        count: 1,
        sum: 1.5,
        min: 1.5,
        max: 1.5,
        buckets: [
          { upper_bound: 1, count: 0 },
          { upper_bound: 2, count: 1 },
          { upper_bound: '+Inf', count: 0 },
        ],
      },
      attributes: {},
      scope: { name: 'shop', version: '1.0' },
    };
    const counted = { ...histogram, metric_type: 'counter', attributes: { paid: true, amount: 12.5 } };
    expect(summary).toEqual([{ ...counted, value: 3 }, histogram, { ...counted, value: 7 }, histogram]);
  });

  it('runs concurrent exports one after the other, with one fsync each', async () => {
    const sync = await spyOnSync();
    const exporter = exporterTo();
    const exports = [1, 2, 3, 4].map((value) => exported(exporter, counterBatch(value, 2_000)));
    expect(await Promise.all(exports)).toEqual([undefined, undefined, undefined, undefined]);
    expect(await valuesIn(path)).toEqual([1, 2, 3, 4].flatMap((value) => Array(2_000).fill(value)));
    expect(sync).toHaveBeenCalledTimes(4);
  });

  it('does nothing for an empty batch', async () => {
    expect(await exported(exporterTo(), counterBatch(1, 0))).toBeUndefined();
    await expect(stat(path)).rejects.toThrow('ENOENT');
  });

  it('takes an export back that was given up before the disk had it', async () => {
    const exporter = exporterTo();
    await exported(exporter, counterBatch(1));
    const controller = new AbortController();
    const sync = await spyOnSync(() => controller.abort());
    const waiting = exported(exporter, counterBatch(3), { signal: controller.signal });
    const aborted = await exported(exporter, counterBatch(2, 5_000), { signal: controller.signal });
    expect(aborted).toMatchObject({ code: 'ABORTED', retryable: true });
    expect(await waiting).toMatchObject({ code: 'ABORTED', retryable: true });
    sync.mockRestore();
    expect(await exported(exporter, counterBatch(4))).toBeUndefined();
    expect(await valuesIn(path)).toEqual([1, 4]);
  });

  it('fails with SHUTDOWN after shutdown', async () => {
    const exporter = exporterTo();
    await exporter.shutdown();
    expect(await exported(exporter, counterBatch(1))).toMatchObject({ code: 'SHUTDOWN', retryable: false });
  });

  it('does not shut down while lines are under way', async () => {
    const exporter = exporterTo();
    const exporting = exported(exporter, counterBatch(1, 20_000));
    await exporter.shutdown();
    expect(await exporting).toBeUndefined();
    expect(await valuesIn(path)).toHaveLength(20_000);
  });
});

describe('jsonFile with a file that others touch', () => {
  it('ends a line that a crash has torn, and never glues another to it', async () => {
    await mkdir(join(folder, 'logs'));
    await writeFile(path, '{"value":1}\n{"val');
    await exported(exporterTo(), counterBatch(2));
    await exported(exporterTo(), counterBatch(3));
    const [whole, torn, ...rest] = (await readFile(path, 'utf8')).split('\n');
    expect([whole, torn]).toEqual(['{"value":1}', '{"val']);
    expect(valuesOf(rest.join('\n'))).toEqual([2, 3]);
  });

  it('goes on at the path when logrotate has moved the file away', async () => {
    const exporter = exporterTo();
    await exported(exporter, counterBatch(1));
    await rename(path, `${path}.1`);
    await exported(exporter, counterBatch(2));
    await rename(path, `${path}.2`);
    await writeFile(path, '');
    await exported(exporter, counterBatch(3));
    expect(await valuesIn(`${path}.1`)).toEqual([1]);
    expect(await valuesIn(`${path}.2`)).toEqual([2]);
    expect(await valuesIn(path)).toEqual([3]);
  });

  it('goes on at the beginning when logrotate has copied and truncated the file', async () => {
    const exporter = exporterTo();
    await exported(exporter, counterBatch(1));
    await truncate(path);
    await exported(exporter, counterBatch(2));
    expect(await valuesIn(path)).toEqual([2]);
  });

  it('makes folder and file anew when they were removed', async () => {
    const exporter = exporterTo();
    await exported(exporter, counterBatch(1));
    await rm(join(folder, 'logs'), { recursive: true });
    expect(await exported(exporter, counterBatch(2))).toBeUndefined();
    expect(await valuesIn(path)).toEqual([2]);
  });

  it('says what to do about a full disk, and resumes by itself', async () => {
    await mkdir(join(folder, 'logs'));
    await symlink('/dev/full', path);
    const exporter = exporterTo();
    for (let i = 0; i < 3; i++) {
      expect(await exported(exporter, counterBatch(i))).toMatchObject({
        code: 'IO',
        retryable: true,
        message: `[IO] cannot write ${path} (ENOSPC): free disk space; writing then resumes by itself`,
      });
    }
    await unlink(path);
    expect(await exported(exporter, counterBatch(4))).toBeUndefined();
    expect(await valuesIn(path)).toEqual([4]);
  });

  it('says what to do about a file in the place of a folder, and resumes by itself', async () => {
    const exporter = exporterTo();
    await exported(exporter, counterBatch(1));
    await rename(join(folder, 'logs'), join(folder, 'away'));
    await writeFile(join(folder, 'logs'), '');
    for (let i = 0; i < 3; i++) {
      expect(await exported(exporter, counterBatch(2))).toMatchObject({
        code: 'IO',
        retryable: true,
        message: expect.stringMatching(/metrics\.jsonl \(E(NOTDIR|EXIST)\): a part of the path/),
      });
    }
    await unlink(join(folder, 'logs'));
    await rename(join(folder, 'away'), join(folder, 'logs'));
    expect(await exported(exporter, counterBatch(3))).toBeUndefined();
    expect(await valuesIn(path)).toEqual([1, 3]);
  });
});

describe('jsonFile with rotation', () => {
  const lineBytes = [...encodeJsonLines(counterBatch(1))][0]!.length;

  const names = async () => (await readdir(join(folder, 'logs'))).sort();

  async function exportValues(
    rotate: JsonFileRotation,
    values: number[],
    options: Partial<JsonFileOptions> = {},
  ) {
    const exporter = exporterTo({ rotate, ...options });
    for (const value of values) expect(await exported(exporter, counterBatch(value))).toBeUndefined();
    await exporter.shutdown();
  }

  async function valuesInAll(): Promise<unknown[][]> {
    const texts = (await names()).map(async (name) => {
      const bytes = await readFile(join(folder, 'logs', name));
      return valuesOf((name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString());
    });
    const [current, ...older] = await Promise.all(texts);
    return [...older, current!];
  }

  it('begins a new file before one grows beyond its size, and loses no line', async () => {
    await exportValues({ maxBytes: 3 * lineBytes }, [1, 2, 3, 4, 5, 6, 7, 8]);
    expect(await valuesInAll()).toEqual([
      [1, 2, 3],
      [4, 5, 6],
      [7, 8],
    ]);
    expect(await names()).toEqual([
      'metrics.jsonl',
      expect.stringMatching(/^metrics\.jsonl\.\d{8}T\d{9}Z$/),
      expect.stringMatching(/^metrics\.jsonl\.\d{8}T\d{9}Z$/),
    ]);
  });

  it('counts what a former process has written', async () => {
    await exportValues({ maxBytes: 3 * lineBytes }, [1, 2]);
    await exportValues({ maxBytes: 3 * lineBytes }, [3, 4]);
    expect(await valuesInAll()).toEqual([[1, 2, 3], [4]]);
  });

  it('never splits an export, even one larger than the limit', async () => {
    const exporter = exporterTo({ rotate: { maxBytes: lineBytes } });
    for (const value of [1, 2]) await exported(exporter, counterBatch(value, 3_000));
    await exporter.shutdown();
    expect(await valuesInAll()).toEqual([Array(3_000).fill(1), Array(3_000).fill(2)]);
  });

  it('begins a new file when one is old enough', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.now() });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const exporter = exporterTo({ rotate: { maxAgeMillis: 60_000 } });
    await exported(exporter, counterBatch(1));
    vi.setSystemTime(Date.now() + 50_000);
    await exported(exporter, counterBatch(2));
    vi.setSystemTime(Date.now() + 11_000);
    await exported(exporter, counterBatch(3));
    await exporter.shutdown();
    expect(await valuesInAll()).toEqual([[1, 2], [3]]);
  });

  it('keeps as many old files as told, the newest', async () => {
    await exportValues({ maxBytes: lineBytes, keep: 2 }, [1, 2, 3, 4, 5, 6]);
    expect(await valuesInAll()).toEqual([[4], [5], [6]]);
  });

  it('keeps the newest also when the clock was set back', async () => {
    vi.useFakeTimers({ toFake: ['Date'], now: Date.UTC(2030, 0, 1) });
    onTestFinished(() => {
      vi.useRealTimers();
    });
    const rotate = { maxBytes: lineBytes, keep: 2 };
    await exportValues(rotate, [1, 2, 3]);
    vi.setSystemTime(Date.UTC(2020, 0, 1));
    await exportValues(rotate, [4, 5, 6]);
    expect(await valuesInAll()).toEqual([[4], [5], [6]]);
  });

  it('compresses old files without a change to their lines, readable for the same people', async () => {
    await exportValues({ maxBytes: 2 * lineBytes, gzip: true }, [1, 2, 3, 4, 5], { mode: 0o640 });
    expect(await valuesInAll()).toEqual([[1, 2], [3, 4], [5]]);
    const [, ...old] = await names();
    for (const name of old) {
      expect(name).toMatch(/Z\.gz$/);
      expect((await stat(join(folder, 'logs', name))).mode & 0o777).toBe(0o640);
    }
  });

  it('finishes at the start what a crash has interrupted, and leaves files of others alone', async () => {
    await exportValues({ maxBytes: lineBytes }, [1, 2, 3]);
    const [, first, second] = await names();
    const logs = (name: string) => join(folder, 'logs', name);
    // Killed while it compressed the first, and between the rename and the removal of the second.
    await writeFile(logs(`${first}.gz.tmp`), 'half');
    await exportValues({ maxBytes: 100 * lineBytes, gzip: true }, [4]);
    await writeFile(logs(second!), 'already compressed');
    await writeFile(logs('metrics.jsonl.1'), 'of logrotate');
    await exportValues({ maxBytes: 100 * lineBytes, gzip: true, keep: 2 }, [5]);
    expect(await readFile(logs('metrics.jsonl.1'), 'utf8')).toBe('of logrotate');
    await unlink(logs('metrics.jsonl.1'));
    expect(await names()).toEqual(['metrics.jsonl', `${first}.gz`, `${second}.gz`]);
    expect(await valuesInAll()).toEqual([[1], [2], [3, 4, 5]]);
  });

  it('removes what a crash left of a compression that is no longer asked for', async () => {
    await exportValues({ maxBytes: lineBytes }, [1, 2]);
    const [, old] = await names();
    await writeFile(join(folder, 'logs', `${old}.gz.tmp`), 'half');
    await exportValues({ maxBytes: 100 * lineBytes }, [3]);
    expect(await names()).toEqual(['metrics.jsonl', old]);
    expect(await valuesInAll()).toEqual([[1], [2, 3]]);
  });

  it('goes on in the old file when no new one can be begun', async () => {
    const add = vi.spyOn(RotatedFiles.prototype, 'add');
    onTestFinished(() => add.mockRestore());
    add.mockRejectedValue(Object.assign(new Error('EBUSY'), { code: 'EBUSY', syscall: 'rename' }));
    await exportValues({ maxBytes: lineBytes }, [1, 2, 3]);
    expect(await valuesInAll()).toEqual([[1, 2, 3]]);
    expect(messages).toEqual([expect.stringMatching(/no new file begun.*EBUSY/)]);
  });

  it('says so when old files cannot be compressed, and keeps them', async () => {
    await exportValues({ maxBytes: lineBytes }, [1, 2]);
    const [, old] = await names();
    await mkdir(join(folder, 'logs', `${old}.gz.tmp`, 'in the way'), { recursive: true });
    await exportValues({ maxBytes: 100 * lineBytes, gzip: true }, [3]);
    expect(messages).toEqual([expect.stringMatching(/rotated files/)]);
    expect(await valuesIn(join(folder, 'logs', old!))).toEqual([1]);
    expect(await valuesIn(path)).toEqual([2, 3]);
  });
});

describe('options of jsonFile', () => {
  const refusals: [string, unknown][] = [
    ['options is undefined; it must be an object', undefined],
    ["path is ''; it must be the name of a file", { path: '' }],
    ['path is undefined', {}],
    ["timestampOffset is 'Z'; it must be 'colon' or 'compact'", { path: 'x', timestampOffset: 'Z' }],
    ["mode is '0600'; it must be file permissions", { path: 'x', mode: '0600' }],
    ['mode is 4096', { path: 'x', mode: 0o10000 }],
    ["temporality is 'delta'; it must be a function", { path: 'x', temporality: 'delta' }],
    ['timeoutMillis is 0', { path: 'x', timeoutMillis: 0 }],
    ['there is no setting maxSize; remove it', { path: 'x', maxSize: 5 }],
    ['rotate is {}; it must be given maxBytes, maxAgeMillis or both', { path: 'x', rotate: {} }],
    ['rotate is true; it must be an object', { path: 'x', rotate: true }],
    ['there is no setting rotate.maxSize; remove it', { path: 'x', rotate: { maxSize: 5 } }],
    ['rotate.maxBytes is -1; it must be a number of bytes above 0', { path: 'x', rotate: { maxBytes: -1 } }],
    ["rotate.maxAgeMillis is '1d'", { path: 'x', rotate: { maxAgeMillis: '1d' } }],
    ['rotate.keep is 0', { path: 'x', rotate: { maxBytes: 1, keep: 0 } }],
    ['rotate.keep is 1.5', { path: 'x', rotate: { maxBytes: 1, keep: 1.5 } }],
    ["rotate.gzip is 'yes'; it must be true or false", { path: 'x', rotate: { maxBytes: 1, gzip: 'yes' } }],
  ];

  it.each(refusals)('are refused: %s', (message, options) => {
    const make = () => jsonFile(options as JsonFileOptions);
    expect(make).toThrow(expect.objectContaining({ name: 'ConfigError' }));
    expect(make).toThrow(message);
  });
});
