// OpenMetrics text 1.0: the classic text with exemplars, units and start times, and stricter rules.
import type { MetricBatch } from '../data/metric-batch.ts';
import { DataPointType } from '../data/metric-data.ts';
import { goFloat } from './go-float.ts';
import { byteString, escapedName, quotable } from './prometheus-escaping.ts';
import { exemplarLabels, exemplarPerBucket, latestExemplar } from './prometheus-exemplars.ts';
import {
  type ExposableMetric,
  type Family,
  SAMPLE_SUFFIXES,
  textFamilies,
  withoutTotal,
} from './prometheus-families.ts';
import { labelInText } from './prometheus-labels.ts';
import { type Plan, type PrometheusEncodingOptions, planOf, TARGET_INFO } from './prometheus-options.ts';
import { type SampleExtras, type SampleWriter, sampleWriter } from './prometheus-samples.ts';
import { append, appendNow, familySamples, nameInText, targetSample } from './prometheus-text.ts';
import { TextChunk } from './text-chunk.ts';

/** Encodes a batch in chunks of about 64 KiB, as {@link encodePrometheusText} does. */
export function* encodeOpenMetrics(
  batch: MetricBatch,
  options: PrometheusEncodingOptions = {},
): Generator<Uint8Array> {
  const chunk = new TextChunk(options.reuseBuffers);
  const plan = planOf(batch, options);
  const families = textFamilies(batch, plan);
  const taken = new Set(
    families.flatMap(({ name, type }) => SAMPLE_SUFFIXES[type].map((suffix) => name + suffix)),
  );

  const labels = targetSample(plan);
  if (labels !== undefined) {
    const { family, type, sample } = targetNames(plan, taken);
    taken.add(family);
    appendNow(chunk, `${header(family, type, '', 'Attributes of the resource.')}${sample}{${labels}} 1\n`);
  }
  for (const family of families) {
    const { name, type, canBegin } = ownNames(family, taken);
    yield* append(chunk, header(name, type, family.unit, family.help));
    const sample = type === 'counter' ? `${name}_total` : name;
    yield* familySamples(chunk, family, plan, (metric, shared) => {
      const write = sampleWriter(sample, metric, shared, extrasOf(metric, type, canBegin, plan));
      return isLegal(metric, type) ? write : legalOnly(metric, write);
    });
  }
  yield* append(chunk, '# EOF\n');
  yield chunk.take();
}

/** The resource is an info metric, unless another metric has the name that its family would have. */
function targetNames({ escaping }: Plan, taken: ReadonlySet<string>) {
  const sample = escapedName(TARGET_INFO, escaping);
  const family = sample.replace(/_info$/, '');
  return taken.has(family) ? { family: sample, type: 'gauge', sample } : { family, type: 'info', sample };
}

type OpenMetricsType = 'counter' | 'gauge' | 'histogram' | 'unknown';

/**
 * The family of a counter is named without `_total`. Where another family has that name, the counter goes without its
 * type rather than be lost: no two families may share a name.
 */
function ownNames(
  { name, type }: Family,
  taken: ReadonlySet<string>,
): { name: string; type: OpenMetricsType; canBegin: boolean } {
  if (type !== 'counter')
    return { name, type, canBegin: type === 'histogram' && !taken.has(`${name}_created`) };
  const short = withoutTotal(name);
  const isTaken =
    short === '' || (short !== name && taken.has(short)) || (short === name && taken.has(`${name}_total`));
  if (isTaken) return { name, type: 'unknown', canBegin: false };
  return { name: short, type, canBegin: !taken.has(`${short}_created`) };
}

function header(name: string, type: string, unit: string, help: string): string {
  const shown = nameInText(name);
  let lines = `# TYPE ${shown} ${type}\n`;
  if (unit !== '' && type !== 'unknown') lines += `# UNIT ${shown} ${unit}\n`;
  if (help !== '') lines += `# HELP ${shown} ${byteString(quotable(help))}\n`;
  return lines;
}

/** Whether every point can be told: counters that fell below zero, or are no number, cannot. */
function isLegal(metric: ExposableMetric, type: OpenMetricsType): boolean {
  return type !== 'counter' || metric.dataPointType === DataPointType.HISTOGRAM
    ? true
    : metric.values.every((value) => value >= 0);
}

function legalOnly(metric: ExposableMetric, write: SampleWriter): SampleWriter {
  if (metric.dataPointType === DataPointType.HISTOGRAM) return write;
  return (chunk, labels, i) => !(metric.values[i]! >= 0) || write(chunk, labels, i);
}

function extrasOf(
  metric: ExposableMetric,
  type: OpenMetricsType,
  canBegin: boolean,
  { naming, createdSeries }: Plan,
): SampleExtras {
  const { exemplars, startTimes } = metric;
  const boundaries = metric.dataPointType === DataPointType.HISTOGRAM ? metric.boundaries : [];
  const hasNegativeBuckets = boundaries.some((bound) => bound < 0);
  const sums = metric.dataPointType === DataPointType.HISTOGRAM ? metric.sums : undefined;
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
