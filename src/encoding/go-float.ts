// Numbers as Go's `strconv` prints them with the format 'g', which is what Prometheus itself and most of its
// clients write: the shortest decimal that reads back as the same number, `1e+06` from a million on.

/** Bytes that {@link writeFloat} may need. */
export const MAX_FLOAT_LENGTH = 24;

const DIGIT_0 = 48;
const DOT = 46;

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
  // Counts are nearly always here; the digits by hand take a tenth of the time of a string.
  if (value >= 0 && value < 1e6 && Number.isInteger(value)) return writeDigits(target, position, value);
  if (value >= 1e6 && Number.isSafeInteger(value)) return writeScientific(target, position, value);
  return position + target.write(goFloat(value), position, 'latin1');
}

function writeDigits(target: Buffer, position: number, value: number): number {
  const end = position + digitCount(value);
  for (let at = end - 1, rest = value; at >= position; at--) {
    const tens = Math.floor(rest / 10);
    target[at] = DIGIT_0 + (rest - tens * 10);
    rest = tens;
  }
  return end;
}

/** `12500000` is `1.25e+07`: below 2^53 no decimal with fewer digits reads back as the same integer. */
function writeScientific(target: Buffer, position: number, value: number): number {
  const exponent = digitCount(value) - 1;
  let digits = value;
  while (digits % 10 === 0) digits /= 10;
  // One place to the right, and the first digit back to the left of the dot.
  let end = writeDigits(target, position + 1, digits);
  target[position] = target[position + 1]!;
  if (digits < 10) end = position + 1;
  else target[position + 1] = DOT;
  return end + target.write(exponent < 10 ? `e+0${exponent}` : `e+${exponent}`, end, 'latin1');
}

function digitCount(value: number): number {
  let count = 1;
  for (let limit = 10; value >= limit; limit *= 10) count++;
  return count;
}
