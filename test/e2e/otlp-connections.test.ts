// Connections that end on purpose, receivers that ask for a pause, and several receivers.
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { otlpGrpc } from '../../src/exporters/otlp-grpc.ts';
import { startFaultProxy } from '../support/fault-proxy.ts';
import { type Collector, startCollector } from './support/collector.ts';
import { startGrpcGateway, startHttpGateway, THROTTLING } from './support/gateway.ts';
import { TRANSPORTS } from './support/otlp-exporters.ts';
import { startReporting, sumOf } from './support/reporting.ts';

let collector: Collector;
let second: Collector;
beforeAll(async () => {
  [collector, second] = await Promise.all([startCollector(), startCollector()]);
});
afterAll(async () => {
  await Promise.all([collector.stop(), second.stop()]);
});

describe.each(TRANSPORTS)('$name', (transport) => {
  const isGrpc = transport.name === 'grpc';

  test.each(THROTTLING[isGrpc ? 'grpc' : 'http'])('status %i with a pause of a second', async (status) => {
    const start = isGrpc ? startGrpcGateway : startHttpGateway;
    const gateway = await start(transport.portOf(collector));
    onTestFinished(() => gateway.stop());
    const service = startReporting(transport.make(gateway.port, { temporality: 'delta' }));
    service.work(1);
    expect(await service.report()).toBeUndefined();
    gateway.refuseOnce(status, 1);
    service.work(10);
    const before = performance.now();

    expect(await service.report()).toBeUndefined();
    expect(performance.now() - before).toBeGreaterThan(990);
    expect(sumOf(service.pointsIn(await collector.received()))).toBe(service.done);
  });

  test('a second receiver, when the first has crashed, and back again', async () => {
    const ports = [transport.portOf(collector), transport.portOf(second)];
    const service = startReporting(
      transport.make(ports, { temporality: 'delta', probeIntervalMillis: 200, retry: false }),
    );
    const arrived = async (at: Collector) => sumOf(service.pointsIn(await at.received()));
    const reported = async (amount: number) => {
      service.work(amount);
      expect(await service.report()).toBeUndefined();
    };

    await reported(1);
    expect(await arrived(collector)).toBe(1);
    await collector.kill();
    await reported(10);
    await reported(100);
    expect(await arrived(second)).toBe(110);
    await collector.start();
    await setTimeout(250);
    await reported(1000);
    expect(await arrived(collector)).toBe(1001);
    expect(await arrived(second)).toBe(110);
  });
});

test('gRPC: a server that sends connections away (GOAWAY) fails no export, without retries', async () => {
  const aging = await startCollector({ maxConnectionAgeMillis: 100 });
  const proxy = await startFaultProxy(aging.grpcPort);
  onTestFinished(() => proxy.stop());
  const service = startReporting(
    otlpGrpc({ url: `http://localhost:${proxy.port}`, temporality: 'delta', retry: false }),
  );
  while (proxy.accepted < 10) {
    service.work(1);
    expect(await service.report()).toBeUndefined();
  }

  expect(sumOf(service.pointsIn(await aging.received()))).toBe(service.done);
  await aging.stop();
});

test('gRPC: round robin gives each receiver its share, and the rest the whole when one crashes', async () => {
  const service = startReporting(
    otlpGrpc({
      url: `ipv4:127.0.0.1:${collector.grpcPort},127.0.0.1:${second.grpcPort}`,
      insecure: true,
      serviceConfig: { loadBalancingConfig: [{ round_robin: {} }] },
      temporality: 'delta',
      retry: { initialIntervalMillis: 20 },
    }),
  );
  const reportTen = async () => {
    for (let i = 0; i < 10; i++) {
      service.work(1);
      expect(await service.report()).toBeUndefined();
    }
  };
  const arrived = async () =>
    Promise.all([collector, second].map(async (at) => sumOf(service.pointsIn(await at.received()))));

  await expect
    .poll(
      async () => {
        await reportTen();
        return Math.min(...(await arrived()));
      },
      { timeout: 10_000 },
    )
    .toBeGreaterThan(0);
  await second.kill();
  await reportTen();
  await second.start();

  const [first, other] = await arrived();
  expect(first! + other!).toBe(service.done);
});
