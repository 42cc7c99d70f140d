// Which metrics make up which Prometheus metric family, and which have to stay out. To Prometheus a name has
// one type and one help text in all of a scrape; to OpenTelemetry only within a scope.
import type {
  GaugeColumns,
  HistogramColumns,
  MetricBatch,
  MetricColumns,
  SumColumns,
  SummaryColumns,
} from '../data/metric-batch.ts';
import {
  AggregationTemporality,
  DataPointType,
  type InstrumentationScope,
  SUMMARY,
} from '../data/metric-data.ts';
import { type EscapingScheme, escapedName } from './prometheus-escaping.ts';
import { metricName, type TranslationStrategy, unitSuffix } from './prometheus-names.ts';

/** Something of the batch that could not be exposed, or not as it is. */
export interface PrometheusProblem {
  /** The same for the same problem of a later scrape. */
  readonly cause: string;
  readonly message: string;
}

export type FamilyType = 'counter' | 'gauge' | 'histogram' | 'summary';

/** The metrics that the text formats can carry. */
export type ExposableMetric = SumColumns | GaugeColumns | HistogramColumns | SummaryColumns;

/** How names are written, and which of them are wanted. */
export interface FamilyOptions {
  readonly strategy: TranslationStrategy;
  readonly escaping: EscapingScheme;
  /** Names that no family may have. */
  readonly reserved: readonly string[];
  /** The families to show, each by its name or that of one of its samples; all when left out. */
  readonly names?: ReadonlySet<string>;
  onProblem(problem: PrometheusProblem): void;
}

export interface Family<M extends MetricColumns = ExposableMetric> {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  /** In words, and only where the name ends with it; otherwise empty. */
  readonly unit: string;
  readonly members: { readonly metric: M; readonly scope: InstrumentationScope }[];
}

/** The names of the sample lines that a family of the type writes. */
export const SAMPLE_SUFFIXES = {
  counter: [''],
  gauge: [''],
  histogram: ['', '_bucket', '_sum', '_count'],
  summary: ['', '_sum', '_count'],
};

/** Where there is nothing to give but time. */
export const NOTHING = new Uint8Array(0);

/** Looking at so many metrics, or scopes, takes well below a millisecond. */
export const METRICS_PER_STEP = 64;

/** What takes time and may be told in chunks gives nothing now and then, so that the event loop has its turn. */
export type Steps<T> = Generator<Uint8Array, T>;

/** Families of what the text formats can carry. */
export function textFamilies(batch: MetricBatch, options: FamilyOptions): Steps<Family[]> {
  return familiesOf(batch, options, (metric) =>
    metric.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM
      ? 'text formats have no exponential histograms; have Prometheus scrape native histograms, or give it explicit buckets'
      : metric,
  );
}

/** Families of what the protobuf format can carry, which is everything. */
export function nativeFamilies(batch: MetricBatch, options: FamilyOptions): Steps<Family<MetricColumns>[]> {
  return familiesOf<MetricColumns>(batch, options, (metric) => metric);
}

/**
 * Families in the order in which their first metric appears. Of metrics that cannot both be exposed the first
 * one stays.
 *
 * @param carried the metric itself, or why the format cannot carry it
 */
function* familiesOf<M extends MetricColumns>(
  { scopeMetrics }: MetricBatch,
  { strategy, escaping, reserved, names, onProblem }: FamilyOptions,
  carried: (metric: MetricColumns) => M | string,
): Steps<Family<M>[]> {
  let looked = 0;
  const families = new Map<string, Family<M>>();
  const takenBy = new Map(reserved.map((name) => [name, `the metric ${name} that stands for the resource`]));

  for (const { scope, metrics } of scopeMetrics) {
    for (const candidate of metrics) {
      if (++looked % METRICS_PER_STEP === 0) yield NOTHING;
      if (candidate.length === 0) continue;
      const { name, unit, description } = candidate.descriptor;
      const drop = (why: string) => {
        const message = `metric ${name} ${ofScope(scope)} is not exposed to Prometheus: ${why}`;
        onProblem({ cause: `dropped:${message}`, message });
      };

      const type = familyType(candidate);
      const translated = metricName(name, unit, type === 'counter', strategy);
      if (translated === undefined) {
        drop('its name has no character that a Prometheus name may have');
        continue;
      }
      const familyName = escapedName(translated, escaping);
      // Neither the metric nor what is wrong with it has been asked for.
      if (names !== undefined && !isWanted(familyName, type, names) && !isWanted(translated, type, names))
        continue;
      const metric = isDelta(candidate)
        ? 'it has delta temporality, and a scrape reads totals; collect it as cumulative'
        : carried(candidate);
      if (typeof metric === 'string') {
        drop(metric);
        continue;
      }

      let family = families.get(familyName);
      if (family?.type !== type) {
        const sampleNames = SAMPLE_SUFFIXES[type].map((suffix) => familyName + suffix);
        const taken = sampleNames.find((sample) => takenBy.has(sample));
        if (taken !== undefined) {
          drop(
            `as a ${type} it needs the name ${taken}, which ${takenBy.get(taken)} has; rename one of them`,
          );
          continue;
        }
        for (const sample of sampleNames) takenBy.set(sample, `the ${type} ${name} ${ofScope(scope)}`);
        family = {
          name: familyName,
          type,
          help: description,
          unit: unitAtEnd(familyName, unitSuffix(unit), type),
          members: [],
        };
        families.set(familyName, family);
      } else if (family.help !== description) {
        onProblem({
          cause: `help:${familyName}`,
          message: `instruments named ${familyName} in Prometheus have different descriptions; the first is shown`,
        });
      }
      family.members.push({ metric, scope });
    }
  }
  return [...families.values()];
}

function ofScope({ name }: InstrumentationScope): string {
  return name === '' ? 'of a meter without a name' : `of scope ${name}`;
}

function isWanted(family: string, type: FamilyType, names: ReadonlySet<string>): boolean {
  // OpenMetrics calls the family of a counter by its name without `_total`.
  if (type === 'counter' && names.has(withoutTotal(family))) return true;
  return SAMPLE_SUFFIXES[type].some((suffix) => names.has(family + suffix));
}

/** What OpenMetrics calls the family of a counter. */
export function withoutTotal(name: string): string {
  return name.replace(/_total$/, '');
}

function unitAtEnd(family: string, unit: string, type: FamilyType): string {
  const name = type === 'counter' ? withoutTotal(family) : family;
  return unit !== '' && name.endsWith(`_${unit}`) ? unit : '';
}

function familyType(metric: MetricColumns): FamilyType {
  switch (metric.dataPointType) {
    case DataPointType.GAUGE:
      return 'gauge';
    case DataPointType.SUM:
      return metric.isMonotonic ? 'counter' : 'gauge';
    case SUMMARY:
      return 'summary';
    default:
      return 'histogram';
  }
}

/** Whether it has no totals. A gauge has none to have. */
function isDelta(metric: MetricColumns): boolean {
  return (
    metric.dataPointType !== DataPointType.GAUGE &&
    metric.aggregationTemporality === AggregationTemporality.DELTA
  );
}
