import { afterEach, describe, expect, it, vi } from 'vitest';
import { localTimestamp } from './local-time.ts';

afterEach(() => {
  vi.unstubAllEnvs();
});

describe('localTimestamp', () => {
  it.each([
    ['Asia/Shanghai', '2025-12-16T01:30:17.594Z', '2025-12-16T09:30:17.594+08:00'],
    ['UTC', '2025-12-16T01:30:17.594Z', '2025-12-16T01:30:17.594+00:00'],
    ['America/New_York', '2025-01-01T00:00:00.000Z', '2024-12-31T19:00:00.000-05:00'],
    ['Asia/Kathmandu', '2025-01-01T00:00:00.007Z', '2025-01-01T05:45:00.007+05:45'],
    ['America/St_Johns', '2025-01-01T00:00:00.000Z', '2024-12-31T20:30:00.000-03:30'],
  ])('writes local time and offset in %s', (zone, instant, expected) => {
    vi.stubEnv('TZ', zone);
    expect(localTimestamp(Date.parse(instant), 'colon')).toBe(expected);
  });

  it('takes the offset that holds at the time, not now', () => {
    vi.stubEnv('TZ', 'Europe/Berlin');
    const beforeChange = Date.parse('2025-10-26T00:59:59.999Z');
    expect(localTimestamp(beforeChange, 'colon')).toBe('2025-10-26T02:59:59.999+02:00');
    expect(localTimestamp(beforeChange + 1, 'colon')).toBe('2025-10-26T02:00:00.000+01:00');
  });

  it('leaves out the colon on request', () => {
    vi.stubEnv('TZ', 'America/St_Johns');
    expect(localTimestamp(0, 'compact')).toMatch(/-0330$/);
  });
});
