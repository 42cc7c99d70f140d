// The sample lines of one point, as bytes in a chunk.
import type { HistogramColumns, NumberColumns, SummaryColumns } from '../data/metric-batch.ts';
import { DataPointType, SUMMARY } from '../data/metric-data.ts';
import { goFloat, MAX_FLOAT_LENGTH, writeFloat } from './go-float.ts';
import { byteString, isClassicName, quotable } from './prometheus-escaping.ts';
import type { ExposableMetric } from './prometheus-families.ts';
import { type Piece, pieceOf, type TextChunk } from './text-chunk.ts';

/**
 * Writes point `i`, given the labels that it has beside those of all points; returns false, having written nothing, when
 * there is no room.
 */
export type SampleWriter = (chunk: TextChunk, labels: string, i: number) => boolean;

/** What OpenMetrics puts behind the values and the series of the classic text. */
export interface SampleExtras {
  /** The bound of a bucket as the value of `le`, and a quantile as that of `quantile`. */
  boundText(bound: number): string;
  /** What stands behind the value of a counter: byte string, or empty. */
  counterExemplar(i: number): string;
  /** What stands behind the counts of a histogram's buckets; undefined when there is none. */
  bucketExemplars(i: number): readonly (string | undefined)[] | undefined;
  /** Whether point `i` has no sum, nor a histogram its count, because its sum could fall. */
  hasNoSum(i: number): boolean;
  /** Whether a quantile may have the value. */
  isLegalQuantile(value: number): boolean;
  /** When point `i` began, as a number of seconds; undefined when that is not told. */
  created(i: number): string | undefined;
}

const LF = 10;
/** What a line needs besides its name and labels: braces, quotes, a space, the value, the line's end. */
const LINE_EXTRA = MAX_FLOAT_LENGTH + 12;

/** @param shared the labels of all points: a block, or empty */
export function sampleWriter(
  sample: string,
  metric: ExposableMetric,
  shared: string,
  extras?: SampleExtras,
): SampleWriter {
  switch (metric.dataPointType) {
    case DataPointType.HISTOGRAM:
      return histogramWriter(sample, metric, shared, extras);
    case SUMMARY:
      return summaryWriter(sample, metric, shared, extras);
    default:
      return numberWriter(sample, metric, shared, extras);
  }
}

/** The beginning of the lines of one name. */
interface LineStart {
  /** Up to the value, for points that have no labels of their own. */
  readonly bare: Piece;
  /** In front of a point's own labels. */
  readonly labelled: Piece;
}

const LABELS_END = pieceOf('} ');
const BOUND = pieceOf(',le="');
const FIRST_BOUND = pieceOf('le="');
const QUANTILE = pieceOf(',quantile="');
const FIRST_QUANTILE = pieceOf('quantile="');

/** A name that old scrapers do not know stands in quotes, among the labels. */
function lineStart(name: string, shared: string): LineStart {
  const isClassic = isClassicName(name);
  const quoted = isClassic ? '' : `"${byteString(quotable(name))}"`;
  const inside = quoted === '' || shared === '' ? quoted + shared : `${quoted},${shared}`;
  const outside = isClassic ? name : '';
  return {
    bare: pieceOf(inside === '' ? `${outside} ` : `${outside}{${inside}} `),
    labelled: pieceOf(inside === '' ? `${outside}{` : `${outside}{${inside},`),
  };
}

function numberWriter(
  sample: string,
  { values }: NumberColumns,
  shared: string,
  extras?: SampleExtras,
): SampleWriter {
  const start = lineStart(sample, shared);
  const lineLength = start.labelled.length + LINE_EXTRA;
  if (extras === undefined) {
    return (chunk, labels, i) => {
      if (!chunk.hasRoom(lineLength + labels.length)) return false;
      beginLine(chunk, start, labels);
      endLine(chunk, values[i]!);
      return true;
    };
  }
  const createdStart = lineStart(sample.replace(/_total$/, '_created'), shared);
  return (chunk, labels, i) => {
    const exemplar = extras.counterExemplar(i);
    const created = extras.created(i);
    if (!chunk.hasRoom(2 * (lineLength + labels.length) + exemplar.length)) return false;
    beginLine(chunk, start, labels);
    chunk.end = writeFloat(chunk.bytes, chunk.end, values[i]!);
    chunk.append(exemplar);
    chunk.byte(LF);
    if (created !== undefined) {
      beginLine(chunk, createdStart, labels);
      chunk.append(`${created}\n`);
    }
    return true;
  };
}

function histogramWriter(
  family: string,
  metric: HistogramColumns,
  shared: string,
  extras?: SampleExtras,
): SampleWriter {
  const { boundaries, bucketCounts, counts, sums } = metric;
  const bucketStart = lineStart(`${family}_bucket`, shared).labelled;
  const sumStart = lineStart(`${family}_sum`, shared);
  const countStart = lineStart(`${family}_count`, shared);
  const createdStart = lineStart(`${family}_created`, shared);
  const boundText = extras?.boundText ?? goFloat;
  const bounds = [...boundaries, Number.POSITIVE_INFINITY].map((bound) => pieceOf(`${boundText(bound)}"} `));
  const width = bounds.length;
  const lineLength = bucketStart.length + ',le=""'.length + MAX_FLOAT_LENGTH + LINE_EXTRA;

  return (chunk, labels, i) => {
    const exemplars = extras?.bucketExemplars(i);
    const extra = exemplars?.reduce((sum, exemplar) => sum + (exemplar?.length ?? 0), 0) ?? 0;
    if (!chunk.hasRoom((width + 3) * (lineLength + labels.length) + extra)) return false;

    const start = chunk.end;
    chunk.piece(bucketStart);
    const labelsStart = chunk.end;
    chunk.append(labels);
    chunk.piece(labels === '' ? FIRST_BOUND : BOUND);
    // All lines begin alike.
    const length = chunk.end - start;
    let cumulative = 0;
    for (let b = 0; b < width; b++) {
      if (b > 0) chunk.repeat(start, length);
      chunk.piece(bounds[b]!);
      cumulative += bucketCounts[i * width + b]!;
      // The format wants the last bucket to equal the count.
      chunk.end = writeFloat(chunk.bytes, chunk.end, b === width - 1 ? counts[i]! : cumulative);
      if (exemplars !== undefined) chunk.append(exemplars[b] ?? '');
      chunk.byte(LF);
    }

    // NaN means that no sum was kept, as for instruments that record negative values.
    const hasSum = !Number.isNaN(sums[i]!) && extras?.hasNoSum(i) !== true;
    if (hasSum) {
      beginLine(chunk, sumStart, labels, labelsStart);
      endLine(chunk, sums[i]!);
    }
    // OpenMetrics has the one only with the other.
    if (hasSum || extras === undefined) {
      beginLine(chunk, countStart, labels, labelsStart);
      endLine(chunk, counts[i]!);
    }
    const created = extras?.created(i);
    if (created !== undefined) {
      beginLine(chunk, createdStart, labels, labelsStart);
      chunk.append(`${created}\n`);
    }
    return true;
  };
}

function summaryWriter(
  family: string,
  { quantiles, quantileValues, counts, sums }: SummaryColumns,
  shared: string,
  extras?: SampleExtras,
): SampleWriter {
  const valueStart = lineStart(family, shared).labelled;
  const sumStart = lineStart(`${family}_sum`, shared);
  const countStart = lineStart(`${family}_count`, shared);
  const createdStart = lineStart(`${family}_created`, shared);
  const quantileText = extras?.boundText ?? goFloat;
  const texts = quantiles.map((quantile) => pieceOf(`${quantileText(quantile)}"} `));
  const width = texts.length;
  const lineLength = createdStart.labelled.length + ',quantile=""'.length + MAX_FLOAT_LENGTH + LINE_EXTRA;

  return (chunk, labels, i) => {
    if (!chunk.hasRoom((width + 3) * (lineLength + labels.length))) return false;
    for (let q = 0; q < width; q++) {
      const value = quantileValues[i * width + q]!;
      if (extras?.isLegalQuantile(value) === false) continue;
      chunk.piece(valueStart);
      chunk.append(labels);
      chunk.piece(labels === '' ? FIRST_QUANTILE : QUANTILE);
      chunk.piece(texts[q]!);
      endLine(chunk, value);
    }
    // NaN means that it is not known.
    if (!Number.isNaN(sums[i]!) && extras?.hasNoSum(i) !== true) {
      beginLine(chunk, sumStart, labels);
      endLine(chunk, sums[i]!);
    }
    if (!Number.isNaN(counts[i]!)) {
      beginLine(chunk, countStart, labels);
      endLine(chunk, counts[i]!);
    }
    const created = extras?.created(i);
    if (created !== undefined) {
      beginLine(chunk, createdStart, labels);
      chunk.append(`${created}\n`);
    }
    return true;
  };
}

/** @param at where the labels stand in the chunk already; copying them is faster */
function beginLine(chunk: TextChunk, { bare, labelled }: LineStart, labels: string, at = -1): void {
  if (labels === '') {
    chunk.piece(bare);
    return;
  }
  chunk.piece(labelled);
  if (at < 0) chunk.append(labels);
  else chunk.repeat(at, labels.length);
  chunk.piece(LABELS_END);
}

function endLine(chunk: TextChunk, value: number): void {
  chunk.end = writeFloat(chunk.bytes, chunk.end, value);
  chunk.byte(LF);
}
