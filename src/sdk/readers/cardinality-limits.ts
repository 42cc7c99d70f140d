// How many series a stream may have, by instrument kind, as a reader's options say it.
import { A_COUNT, checkedOptions, type OptionChecks } from '../../data/checked-options.ts';
import { InstrumentType } from '../../data/metric-data.ts';
import { DEFAULT_CARDINALITY_LIMIT } from '../../data/reader.ts';

const KEYS = {
  counter: InstrumentType.COUNTER,
  gauge: InstrumentType.GAUGE,
  histogram: InstrumentType.HISTOGRAM,
  upDownCounter: InstrumentType.UP_DOWN_COUNTER,
  observableCounter: InstrumentType.OBSERVABLE_COUNTER,
  observableGauge: InstrumentType.OBSERVABLE_GAUGE,
  observableUpDownCounter: InstrumentType.OBSERVABLE_UP_DOWN_COUNTER,
} as const;

/** `default` is for the kinds that are not named. */
export type CardinalityLimits = Partial<Record<'default' | keyof typeof KEYS, number>>;

const CHECKS = Object.fromEntries(
  ['default', ...Object.keys(KEYS)].map((key) => [key, A_COUNT]),
) as OptionChecks<CardinalityLimits>;

/** @throws ConfigError for a kind that there is not, and for what is no limit */
export function cardinalitySelector(given: CardinalityLimits): (type: InstrumentType) => number {
  const limits = checkedOptions('cardinalityLimits', given, CHECKS);
  const byType = new Map<InstrumentType, number | undefined>();
  for (const [key, type] of Object.entries(KEYS)) byType.set(type, limits[key as keyof typeof KEYS]);
  return (type) => byType.get(type) ?? limits.default ?? DEFAULT_CARDINALITY_LIMIT;
}
