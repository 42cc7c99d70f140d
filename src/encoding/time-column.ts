// Times of points by the halves of their 64 bits: a bigint per point and its text would cost a tenth of an export.
import { endianness } from 'node:os';
import type { LineBuffer } from './line-buffer.ts';

const LOW = endianness() === 'LE' ? 0 : 1;
const HIGH = 1 - LOW;

/** Digits of 2^64. */
export const MAX_TIME_BYTES = 20;

export class TimeColumn {
  readonly #halves: Uint32Array;
  #low = -1;
  #high = -1;
  #seconds = -1;
  #secondsText: Uint8Array = Buffer.alloc(0);

  /** @param times nanoseconds since the Unix epoch */
  constructor(times: BigUint64Array) {
    this.#halves = new Uint32Array(times.buffer, times.byteOffset, 2 * times.length);
  }

  /** True when the time of point `i` is not that of the last point asked for. */
  changesAt(i: number): boolean {
    const low = this.#halves[2 * i + LOW]!;
    const high = this.#halves[2 * i + HIGH]!;
    if (low === this.#low && high === this.#high) return false;
    this.#low = low;
    this.#high = high;
    return true;
  }

  /** Writes the time of point `i` in decimal. */
  write(out: LineBuffer, i: number): void {
    const low = this.#halves[2 * i + LOW]!;
    const high = this.#halves[2 * i + HIGH]!;
    // In doubles the quotient can be off by one. The remainder, exact modulo 2^32, is then out of its range.
    let seconds = Math.floor((high * 2 ** 32 + low) / 1e9);
    let nanos = (low - Math.imul(seconds, 1e9)) >>> 0;
    if (nanos >= 2e9) {
      seconds--;
      nanos = (nanos + 1e9) >>> 0;
    } else if (nanos >= 1e9) {
      seconds++;
      nanos -= 1e9;
    }
    if (seconds === 0) {
      out.number(nanos);
      return;
    }
    // Series begin in bursts, so the next one mostly has the same second.
    if (seconds !== this.#seconds) {
      this.#seconds = seconds;
      this.#secondsText = Buffer.from(String(seconds));
    }
    out.bytes(this.#secondsText);
    out.nineDigits(nanos);
  }
}

/** Whole milliseconds of times in nanoseconds, by point, rounded down. Exact, without a bigint for each. */
export function wholeMillis(times: BigUint64Array): (i: number) => number {
  const halves = new Uint32Array(times.buffer, times.byteOffset, 2 * times.length);
  return (i) => {
    const high = halves[2 * i + HIGH]!;
    // 2^32 is 4294 millions and 967,296; what is left of the high half stays below 2^53.
    return high * 4_294 + Math.floor((high * 967_296 + halves[2 * i + LOW]!) / 1e6);
  };
}
