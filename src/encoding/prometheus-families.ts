// Which metrics make up which Prometheus metric family, and which have to stay out. To Prometheus a name has
// one type and one help text in all of a scrape; to OpenTelemetry only within a scope.
import type {
  GaugeColumns,
  HistogramColumns,
  MetricBatch,
  MetricColumns,
  SumColumns,
} from '../data/metric-batch.ts';
import { AggregationTemporality, DataPointType, type InstrumentationScope } from '../data/metric-data.ts';
import { metricName } from './prometheus-names.ts';

/** Something of the batch that could not be exposed, or not as it is. */
export interface PrometheusProblem {
  /** The same for the same problem of a later scrape. */
  readonly cause: string;
  readonly message: string;
}

export type FamilyType = 'counter' | 'gauge' | 'histogram';

/** The metrics that the text format can carry. */
export type ExposableMetric = SumColumns | GaugeColumns | HistogramColumns;

export interface Family {
  readonly name: string;
  readonly type: FamilyType;
  readonly help: string;
  readonly members: { readonly metric: ExposableMetric; readonly scope: InstrumentationScope }[];
}

/** The names of the sample lines that a family of the type writes. */
const SAMPLE_SUFFIXES = { counter: [''], gauge: [''], histogram: ['', '_bucket', '_sum', '_count'] };

/**
 * Families in the order in which their first metric appears. Of metrics that cannot both be exposed the first
 * one stays.
 *
 * @param reserved names that no family may have
 */
export function metricFamilies(
  { scopeMetrics }: MetricBatch,
  reserved: readonly string[],
  onProblem: (problem: PrometheusProblem) => void,
): Family[] {
  const families = new Map<string, Family>();
  const takenBy = new Map(reserved.map((name) => [name, `the metric ${name} that stands for the resource`]));

  for (const { scope, metrics } of scopeMetrics) {
    for (const candidate of metrics) {
      if (candidate.length === 0) continue;
      const { name, unit, description } = candidate.descriptor;
      const drop = (why: string) => {
        const message = `metric ${name} of scope ${scope.name} is not exposed to Prometheus: ${why}`;
        onProblem({ cause: `dropped:${message}`, message });
      };

      const metric = exposable(candidate);
      if (typeof metric === 'string') {
        drop(metric);
        continue;
      }
      const type = familyType(metric);
      const familyName = metricName(name, unit, type === 'counter');
      if (familyName === undefined) {
        drop('its name has no character that a Prometheus name may have');
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
        for (const sample of sampleNames) takenBy.set(sample, `the ${type} ${name} of scope ${scope.name}`);
        family = { name: familyName, type, help: description, members: [] };
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

function familyType(metric: ExposableMetric): FamilyType {
  if (metric.dataPointType === DataPointType.HISTOGRAM) return 'histogram';
  return metric.dataPointType === DataPointType.SUM && metric.isMonotonic ? 'counter' : 'gauge';
}

/** The metric itself, or why it has no place in the text format. */
function exposable(metric: MetricColumns): ExposableMetric | string {
  if (metric.dataPointType === DataPointType.GAUGE) return metric;
  if (metric.dataPointType === DataPointType.EXPONENTIAL_HISTOGRAM) {
    return 'the text format has no exponential histograms; give it explicit buckets';
  }
  return metric.aggregationTemporality === AggregationTemporality.DELTA
    ? 'it has delta temporality, and a scrape reads totals; collect it as cumulative'
    : metric;
}
