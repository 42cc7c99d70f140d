// Numbers as Go's `strconv` prints them with the format 'g', which is what Prometheus itself and most of its
// clients write: the shortest decimal that reads back as the same number, `1e+06` from a million on.

import { writeByteText } from './byte-text.ts';
import { writeDecimal, writeInteger } from './decimal.ts';

/** Bytes that {@link writeFloat} may need. */
export const MAX_FLOAT_LENGTH = 24;

const DOT = 0x2e;

/** Zero loses its sign, as in Go's client. */
export function goFloat(value: number): string {
  if (Number.isNaN(value)) return 'NaN';
  if (!Number.isFinite(value)) return value > 0 ? '+Inf' : '-Inf';
  const magnitude = Math.abs(value);
  if (magnitude === 0) return '0';
  if (magnitude >= 1e-4 && magnitude < 1e6) return String(value);
  const [mantissa, exponent] = value.toExponential().split('e') as [string, string];
  return `${mantissa}e${exponent[0]}${exponent.slice(1).padStart(2, '0')}`;
}

/** Writes {@link goFloat} of the value and returns the position behind it. */
export function writeFloat(target: Buffer, position: number, value: number): number {
  // Counts are nearly always here.
  if (value === (value | 0) && value >= 0 && value < 1e6) return writeInteger(target, position, value);
  if (value >= 1e6 && Number.isSafeInteger(value)) return writeScientific(target, position, value);
  if (value >= 1e-4) {
    const end = writeDecimal(target, position, value);
    if (end > position) return end;
  }
  return writeByteText(target, position, goFloat(value));
}

/** `12500000` is `1.25e+07`: below 2^53 no decimal with fewer digits reads back as the same integer. */
function writeScientific(target: Buffer, position: number, value: number): number {
  let exponent = 0;
  for (let power = 10; value >= power; power *= 10) exponent++;
  let digits = value;
  while (digits % 10 === 0) digits /= 10;
  // One place to the right, and the first digit back to the left of the dot.
  let end = writeByteText(target, position + 1, String(digits));
  target[position] = target[position + 1]!;
  if (digits < 10) end = position + 1;
  else target[position + 1] = DOT;
  return writeByteText(target, end, exponent < 10 ? `e+0${exponent}` : `e+${exponent}`);
}
