// From a magnitude to its bucket in a base-2 exponential histogram (OTel data model, "Producer Expectations").

const bits = new DataView(new ArrayBuffer(8));

const EXPONENT_BIAS = 1023;
const MIN_NORMAL_EXPONENT = -1022;

/** Buckets per power of two by scale, from 0; a look-up, because computing a power takes four times as long as the rest. */
const PER_OCTAVE = Float64Array.from({ length: 21 }, (_, scale) => 2 ** scale);

/**
 * The index `i` of the bucket (base^i, base^(i+1)] that holds the value, where base = 2^(2^-scale). Exact for powers of two
 * at every scale and for all values at scales of 0 and below; elsewhere within the rounding of one logarithm.
 *
 * @param value above 0 and finite; subnormal values count as the smallest normal one
 */
export function bucketIndex(value: number, scale: number): number {
  bits.setFloat64(0, value);
  const high = bits.getUint32(0);
  const biased = (high >>> 20) & 0x7ff;
  const isPowerOfTwo = (high & 0xfffff) === 0 && bits.getUint32(4) === 0;
  const exponent = biased === 0 ? MIN_NORMAL_EXPONENT : biased - EXPONENT_BIAS;
  // A power of two is the inclusive upper bound of the bucket below. A subnormal is rounded up to one.
  const isBound = biased === 0 || isPowerOfTwo;
  if (scale <= 0) return (isBound ? exponent - 1 : exponent) >> -scale;
  const perOctave = PER_OCTAVE[scale]!;
  if (isBound) return exponent * perOctave - 1;
  const index = Math.floor(Math.log2(value) * perOctave);
  // The logarithm may round across the octave that the exponent tells for certain.
  return Math.min(Math.max(index, exponent * perOctave), (exponent + 1) * perOctave - 1);
}
