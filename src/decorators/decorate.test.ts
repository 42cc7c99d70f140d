import { describe, expect, test } from 'vitest';
import { ConfigError } from '../data/errors.ts';
import type { PushMetricExporter } from '../data/exporter.ts';
import { InstrumentType } from '../data/metric-data.ts';
import { answering } from './fixtures/answering.ts';
import { fallback, filter, logging, multi, retry, timeout } from './index.ts';

const DECORATORS: Record<string, (exporter: PushMetricExporter) => PushMetricExporter> = {
  fallback: (exporter) => fallback(answering('other').exporter, exporter),
  filter: (exporter) => filter(exporter, { include: { name: '*' } }),
  logging: (exporter) => logging(exporter),
  multi: (exporter) => multi([answering('other').exporter, exporter]),
  retry: (exporter) => retry(exporter),
  timeout: (exporter) => timeout(exporter, 1_000),
};

const trapped = (name: string) =>
  Object.defineProperty({ ...answering('x').exporter }, name, {
    get() {
      throw new Error('a trap');
    },
  });

describe.each(Object.entries(DECORATORS))('%s', (name, decorate) => {
  test.each(['export', 'forceFlush', 'shutdown', 'componentType'])(
    'refuses an exporter of which %s cannot be read',
    (property) => {
      const make = () => decorate(trapped(property));
      expect(make).toThrow(ConfigError);
      expect(make).toThrow(`${name}: what it was given to wrap cannot be read (a trap); use an exporter`);
    },
  );

  test.each([undefined, null, 5, {}, { export() {}, forceFlush() {} }])('refuses %o', (junk) => {
    expect(() => decorate(junk as never)).toThrow(`${name}: what it was given to wrap has no method`);
  });

  test.each(['selectAggregation', 'selectAggregationTemporality'] as const)(
    'tells of a %s that throws: at once where it has to compare, else when the reader asks',
    (selector) => {
      const throws = () => {
        throw new Error('no idea');
      };
      const { exporter } = answering('x', [], { [selector]: throws });
      const ask = () => decorate(exporter)[selector]!(InstrumentType.COUNTER);
      expect(ask).toThrow('no idea');
      if (name === 'multi' || name === 'fallback') expect(ask).toThrow(ConfigError);
    },
  );
});
