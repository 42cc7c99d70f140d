import { describe, expect, test, vi } from 'vitest';
import { captureLogs, metricsOf, pointsOf } from '../../test/support/collected.ts';
import { resourceFromAttributes } from '../data/resource.ts';
import { VERSION } from '../data/version.ts';
import { MeterProvider } from './meter-provider.ts';
import { ManualMetricReader } from './readers/manual-metric-reader.ts';

function setUp() {
  const reader = new ManualMetricReader();
  const provider = new MeterProvider({ readers: [reader] });
  return { reader, provider, meter: provider.getMeter('test') };
}

describe('MeterProvider', () => {
  const logs = captureLogs();

  test('[1.01][1.02] a scope is its name, version, schema URL and attributes, in any order', async () => {
    const { reader, provider } = setUp();
    const scopes = [
      ['m'],
      ['m', '1'],
      ['m', '1', { schemaUrl: 's' }],
      ['m', '1', { schemaUrl: 's', attributes: { a: 1, b: 2 } }],
      ['m', '1', { schemaUrl: 's', attributes: { b: 2, a: 1 } }],
    ] as const;
    for (const [name, version, options] of scopes)
      provider.getMeter(name, version, options).createCounter('c').add(1);
    const { resourceMetrics } = await reader.collect();
    expect(
      resourceMetrics.scopeMetrics.map(({ scope, metrics }) => [scope, metrics[0]!.dataPoints[0]!.value]),
    ).toEqual([
      [{ name: 'm' }, 1],
      [{ name: 'm', version: '1' }, 1],
      [{ name: 'm', version: '1', schemaUrl: 's' }, 1],
      [{ name: 'm', version: '1', schemaUrl: 's', attributes: { a: 1, b: 2 } }, 2],
    ]);
  });

  test.each(['', null, undefined, 7])(
    '[1.03][12.02] a meter named %j works and is reported once',
    async (name) => {
      const { reader, provider } = setUp();
      provider
        .getMeter(name as string)
        .createCounter('c')
        .add(1);
      provider
        .getMeter(name as string)
        .createCounter('c')
        .add(1);
      expect(await pointsOf(reader)).toEqual([[{}, 2]]);
      expect(logs).toEqual([expect.stringContaining('without a name')]);
    },
  );

  test('[1.04] the default resource names the SDK; a given one is used as it is', async () => {
    const { reader } = setUp();
    expect((await reader.collect()).resourceMetrics.resource.attributes).toEqual({
      'service.name': expect.stringMatching(/^unknown_service:/),
      'telemetry.sdk.name': 'meterline',
      'telemetry.sdk.language': 'nodejs',
      'telemetry.sdk.version': VERSION,
    });
    const own = new ManualMetricReader();
    new MeterProvider({ readers: [own], resource: resourceFromAttributes({ a: 1 }) });
    expect((await own.collect()).resourceMetrics.resource.attributes).toEqual({ a: 1 });
  });

  test('[5.24] attributes still being detected are awaited', async () => {
    const reader = new ManualMetricReader();
    const pending = { getRawAttributes: () => [['late', Promise.resolve('x')]] } as never;
    new MeterProvider({ readers: [reader], resource: resourceFromAttributes({ a: 1 }).merge(pending) });
    expect((await reader.collect()).resourceMetrics.resource.attributes).toEqual({ a: 1, late: 'x' });
  });

  test('[1.05] providers do not share state', async () => {
    const [one, other] = [setUp(), setUp()];
    one.meter.createCounter('c').add(1);
    other.meter.createCounter('c', { unit: 's' }).add(2);
    expect([await pointsOf(one.reader), await pointsOf(other.reader)]).toEqual([[[{}, 1]], [[{}, 2]]]);
    expect(logs).toEqual([]);
  });

  test('[1.07] a reader belongs to one provider', () => {
    const { reader } = setUp();
    expect(() => new MeterProvider({ readers: [reader] })).toThrow('one MeterProvider only');
  });

  test('[1.14] bad instrument names are reported and work', async () => {
    const { reader, meter } = setUp();
    for (const name of ['a', 'A.b-c/d_1', 'a'.repeat(255)]) meter.createCounter(name).add(1);
    expect(logs).toEqual([]);
    const bad = ['', '1a', '_a', 'a b', 'é', 'a'.repeat(256), undefined as unknown as string];
    for (const name of bad) meter.createCounter(name).add(1);
    expect(logs).toHaveLength(6);
    expect((await metricsOf(reader)).map((metric) => metric.descriptor.name).slice(3)).toEqual(
      bad.slice(0, 6),
    );
  });

  test('[1.15][1.16] missing unit and description are empty texts', async () => {
    const { reader, meter } = setUp();
    meter.createCounter('a', { unit: null as unknown as string }).add(1);
    expect((await metricsOf(reader))[0]!.descriptor).toMatchObject({ unit: '', description: '' });
  });

  test('[1.17] identical instruments feed one stream', async () => {
    const { reader, meter } = setUp();
    meter.createCounter('c').add(1);
    meter.createCounter('c').add(1);
    expect(await metricsOf(reader)).toHaveLength(1);
    expect(await pointsOf(reader)).toEqual([[{}, 2]]);
    expect(logs).toEqual([]);
  });

  test('[1.18] instruments that differ in unit or kind are two metrics and one warning', async () => {
    const { reader, meter } = setUp();
    meter.createCounter('c', { unit: 's' }).add(1);
    meter.createCounter('c', { unit: 'ms' }).add(1);
    meter.createHistogram('c').record(1);
    expect(await metricsOf(reader)).toHaveLength(3);
    expect(logs).toEqual([
      expect.stringMatching(/COUNTER c of doubles in s, and COUNTER c of doubles in ms/),
    ]);
  });

  test('[1.19] of two descriptions the longer one stands', async () => {
    const { reader, meter } = setUp();
    meter.createCounter('c', { description: 'ab' }).add(1);
    meter.createCounter('c', { description: 'abcd' }).add(1);
    meter.createCounter('c', { description: 'abc' }).add(1);
    const metrics = await metricsOf(reader);
    expect(metrics.map((metric) => metric.descriptor.description)).toEqual(['abcd']);
    expect(logs).toHaveLength(1);
  });

  test('[1.21] names that differ in case only are one stream, named as first seen', async () => {
    const { reader, meter } = setUp();
    meter.createCounter('requestCount').add(1);
    meter.createCounter('RequestCount').add(1);
    const metrics = await metricsOf(reader);
    expect(metrics.map(({ descriptor, dataPoints }) => [descriptor.name, dataPoints[0]!.value])).toEqual([
      ['requestCount', 2],
    ]);
    expect(logs).toEqual([expect.stringContaining('"RequestCount" is recorded as "requestCount"')]);
  });

  test('[1.02] meters of other attributes stay apart, also when series of such attributes have come and gone', () => {
    const { provider } = setUp();
    const meterOf = (a: number) => provider.getMeter('m', '1', { attributes: { a } });
    const first = meterOf(1);
    const counter = first.createCounter('c');
    counter.add(1, { a: 1 });
    counter.remove({ a: 1 });
    expect(meterOf(2)).not.toBe(first);
    expect(meterOf(1)).toBe(first);
  });

  test('[1.18][1.21] so are instruments that differ in more than case, which stay two', async () => {
    const { reader, meter } = setUp();
    meter.createCounter('requestCount').add(1);
    meter.createCounter('RequestCount', { unit: 's' }).add(1);
    const metrics = await metricsOf(reader);
    expect(metrics.map(({ descriptor }) => [descriptor.name, descriptor.unit])).toEqual([
      ['requestCount', ''],
      ['requestCount', 's'],
    ]);
  });

  test('[1.22] instruments of different meters never conflict', () => {
    const { provider } = setUp();
    provider.getMeter('a').createCounter('c', { unit: 's' });
    provider.getMeter('b').createHistogram('c');
    expect(logs).toEqual([]);
  });

  test('[1.25] of two advices the first stands', async () => {
    const { reader, meter } = setUp();
    meter.createHistogram('h', { advice: { explicitBucketBoundaries: [1, 2] } }).record(1);
    meter.createHistogram('h', { advice: { explicitBucketBoundaries: [9] } }).record(1);
    expect(await pointsOf(reader)).toMatchObject([[{}, { count: 2, buckets: { boundaries: [1, 2] } }]]);
    expect(logs).toEqual([expect.stringContaining('different advice')]);
  });

  test('[1.10][1.11] shutdown happens once; afterwards nothing is recorded and meters are no-ops', async () => {
    const { reader, provider, meter } = setUp();
    const shutdown = vi.spyOn(reader, 'shutdown');
    const counter = meter.createCounter('c');
    const callback = vi.fn();
    meter.createObservableGauge('g').addCallback(callback);
    await Promise.all([provider.shutdown(), provider.shutdown()]);
    await provider.shutdown();
    expect(shutdown).toHaveBeenCalledTimes(1);
    counter.add(1);
    provider.getMeter('late').createCounter('c').add(1);
    await expect(reader.collect()).rejects.toMatchObject({ code: 'SHUTDOWN' });
    expect(callback).not.toHaveBeenCalled();
  });

  test('[1.12] one failing reader does not keep the others from flushing, and the caller learns of it', async () => {
    const readers = [new ManualMetricReader(), new ManualMetricReader(), new ManualMetricReader()];
    const provider = new MeterProvider({ readers });
    const flushes = readers.map((reader, i) =>
      vi
        .spyOn(reader, 'forceFlush')
        .mockImplementation(() => (i === 1 ? Promise.reject(new Error('no')) : Promise.resolve())),
    );
    await expect(provider.forceFlush()).rejects.toThrow(/^no$/);
    for (const flush of flushes) expect(flush).toHaveBeenCalledTimes(1);
    await provider.shutdown();
    await provider.forceFlush();
    for (const flush of flushes) expect(flush).toHaveBeenCalledTimes(1);
  });

  test('[1.10] a reader that hangs does not hang shutdown', async () => {
    const { reader, provider } = setUp();
    vi.spyOn(reader, 'shutdown').mockReturnValue(new Promise(() => {}));
    await expect(provider.shutdown({ timeoutMillis: 10 })).rejects.toThrow('did not end within 10 ms');
  });

  test('[5.04] a reader without a provider cannot collect', async () => {
    await expect(new ManualMetricReader().collect()).rejects.toThrow('not been given to a MeterProvider');
  });
});
