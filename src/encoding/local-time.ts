// RFC 3339 with milliseconds and the local offset that holds at that time, across daylight saving changes.

export const TIMESTAMP_OFFSETS = ['colon', 'compact'] as const;

/** `colon`: `+08:00` as in RFC 3339; `compact`: `+0800` as in ISO 8601 basic format. */
export type TimestampOffset = (typeof TIMESTAMP_OFFSETS)[number];

/** For instance `2025-12-16T09:30:17.594+08:00`. UTC is written as `+00:00`. */
export function localTimestamp(epochMillis: number, offset: TimestampOffset): string {
  // Whole minutes: zones before about 1970 also have seconds, for which the format has no place.
  const minutes = -Math.round(new Date(epochMillis).getTimezoneOffset());
  const local = new Date(epochMillis + minutes * 60_000).toISOString().slice(0, -1);
  const sign = minutes < 0 ? '-' : '+';
  const separator = offset === 'colon' ? ':' : '';
  return `${local}${sign}${twoDigits(Math.abs(minutes) / 60)}${separator}${twoDigits(Math.abs(minutes) % 60)}`;
}

function twoDigits(value: number): string {
  return String(Math.floor(value)).padStart(2, '0');
}
