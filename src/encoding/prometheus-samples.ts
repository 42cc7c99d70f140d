// The sample lines of one point, as bytes in a chunk.
import type { HistogramColumns, NumberColumns } from '../data/metric-batch.ts';
import { DataPointType } from '../data/metric-data.ts';
import { goFloat, MAX_FLOAT_LENGTH, writeFloat } from './go-float.ts';
import { byteString, isClassicName, quotable } from './prometheus-escaping.ts';
import type { ExposableMetric } from './prometheus-families.ts';
import type { TextChunk } from './text-chunk.ts';

/** Writes point `i`, whose label block is given; returns false, having written nothing, when there is no room. */
export type SampleWriter = (chunk: TextChunk, block: string, i: number) => boolean;

/** What OpenMetrics puts behind the values and the series of the classic text. */
export interface SampleExtras {
  /** The bound of a bucket as the value of `le`. */
  boundText(bound: number): string;
  /** What stands behind the value of a counter: byte string, or empty. */
  counterExemplar(i: number): string;
  /** What stands behind the counts of a histogram's buckets; undefined when there is none. */
  bucketExemplars(i: number): readonly (string | undefined)[] | undefined;
  /** Whether point `i` has no sum and no count, because its sum could fall. */
  hasNoSum(i: number): boolean;
  /** When point `i` began, as a number of seconds; undefined when that is not told. */
  created(i: number): string | undefined;
}

const LF = 10;
/** What a line needs besides its name and labels: braces, quotes, a space, the value, the line's end. */
const LINE_EXTRA = MAX_FLOAT_LENGTH + 12;

export function sampleWriter(sample: string, metric: ExposableMetric, extras?: SampleExtras): SampleWriter {
  return metric.dataPointType === DataPointType.HISTOGRAM
    ? histogramWriter(sample, metric, extras)
    : numberWriter(sample, metric, extras);
}

/** The beginning of the lines of one name, up to the labels. */
interface LineStart {
  /** Without labels, up to the value. */
  readonly bare: string;
  /** In front of labels. */
  readonly labelled: string;
}

/** A name that old scrapers do not know stands in quotes, among the labels. */
function lineStart(name: string): LineStart {
  if (isClassicName(name)) return { bare: `${name} `, labelled: `${name}{` };
  const quoted = byteString(quotable(name));
  return { bare: `{"${quoted}"} `, labelled: `{"${quoted}",` };
}

function numberWriter(sample: string, { values }: NumberColumns, extras?: SampleExtras): SampleWriter {
  const start = lineStart(sample);
  const createdStart = lineStart(sample.replace(/_total$/, '_created'));
  return (chunk, block, i) => {
    const exemplar = extras === undefined ? '' : extras.counterExemplar(i);
    const created = extras?.created(i);
    const line = start.labelled.length + block.length + LINE_EXTRA;
    if (!chunk.hasRoom(2 * line + exemplar.length)) return false;
    writeSample(chunk, start, block, values[i]!, exemplar);
    if (created !== undefined) writeText(chunk, createdStart, block, created);
    return true;
  };
}

function histogramWriter(family: string, metric: HistogramColumns, extras?: SampleExtras): SampleWriter {
  const { boundaries, bucketCounts, counts, sums } = metric;
  const bucketStart = lineStart(`${family}_bucket`);
  const sumStart = lineStart(`${family}_sum`);
  const countStart = lineStart(`${family}_count`);
  const createdStart = lineStart(`${family}_created`);
  const boundText = extras?.boundText ?? goFloat;
  const bounds = [...boundaries, Number.POSITIVE_INFINITY].map((bound) =>
    Buffer.from(`${boundText(bound)}"} `),
  );
  const width = bounds.length;

  return (chunk, block, i) => {
    const lineLength =
      bucketStart.labelled.length + block.length + ',le=""'.length + MAX_FLOAT_LENGTH + LINE_EXTRA;
    const exemplars = extras?.bucketExemplars(i);
    const extra = exemplars?.reduce((sum, exemplar) => sum + (exemplar?.length ?? 0), 0) ?? 0;
    if (!chunk.hasRoom((width + 3) * lineLength + extra)) return false;

    // All lines begin alike: encoded once, then copied within the buffer, a tenth of the time.
    const { buffer, end: start } = chunk;
    const beginning = block === '' ? `${bucketStart.labelled}le="` : `${bucketStart.labelled}${block},le="`;
    const length = buffer.write(beginning, start, 'latin1');
    let end = start;
    let cumulative = 0;
    for (let b = 0; b < width; b++) {
      if (b > 0) buffer.copyWithin(end, start, start + length);
      end += length;
      const bound = bounds[b]!;
      for (let k = 0; k < bound.length; k++) buffer[end++] = bound[k]!;
      cumulative += bucketCounts[i * width + b]!;
      // The format wants the last bucket to equal the count.
      end = writeFloat(buffer, end, b === width - 1 ? counts[i]! : cumulative);
      const exemplar = exemplars?.[b];
      if (exemplar !== undefined) end += buffer.write(exemplar, end, 'latin1');
      buffer[end++] = LF;
    }
    chunk.end = end;

    // NaN means that no sum was kept, as for instruments that record negative values.
    const hasSum = !Number.isNaN(sums[i]!) && extras?.hasNoSum(i) !== true;
    if (hasSum) writeSample(chunk, sumStart, block, sums[i]!);
    // OpenMetrics has the one only with the other.
    if (hasSum || extras === undefined) writeSample(chunk, countStart, block, counts[i]!);
    const created = extras?.created(i);
    if (created !== undefined) writeText(chunk, createdStart, block, created);
    return true;
  };
}

function writeSample(chunk: TextChunk, start: LineStart, block: string, value: number, behind = ''): void {
  chunk.append(block === '' ? start.bare : `${start.labelled}${block}} `);
  chunk.end = writeFloat(chunk.buffer, chunk.end, value);
  if (behind !== '') chunk.append(behind);
  chunk.buffer[chunk.end++] = LF;
}

function writeText(chunk: TextChunk, start: LineStart, block: string, value: string): void {
  chunk.append(`${block === '' ? start.bare : `${start.labelled}${block}} `}${value}\n`);
}
