// OpenMetrics text 1.0: the classic text with exemplars, units and start times, and stricter rules.
import type { MetricBatch } from '../data/metric-batch.ts';
import { DataPointType } from '../data/metric-data.ts';
import { goFloat } from './go-float.ts';
import { byteString, escapedName, quotable } from './prometheus-escaping.ts';
import { exemplarLabels, exemplarPerBucket, latestExemplar } from './prometheus-exemplars.ts';
import {
  type ExposableMetric,
  type Family,
  type PrometheusProblem,
  SAMPLE_SUFFIXES,
  textFamilies,
  withoutTotal,
} from './prometheus-families.ts';
import { labelInText } from './prometheus-labels.ts';
import { type Plan, type PrometheusEncodingOptions, planOf, TARGET_INFO } from './prometheus-options.ts';
import { type SampleExtras, type SampleWriter, sampleWriter } from './prometheus-samples.ts';
import { append, appendNow, familySamples, nameInText, targetSample } from './prometheus-text.ts';
import { isLegalInfo, isLegalStateSet, type ToldType, toldType } from './prometheus-types.ts';
import { TextChunk } from './text-chunk.ts';

/** Encodes a batch in chunks of about 64 KiB, as {@link encodePrometheusText} does. */
export function* encodeOpenMetrics(
  batch: MetricBatch,
  options: PrometheusEncodingOptions = {},
): Generator<Uint8Array> {
  const chunk = new TextChunk(options.reuseBuffers);
  const plan = planOf(batch, options);
  const families = yield* textFamilies(batch, plan);
  const taken = new Set(
    families.flatMap(({ name, type }) => SAMPLE_SUFFIXES[type].map((suffix) => name + suffix)),
  );

  const labels = targetSample(plan);
  if (labels !== undefined) {
    const { family, type, sample } = targetNames(plan, taken);
    taken.add(family).add(sample);
    appendNow(chunk, `${header(family, type, '', 'Attributes of the resource.')}${sample}{${labels}} 1\n`);
  }
  for (const family of families) {
    const { name, type, sample, canBegin } = ownNames(family, taken, plan);
    for (const one of [name, sample, ...(canBegin ? [`${name}_created`] : [])]) taken.add(one);
    yield* append(chunk, header(name, type, family.unit, family.help));
    yield* familySamples(chunk, family, plan, (metric, shared) => {
      const write = sampleWriter(sample, metric, shared, extrasOf(metric, type, canBegin, plan));
      if (isLegal(metric, type)) return write;
      return legalOnly(metric, write, () => plan.onProblem(belowZero(name)));
    });
  }
  yield* append(chunk, '# EOF\n');
  yield chunk.take();
}

/** The resource is an info metric, unless another metric has the name that its family would have. */
function targetNames({ escaping }: Plan, taken: ReadonlySet<string>) {
  const sample = escapedName(TARGET_INFO, escaping);
  const family = withoutInfo(sample);
  return taken.has(family) ? { family: sample, type: 'gauge', sample } : { family, type: 'info', sample };
}

interface OpenMetricsNames {
  /** That of the family. */
  readonly name: string;
  readonly type: ToldType;
  /** That of the samples, before what a histogram or a summary adds. */
  readonly sample: string;
  /** Whether there is a name for the times at which the series began. */
  readonly canBegin: boolean;
}

/**
 * The families of counters and of info metrics are named without the ends of their samples' names. Where another family has
 * that name, the counter goes without its type rather than be lost, and the info metric is a gauge: no two families may share
 * a name. So is what breaks the rules of the type that it is said to be.
 */
function ownNames(family: Family, taken: ReadonlySet<string>, { naming }: Plan): OpenMetricsNames {
  const { name } = family;
  const type = toldType(family);
  const gauge = { name, type: 'gauge', sample: name, canBegin: false } as const;
  switch (type) {
    case 'counter': {
      const short = withoutTotal(name);
      const sample = `${short}_total`;
      // The last one is reserved for it, whether it is written or not.
      const own = [short, sample, `${short}_created`];
      const isTaken = short === '' || own.some((one) => one !== name && taken.has(one));
      return isTaken ? { ...gauge, type: 'unknown' } : { name: short, type, sample, canBegin: true };
    }
    case 'histogram':
    case 'summary':
      return { ...gauge, type, canBegin: !taken.has(`${name}_created`) };
    case 'info': {
      const short = withoutInfo(name);
      return isLegalInfo(family) && !taken.has(short) ? { ...gauge, name: short, type } : gauge;
    }
    case 'stateset':
      return isLegalStateSet(family, naming) ? { ...gauge, type } : gauge;
    default:
      return { ...gauge, type };
  }
}

function withoutInfo(name: string): string {
  return name.replace(/_info$/, '');
}

const WITHOUT_UNIT: readonly string[] = ['unknown', 'info', 'stateset'];

function header(name: string, type: string, unit: string, help: string): string {
  const shown = nameInText(name);
  let lines = `# TYPE ${shown} ${type}\n`;
  if (unit !== '' && !WITHOUT_UNIT.includes(type)) lines += `# UNIT ${shown} ${unit}\n`;
  if (help !== '') lines += `# HELP ${shown} ${byteString(quotable(help))}\n`;
  return lines;
}

/** Whether every point can be told: counters that fell below zero, or are no number, cannot. */
function isLegal(metric: ExposableMetric, type: ToldType): boolean {
  return type !== 'counter' || !('values' in metric) || metric.values.every((value) => value >= 0);
}

function legalOnly(metric: ExposableMetric, write: SampleWriter, onIllegal: () => void): SampleWriter {
  if (!('values' in metric)) return write;
  return (chunk, labels, i) => {
    if (metric.values[i]! >= 0) return write(chunk, labels, i);
    onIllegal();
    return true;
  };
}

function belowZero(counter: string): PrometheusProblem {
  return {
    cause: `counter-below-zero:${counter}`,
    message: `series of the counter ${counter} are left out where OpenMetrics is asked for, because they are below zero or no number; what may fall is an up-down counter`,
  };
}

function quantileBelowZero(name: string): PrometheusProblem {
  return {
    cause: `quantile-below-zero:${name}`,
    message: `quantiles of ${name} are left out where OpenMetrics is asked for, because they are below zero`,
  };
}

function extrasOf(
  metric: ExposableMetric,
  type: ToldType,
  canBegin: boolean,
  { naming, createdSeries, onProblem }: Plan,
): SampleExtras {
  const { exemplars, startTimes } = metric;
  const boundaries = metric.dataPointType === DataPointType.HISTOGRAM ? metric.boundaries : [];
  const hasNegativeBuckets = boundaries.some((bound) => bound < 0);
  const sums = 'sums' in metric ? metric.sums : undefined;
  const tellsCreated = createdSeries && canBegin;

  const text = (at: number): string => {
    const labels = exemplarLabels(exemplars!, at, naming).map(
      ([name, value]) => `${labelInText(name)}="${byteString(quotable(value))}"`,
    );
    return ` # {${labels.join()}} ${goFloat(exemplars!.values[at]!)} ${seconds(exemplars!.times[at]!)}`;
  };

  return {
    boundText: openMetricsFloat,
    counterExemplar(i) {
      // Gauges and unknown ones have none.
      if (exemplars === undefined || type !== 'counter') return '';
      const at = latestExemplar(exemplars, i);
      return at === undefined ? '' : text(at);
    },
    bucketExemplars: (i) =>
      exemplars &&
      exemplarPerBucket(exemplars, i, boundaries)?.map((at) => (at === undefined ? undefined : text(at))),
    isLegalQuantile(value) {
      if (!(value < 0)) return true;
      onProblem(quantileBelowZero(metric.descriptor.name));
      return false;
    },
    hasNoSum: (i) => hasNegativeBuckets || (sums !== undefined && sums[i]! < 0),
    created: (i) => (tellsCreated && startTimes[i]! > 0n ? seconds(startTimes[i]!) : undefined),
  };
}

/** Whole numbers end with `.0`, so that there is one way to write a bound. */
function openMetricsFloat(value: number): string {
  const text = goFloat(value);
  return /^-?[0-9]+$/.test(text) ? `${text}.0` : text;
}

/** Nanoseconds as seconds with three decimals, without an exponent. */
function seconds(nanoseconds: bigint): string {
  const milliseconds = nanoseconds / 1_000_000n;
  return `${milliseconds / 1000n}.${String(milliseconds % 1000n).padStart(3, '0')}`;
}
