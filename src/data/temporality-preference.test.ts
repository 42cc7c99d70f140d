import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { AggregationTemporality, InstrumentType } from './metric-data.ts';
import { temporalityPreference } from './temporality-preference.ts';

const { CUMULATIVE: C, DELTA: D } = AggregationTemporality;

test.each([
  ['cumulative', [C, C, C, C, C, C, C]],
  ['delta', [D, D, D, C, C, D, D]],
  ['lowmemory', [D, C, D, C, C, C, C]],
] as const)('[4.20] the preference %s decides for each kind', (preference, expected) => {
  const kinds = [
    InstrumentType.COUNTER,
    InstrumentType.OBSERVABLE_COUNTER,
    InstrumentType.HISTOGRAM,
    InstrumentType.UP_DOWN_COUNTER,
    InstrumentType.OBSERVABLE_UP_DOWN_COUNTER,
    InstrumentType.GAUGE,
    InstrumentType.OBSERVABLE_GAUGE,
  ];
  expect(kinds.map(temporalityPreference(preference))).toEqual(expected);
});

test.each(['low_memory', 'toString', undefined])('the preference %s is refused with the remedy', (it) => {
  expect(() => temporalityPreference(it as never)).toThrow(
    `the temporality preference is ${inspect(it)}; use one of cumulative, delta, lowmemory`,
  );
});
