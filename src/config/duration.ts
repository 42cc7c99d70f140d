// Durations as people write them: `500ms`, `10s`, `1m30s`, `2h`, or a number of milliseconds.

const UNITS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/y;

export const DURATION_FORMAT = 'use a number of milliseconds or a duration such as 500ms, 10s, 1m30s or 2h';

/** Milliseconds, or undefined when the text is not a duration. */
export function parseDuration(text: string): number | undefined {
  const compact = text.trim();
  if (compact === '') return undefined;
  if (/^\d+$/.test(compact)) return Number(compact);
  let millis = 0;
  PART.lastIndex = 0;
  while (PART.lastIndex < compact.length) {
    const part = PART.exec(compact);
    if (part === null) return undefined;
    millis += Number(part[1]) * UNITS[part[2] as keyof typeof UNITS];
  }
  return millis;
}
