// The header Retry-After (RFC 9110, section 10.2.3).

/** IMF-fixdate and the two obsolete forms that recipients must take; all end in a year, a time or GMT. */
const HTTP_DATE = /^(Mon|Tue|Wed|Thu|Fri|Sat|Sun)[a-z]*,? .*\d{2}:\d{2}:\d{2}/;

/**
 * Milliseconds to wait, 0 for a date that has passed; undefined when there is no usable header.
 *
 * @param nowMillis since the Unix epoch
 */
export function retryAfterMillis(header: string | undefined, nowMillis: number): number | undefined {
  const text = header?.trim() ?? '';
  if (/^\d+$/.test(text)) return Number(text) * 1_000;
  if (!HTTP_DATE.test(text)) return undefined;
  const date = Date.parse(text);
  return Number.isNaN(date) ? undefined : Math.max(0, date - nowMillis);
}
