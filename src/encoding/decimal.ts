// Numbers written digit by digit, which takes a tenth to a quarter of the time of a string.

const DIGIT_0 = 0x30;
const DOT = 0x2e;

/** Writes a whole number from 0 to 2^31 - 1 and returns the position behind it. */
export function writeInteger(target: Uint8Array, position: number, value: number): number {
  let end = position + 1;
  for (let power = 10; value >= power; power *= 10) end++;
  writeDigits(target, position, end, value);
  return end;
}

/** Fills everything from `start` to `end` with the last digits of such a number. */
export function writeDigits(target: Uint8Array, start: number, end: number, value: number): void {
  let rest = value | 0;
  for (let at = end - 1; at >= start; at--) {
    const tenth = (rest / 10) | 0;
    target[at] = DIGIT_0 + rest - tenth * 10;
    rest = tenth;
  }
}

/** What {@link writeDecimal} writes at most: seven digits, the point, and what 53 bits from 2^-11 on have behind it. */
export const MAX_DECIMAL_LENGTH = 24;

const MAX_DECIMAL = 1e6;
/** From here on 64 bits behind the point hold a double and half of its distance to the next. */
const MIN_LONG_DECIMAL = 2 ** -11;
const UNITS = 1e9;
const WORD = 2 ** 32;

/**
 * Writes the shortest decimal that reads back as the value, of those the nearest, as `String(value)` does.
 *
 * @param value not below 0
 * @returns the position behind it, or `position` when the value is not among those that this can do: nearly all
 *   from 2^-11 to a million, and those below that have at most nine decimals
 */
export function writeDecimal(target: Uint8Array, position: number, value: number): number {
  if (!(value < MAX_DECIMAL)) return position;
  // Durations as they are measured. Below 10^15 units a decimal that divides back to the value is the shortest one, since
  // no two decimals of 15 digits round to the same double.
  const scaled = Math.round(value * UNITS);
  if (scaled / UNITS !== value || scaled === 0) return writeLongDecimal(target, position, value);
  const whole = Math.floor(scaled / UNITS);
  let fraction = scaled - whole * UNITS;
  let end = writeInteger(target, position, whole);
  if (fraction === 0) return end;
  let digits = 9;
  for (; fraction % 10 === 0; fraction /= 10) digits--;
  target[end++] = DOT;
  writeDigits(target, end, end + digits, fraction);
  return end + digits;
}

/**
 * For more than nine decimals: the free-format algorithm of Steele and White, "How to Print Floating-Point Numbers
 * Accurately" (1990), with the fraction as 64 bits in two words. Ties, and powers of two, whose neighbours are not equally
 * far away, are left to others.
 */
function writeLongDecimal(target: Uint8Array, position: number, value: number): number {
  if (value < MIN_LONG_DECIMAL) return position;
  // Times powers of ten it stays exact, being a power of two times one of five.
  let half = halfDistance(value) * UNITS;
  if (half === 0) return position;
  const whole = Math.floor(value);
  const fraction = (value - whole) * WORD;
  let high = Math.floor(fraction);
  let low = (fraction - high) * WORD;

  // The digits that there are in any case, as three times three.
  let end = writeInteger(target, position, whole);
  target[end++] = DOT;
  for (let i = 0; i < 3; i++, end += 3) {
    const lower = low * 1_000;
    const carry = Math.floor(lower / WORD);
    const upper = high * 1_000 + carry;
    const digits = Math.floor(upper / WORD);
    low = lower - carry * WORD;
    high = upper - digits * WORD;
    writeDigits(target, end, end + 3, digits);
  }
  for (;;) {
    const lower = low * 10;
    const carry = Math.floor(lower / WORD);
    const upper = high * 10 + carry;
    const digit = Math.floor(upper / WORD);
    low = lower - carry * WORD;
    high = upper - digit * WORD;
    half *= 10;
    // Rounded to 53 bits, which keeps the order.
    const below = high * WORD + low;
    const above = (WORD - 1 - high) * WORD + (WORD - low);
    if (below === half || above === half) return position;
    if (below > half && above > half) {
      target[end++] = DIGIT_0 + digit;
      continue;
    }
    // Where both read back, the nearer one.
    if (below === above) return position;
    target[end] = DIGIT_0 + (below < above ? digit : digit + 1);
    return end + 1;
  }
}

const bits = new DataView(new ArrayBuffer(8));

/** In units of 2^-64, of a number from 2^-11 to 2^20; 0 for a power of two. */
function halfDistance(value: number): number {
  bits.setFloat64(0, value);
  const top = bits.getUint32(0);
  if ((top & 0xfffff) === 0 && bits.getUint32(4) === 0) return 0;
  const exponent = (top >>> 20) - 1023;
  return 1 << (exponent + 11);
}
