import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import type { PrometheusMetricReader } from '../exporters/prometheus.ts';
import { listenPersistently } from './prometheus-listener.ts';

const logs = captureLogs();
beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

test('a taken port is said once a minute and tried again until it is free', async () => {
  const listen = vi.fn().mockRejectedValue(new Error('port taken'));
  listenPersistently({ listen } as unknown as PrometheusMetricReader, { port: 9464 });
  await vi.advanceTimersByTimeAsync(9_999);
  expect(listen).toHaveBeenCalledTimes(2);
  expect(logs).toEqual(['meterline: port taken; trying again every 5 s']);
  listen.mockResolvedValue({});
  await vi.advanceTimersByTimeAsync(60_000);
  expect(listen).toHaveBeenCalledTimes(3);
  expect(listen).toHaveBeenCalledWith({ port: 9464 });
});

test('stopping ends the trying', async () => {
  const listen = vi.fn().mockRejectedValue(new Error('port taken'));
  const stop = listenPersistently({ listen } as unknown as PrometheusMetricReader, {});
  await vi.advanceTimersByTimeAsync(1);
  stop();
  await vi.advanceTimersByTimeAsync(60_000);
  expect(listen).toHaveBeenCalledTimes(1);
});
