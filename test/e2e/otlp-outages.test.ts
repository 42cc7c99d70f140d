// Collectors that crash, move, hang and refuse: in the end they have every point, and none twice.
import { setTimeout } from 'node:timers/promises';
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts';
import { type Collector, startCollector } from './support/collector.ts';
import { type SharedOptions, TRANSPORTS } from './support/otlp-exporters.ts';
import { lastValues, startReporting, sumOf } from './support/reporting.ts';

/** Of exports that shall not succeed; long enough for those that shall. */
const TIMEOUT_MILLIS = 1_000;

describe.each(TRANSPORTS)('$name', (transport) => {
  let collector: Collector;
  let proxy: FaultProxy;

  beforeEach(async () => {
    collector = await startCollector();
    proxy = await startFaultProxy(transport.portOf(collector));
    // After the services of the test, which report once more when they end.
    onTestFinished(async () => {
      proxy.stop();
      await collector.stop();
    });
  });

  /** A service that has reported once, so that a connection is open. */
  async function connected(options: SharedOptions) {
    const service = startReporting(transport.make(proxy.port, options));
    service.work(1);
    expect(await service.report()).toBeUndefined();
    return service;
  }

  /** Crashes; what it has answered is in its file before. */
  async function crash(): Promise<void> {
    await collector.received();
    await collector.kill();
  }

  test('down for a minute and several exports, then up', async () => {
    const service = await connected({ temporality: 'delta', retry: false });
    await crash();
    for (let second = 0; second < 60; second += 5) {
      service.work(10);
      expect(await service.report()).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
      await setTimeout(5_000);
    }
    await collector.start();
    service.work(5);

    expect(await service.report()).toBeUndefined();
    expect(sumOf(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test('down when an export begins, and up again before its timeout', async () => {
    const service = await connected({ temporality: 'delta' });
    await crash();
    service.work(10);
    const reported = service.report();
    await setTimeout(300);
    await collector.start();

    expect(await reported).toBeUndefined();
    expect(sumOf(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test('killed with a request in its hands', async () => {
    const service = await connected({ temporality: 'delta' });
    await collector.received();
    await collector.pause();
    service.work(10);
    const reported = service.report();
    await setTimeout(100);
    await collector.kill();
    await collector.start();

    expect(await reported).toBeUndefined();
    expect(sumOf(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test('a connection that breaks in the middle of a request', async () => {
    const service = await connected({ temporality: 'delta' });
    for (let i = 0; i < 1000; i++) service.work(1, { order: `${i}` });
    const cut = proxy.cutAfter(10_000);

    expect(await service.report()).toBeUndefined();
    await cut;
    expect(sumOf(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test('a connection that breaks before the answer: sent twice with the same times and values', async () => {
    const service = await connected({ temporality: 'cumulative' });
    service.work(10);
    const cut = proxy.cutAfter(0, 'responses');

    expect(await service.report()).toBeUndefined();
    await cut;
    expect(lastValues(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test('restarted on a new port behind the same name', async () => {
    const service = await connected({ temporality: 'delta' });
    await crash();
    await collector.restart({ newPorts: true });
    proxy.switchTo(transport.portOf(collector));
    service.work(10);

    expect(await service.report()).toBeUndefined();
    expect(sumOf(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test('slow, but within the timeout', async () => {
    const service = await connected({ temporality: 'delta' });
    proxy.delay(150);
    service.work(10);

    expect(await service.report()).toBeUndefined();
    expect(sumOf(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test('hung beyond the timeout, then awake', async () => {
    const service = await connected({ temporality: 'cumulative', timeoutMillis: TIMEOUT_MILLIS });
    await collector.pause();
    service.work(10);
    expect(await service.report()).toMatchObject({ code: 'TIMEOUT', retryable: true });
    collector.resume();
    service.work(5);

    expect(await service.report()).toBeUndefined();
    expect(lastValues(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test.each(['open', 'new'])('black-holed TCP on a connection that is %s', async (connection) => {
    const options: SharedOptions = { temporality: 'cumulative', timeoutMillis: TIMEOUT_MILLIS };
    const service =
      connection === 'open' ? await connected(options) : startReporting(transport.make(proxy.port, options));
    proxy.blackHole();
    service.work(10);
    const start = performance.now();
    expect(await service.report()).toMatchObject({ code: 'TIMEOUT', retryable: true });
    expect(performance.now() - start).toBeLessThan(2 * TIMEOUT_MILLIS);
    await proxy.heal();
    service.work(5);

    expect(await service.report()).toBeUndefined();
    expect(lastValues(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test('a connection that the network has forgotten: the next export takes a new one', async () => {
    const service = await connected({ temporality: 'delta', timeoutMillis: TIMEOUT_MILLIS });
    proxy.forget();
    service.work(10);
    expect(await service.report()).toMatchObject({ code: 'TIMEOUT', retryable: true });
    service.work(5);

    expect(await service.report()).toBeUndefined();
    expect(sumOf(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test('refused for want of memory, until there is some', async () => {
    await collector.restart({ memoryLimitMib: 1 });
    const service = startReporting(
      transport.make(transport.portOf(collector), { temporality: 'delta', retry: false }),
    );
    service.work(10);
    expect(await service.report()).toMatchObject({ code: 'UNAVAILABLE', retryable: true });
    await collector.restart({ memoryLimitMib: undefined });
    service.work(5);

    expect(await service.report()).toBeUndefined();
    expect(sumOf(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test.each(['none', 'gzip'] as const)('a request too large for it, compression %s', async (compression) => {
    await collector.restart({ maxRequestMib: 1 });
    const service = startReporting(
      transport.make(transport.portOf(collector), { temporality: 'delta', compression }),
    );
    for (let i = 0; i < 1500; i++) service.work(1, { order: `${i}`, note: 'x'.repeat(2000) });

    expect(await service.report()).toBeUndefined();
    expect(sumOf(service.pointsIn(await collector.received()))).toBe(service.done);
  });
});
