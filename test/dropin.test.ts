// Meterline in the place of `@opentelemetry/sdk-metrics`; test/compat compares the types and runs both together.
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import * as theirs from '@opentelemetry/sdk-metrics';
import { expect, test } from 'vitest';
import * as ours from '../src/index.ts';
import { DataPointType, TimeoutError } from '../src/index.ts';
import { exportedNames } from './compat/suite/support/exported-names.ts';

const sourceOf = (url: string) => readFileSync(fileURLToPath(url), 'utf8');
const official = exportedNames(
  sourceOf(import.meta.resolve('@opentelemetry/sdk-metrics').replace(/\.js$/, '.d.ts')),
);

test('every name of the official package is exported, types included', () => {
  expect(official.length).toBeGreaterThan(30);
  const source = sourceOf(new URL('../src/index.ts', import.meta.url).href);
  expect(exportedNames(source)).toEqual(expect.arrayContaining(official));
});

test('enums have the members and values of the official ones', () => {
  const enums = Object.entries(theirs).filter(([, value]) => typeof value === 'object');
  for (const [name, value] of enums.filter(([name]) => official.includes(name)))
    expect(ours, name).toHaveProperty(name, value);
  expect(Object.keys(DataPointType)).toHaveLength(8);
});

test('every ExportError with the code TIMEOUT is a TimeoutError, of another copy of the package too', () => {
  const foreign = Object.assign(new Error('late'), { name: 'ExportError', code: 'TIMEOUT' });
  expect(new ours.ExportError('TIMEOUT', 'late')).toBeInstanceOf(TimeoutError);
  expect(foreign).toBeInstanceOf(TimeoutError);
  expect(new TimeoutError('late')).toMatchObject({ name: 'ExportError', code: 'TIMEOUT', retryable: true });
  for (const other of [new ours.ExportError('IO', 'full'), new Error('late'), undefined, null, 'TIMEOUT'])
    expect(other instanceof TimeoutError).toBe(false);
});

test('what a caller waits for too long rejects with a TimeoutError', async () => {
  const provider = new ours.MeterProvider({
    readers: [
      new (class extends ours.ManualMetricReader {
        protected override onForceFlush = () => new Promise<void>(() => {});
      })(),
    ],
  });
  const error = await provider.forceFlush({ timeoutMillis: 1 }).catch((error: unknown) => error);
  expect(error).toBeInstanceOf(TimeoutError);
});
