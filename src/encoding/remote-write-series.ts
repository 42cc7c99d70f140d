// What remote write makes of a batch before it is cut into requests: which metrics there are for Prometheus, under which names
// and labels, and which of their points have to stay out. Done once, so that a request that is made anew is the same.
import type { AttributeSet } from '../data/attribute-set.ts';
import type { MetricBatch, MetricColumns } from '../data/metric-batch.ts';
import { DataPointType, SUMMARY } from '../data/metric-data.ts';
import { goFloat } from './go-float.ts';
import { duplicateChecks } from './prometheus-duplicates.ts';
import {
  type Family,
  METRICS_PER_STEP,
  nativeFamilies,
  type PrometheusProblem,
} from './prometheus-families.ts';
import { attributeShape, SAMPLE_LABELS } from './prometheus-label-shape.ts';
import { type SeriesLabels, textLabels } from './prometheus-labels.ts';
import { membersOf } from './prometheus-members.ts';
import { MIN_SCHEMA } from './prometheus-native-buckets.ts';
import { duplicateIn, type Plan } from './prometheus-options.ts';
import { type ToldType, toldType } from './prometheus-types.ts';
import { labelsToCompare } from './remote-write-duplicates.ts';
import {
  byName,
  encodedIn,
  encodedOwnLabels,
  type Label,
  type LabelNames,
  type LabelPlan,
  labelPlan,
  ownLabelValues,
  parsed,
  valuesIn,
} from './remote-write-labels.ts';
import type { Family as DescribedFamily, LabelSource } from './remote-write-message.ts';

/** The plans of all series with one name. */
export type Plans = (names: LabelNames) => LabelPlan;

/** A metric as Prometheus has it. */
export interface SeriesMetric extends DescribedFamily, LabelSource {
  readonly metric: MetricColumns;
  /** The rows that must be left out. */
  readonly left: ReadonlySet<number> | undefined;
  /** Of the series that has the name of the family; of a summary, of those with the quantiles. */
  readonly plans: Plans;
  /** Of a histogram with explicit buckets. */
  readonly buckets?: {
    readonly bounds: readonly number[];
    /** The label of each bound. */
    readonly labels: readonly Label[];
    readonly bucket: Plans;
    readonly sum: Plans;
    readonly count: Plans;
  };
  /** Of a summary. */
  readonly quantiles?: {
    /** The label of each. */
    readonly labels: readonly Label[];
    readonly sum: Plans;
    readonly count: Plans;
  };
}

/** The metrics that have a place in Prometheus, in the order of the batch, with how many points come before each there. */
export type PreparedSeries = readonly { readonly from: number; readonly series: SeriesMetric }[];

const ROWS_PER_STEP = 2_048;

/**
 * @param plan of names that every version of Prometheus takes
 * @param external on every series that has no label of the name itself
 */
export function* prepareSeries(
  batch: MetricBatch,
  plan: Plan,
  external: readonly Label[],
): Generator<unknown, PreparedSeries> {
  const prepared = new Map<MetricColumns, SeriesMetric>();
  let looked = 0;
  for (const family of yield* nativeFamilies(batch, plan)) {
    const members = yield* membersOf(family, plan, textLabels(plan.naming));
    const described = { ...family, type: toldType(family) };
    const checks = duplicateChecks(
      members.map((member) => ({ ...member, labels: labelsToCompare(member.labels, external) })),
    );
    for (const [m, { metric, labels }] of members.entries()) {
      if (++looked % METRICS_PER_STEP === 0) yield;
      const isFirst = checks[m]!;
      const unfitIn = unfitRows(metric);
      const problems = new Set<(family: string) => PrometheusProblem>();
      let left: Set<number> | undefined;
      for (let i = 0; i < metric.length; i++) {
        if (i % ROWS_PER_STEP === ROWS_PER_STEP - 1) yield;
        let first = isFirst(i);
        for (; first === undefined; first = isFirst(i)) yield;
        const problemOf = first ? unfitIn?.(i) : duplicateIn;
        if (problemOf === undefined) continue;
        left ??= new Set();
        left.add(i);
        problems.add(problemOf);
      }
      for (const problemOf of problems) plan.onProblem(problemOf(family.name));
      prepared.set(metric, seriesMetric(metric, described, labels, left, external));
    }
  }
  let from = 0;
  return batch.scopeMetrics.flatMap(({ metrics }) =>
    metrics.flatMap((metric) => {
      const series = prepared.get(metric);
      const entry = { from, series: series! };
      from += metric.length;
      return series === undefined ? [] : [entry];
    }),
  );
}

/** One series that stands for the resource. */
export function resourceSeries(
  metric: MetricColumns,
  name: string,
  plan: Plan,
  external: readonly Label[],
): SeriesMetric {
  const family = { name, type: 'gauge' as const, help: 'Attributes of the resource.', unit: '' };
  return seriesMetric(
    metric,
    family,
    textLabels(plan.naming).seriesLabels([], family.type),
    undefined,
    external,
  );
}

function seriesMetric(
  metric: MetricColumns,
  { name, type, help, unit }: Pick<Family, 'name' | 'help' | 'unit'> & { type: ToldType },
  labels: SeriesLabels,
  left: ReadonlySet<number> | undefined,
  external: readonly Label[],
): SeriesMetric {
  const shared = parsed(labels.shared);
  const common = [...shared, ...external.filter(({ name }) => shared.every((label) => label.name !== name))];
  // Sets of a reserved shape merge with the labels of the scope, which are then not common to all.
  const isMerged = (set: AttributeSet) => attributeShape(set).reserved;
  return {
    metric,
    family: name,
    type,
    help,
    unit,
    left,
    encodedLabels: (set) => (isMerged(set) ? encodedIn(labels.blockOf(set)) : encodedOwnLabels(set)),
    labelValues: (set) => (isMerged(set) ? valuesIn(labels.blockOf(set)) : ownLabelValues(set)),
    plans: plansOf(name, common, metric.dataPointType === SUMMARY ? SAMPLE_LABELS.summary : undefined),
    ...(metric.dataPointType === DataPointType.HISTOGRAM && {
      buckets: {
        ...boundsOf(metric.boundaries),
        bucket: plansOf(`${name}_bucket`, common, SAMPLE_LABELS.histogram),
        sum: plansOf(`${name}_sum`, common),
        count: plansOf(`${name}_count`, common),
      },
    }),
    ...(metric.dataPointType === SUMMARY && {
      quantiles: {
        labels: metric.quantiles.map((quantile): Label => ({ name: 'quantile', value: goFloat(quantile) })),
        sum: plansOf(`${name}_sum`, common),
        count: plansOf(`${name}_count`, common),
      },
    }),
  };
}

function boundsOf(boundaries: readonly number[]) {
  const bounds = [...boundaries, Number.POSITIVE_INFINITY];
  return { bounds, labels: bounds.map((bound): Label => ({ name: 'le', value: goFloat(bound) })) };
}

function plansOf(seriesName: string, common: readonly Label[], bound?: string): Plans {
  const fixed = [{ name: '__name__', value: seriesName }, ...common].sort(byName);
  const plans = new Map<LabelNames, LabelPlan>();
  let latestNames: LabelNames | undefined;
  let latest: LabelPlan | undefined;
  return (names) => {
    if (names === latestNames) return latest!;
    latest = plans.get(names);
    if (latest === undefined) {
      latest = labelPlan(names, fixed, bound);
      plans.set(names, latest);
    }
    latestNames = names;
    return latest;
  };
}

/** What native histograms cannot be. */
function unfitRows(metric: MetricColumns) {
  if (metric.dataPointType !== DataPointType.EXPONENTIAL_HISTOGRAM) return undefined;
  const { scales, sums } = metric;
  return (row: number) => {
    if (scales[row]! < MIN_SCHEMA) return tooCoarse;
    return Number.isNaN(sums[row]!) ? withoutSum : undefined;
  };
}

function tooCoarse(family: string): PrometheusProblem {
  return {
    cause: `scale:${family}`,
    message: `series of ${family} are not written: their exponential histograms are coarser (scale below ${MIN_SCHEMA}) than native histograms can be; give its View a larger maxSize`,
  };
}

function withoutSum(family: string): PrometheusProblem {
  return {
    cause: `sum:${family}`,
    message: `series of ${family} are not written: their exponential histograms have no sum, which native histograms must have`,
  };
}
