import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { captureLogs } from '../../test/support/collected.ts';
import { ExportError } from '../data/errors.ts';
import { createExporter } from '../data/exporter.ts';
import { everyKind } from '../encoding/fixtures/every-kind.ts';
import { exported } from '../exporters/fixtures/exporting.ts';
import { answering, deltas, fails, takes } from './fixtures/answering.ts';
import { type ExportLogger, logging } from './logging.ts';

function recordingLogger(others: object = {}) {
  const lines: unknown[][] = [];
  const at =
    (level: string) =>
    (...details: unknown[]) =>
      void lines.push([level, ...details]);
  const logger = { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error'), ...others };
  return { logger: logger as ExportLogger, lines };
}

describe('logging', () => {
  const logs = captureLogs();
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  test('logs counts, duration and outcome once an export has ended', async () => {
    const { logger, lines } = recordingLogger();
    const sent = exported(logging(answering('x', [takes(25)]).exporter, { logger }), everyKind());
    await vi.advanceTimersByTimeAsync(24);
    expect(lines).toEqual([]);
    await vi.advanceTimersByTimeAsync(1);
    expect(await sent).toBeUndefined();
    const fields = {
      exporter: 'x',
      outcome: 'success',
      durationMillis: 25,
      scopes: 2,
      metrics: 6,
      points: 12,
    };
    expect(lines).toEqual([['info', 'export of metrics delivered', fields]]);
  });

  test('logs how many points the receiver refused of what it took', async () => {
    const { logger, lines } = recordingLogger();
    const refusal = new ExportError('REJECTED', 'some are bad', { rejectedDataPoints: 2 });
    const picky = createExporter({ name: 'picky', export: async () => refusal });
    expect(await exported(logging(picky, { logger }), deltas(1, 2, 3))).toBe(refusal);
    expect(lines).toMatchObject([
      ['info', 'export of metrics delivered', { outcome: 'success', rejectedPoints: 2 }],
    ]);
  });

  test('logs a failure with its code and what is owed, and passes it on', async () => {
    const { logger, lines } = recordingLogger();
    const error = new ExportError('THROTTLED', 'busy', {
      retryable: true,
      rejectedDataPoints: 2,
      undelivered: deltas(1),
    });
    const logged = logging(answering('x', [fails(error)]).exporter, {
      logger,
      failureLevel: 'warn',
      successLevel: 'debug',
    });
    expect(await exported(logged, deltas(1, 2, 3))).toBe(error);
    await exported(logged, deltas(1));
    const counts = { durationMillis: 0, scopes: 1, metrics: 1 };
    expect(lines).toEqual([
      [
        'warn',
        'export of metrics failed',
        {
          exporter: 'x',
          outcome: 'failure',
          ...counts,
          points: 3,
          errorCode: 'THROTTLED',
          retryable: true,
          rejectedPoints: 2,
          owedPoints: 1,
        },
      ],
      ['debug', 'export of metrics delivered', { exporter: 'x', outcome: 'success', ...counts, points: 1 }],
    ]);
  });

  test('logs no attributes, values, resources or error texts', async () => {
    const { logger, lines } = recordingLogger();
    const error = new Error('https://user:hunter2@backend refused series s0="4711"');
    await exported(logging(answering('x', [fails(error)]).exporter, { logger }), everyKind());
    expect(JSON.stringify(lines)).not.toMatch(/hunter2|4711|s0|sre|orders|temperature|1234/);
  });

  test('logs flushes and shutdowns that fail', async () => {
    const { logger, lines } = recordingLogger();
    const cannot = () => Promise.reject(new Error('cannot'));
    const { exporter } = answering('x', [], { forceFlush: cannot, shutdown: cannot });
    const logged = logging(exporter, { logger });
    await expect(logged.forceFlush()).rejects.toThrow('cannot');
    await expect(logged.shutdown()).rejects.toThrow('cannot');
    expect(lines.map(([level, message]) => [level, message])).toEqual([
      ['error', 'flush of metrics failed'],
      ['error', 'shutdown of metrics failed'],
    ]);
  });

  test.each([
    ['pino', { bindings: () => ({}) }],
    ['bunyan', { fields: {} }],
  ])('gives %s the fields first', async (_, others) => {
    const { logger, lines } = recordingLogger(others);
    await exported(logging(answering('x').exporter, { logger }), deltas(1));
    expect(lines[0]).toEqual(['info', expect.objectContaining({ points: 1 }), 'export of metrics delivered']);
  });

  test('calls the logger as its method', async () => {
    class Logger {
      readonly #lines: string[] = [];
      debug() {}
      info(message: string) {
        this.#lines.push(message);
      }
      warn() {}
      error() {}
      get lines() {
        return this.#lines;
      }
    }
    const logger = new Logger();
    await exported(logging(answering('x').exporter, { logger }), deltas(1));
    expect(logger.lines).toHaveLength(1);
  });

  test.each<[string, () => unknown]>([
    [
      'throws',
      () => {
        throw new Error('disk full');
      },
    ],
    ['rejects', () => Promise.reject(new Error('disk full'))],
  ])('survives a logger that %s', async (_, info) => {
    const { logger } = recordingLogger({ info });
    const logged = logging(answering('x').exporter, { logger });
    expect(await exported(logged, deltas(1))).toBeUndefined();
    expect(await exported(logged, deltas(1))).toBeUndefined();
    expect(logs).toEqual(['meterline: the logger given to logging() failed: disk full']);
  });

  test('logs to the console by default', async () => {
    const info = vi.spyOn(console, 'info').mockReturnValue();
    await exported(logging(answering('x').exporter), deltas(1));
    expect(info).toHaveBeenCalledWith('export of metrics delivered', expect.objectContaining({ points: 1 }));
  });

  test.each<[unknown, string]>([
    [{ logger: {} }, 'logger has no method debug; use a logger with debug, info, warn, error'],
    [{ logger: null }, 'logger has no method debug'],
    [{ successLevel: 'trace' }, "successLevel is 'trace'; it must be one of debug, info, warn, error"],
    [{ failureLevel: 1 }, 'failureLevel is 1'],
    [{ level: 'info' }, 'there is no setting level'],
  ])('refuses options that cannot work: %o', (options, message) => {
    expect(() => logging(answering('x').exporter, options as never)).toThrow(message);
  });
});
