// The sample lines of one point, as bytes in a chunk.
import type { HistogramColumns, NumberColumns } from '../data/metric-batch.ts';
import { DataPointType } from '../data/metric-data.ts';
import { goFloat, MAX_FLOAT_LENGTH, writeFloat } from './go-float.ts';
import type { ExposableMetric } from './prometheus-families.ts';
import type { TextChunk } from './text-chunk.ts';

/** Writes point `i`, whose label block is given; returns false, having written nothing, when there is no room. */
type SampleWriter = (chunk: TextChunk, block: string, i: number) => boolean;

const LF = 10;
/** What a line needs besides its name and labels: braces, a space, the value, the line's end. */
const LINE_EXTRA = MAX_FLOAT_LENGTH + 8;

export function sampleWriter(family: string, metric: ExposableMetric): SampleWriter {
  return metric.dataPointType === DataPointType.HISTOGRAM
    ? histogramWriter(family, metric)
    : numberWriter(family, metric);
}

function numberWriter(name: string, { values }: NumberColumns): SampleWriter {
  return (chunk, block, i) => {
    if (!chunk.hasRoom(name.length + block.length + LINE_EXTRA)) return false;
    writeSample(chunk, name, block, values[i]!);
    return true;
  };
}

function histogramWriter(family: string, metric: HistogramColumns): SampleWriter {
  const { boundaries, bucketCounts, counts, sums } = metric;
  const bucketName = `${family}_bucket`;
  const sumName = `${family}_sum`;
  const countName = `${family}_count`;
  const bounds = [...boundaries, Number.POSITIVE_INFINITY].map((bound) =>
    Buffer.from(`${goFloat(bound)}"} `),
  );
  const width = bounds.length;

  return (chunk, block, i) => {
    const lineLength = bucketName.length + block.length + ',le=""'.length + MAX_FLOAT_LENGTH + LINE_EXTRA;
    if (!chunk.hasRoom((width + 2) * lineLength)) return false;

    // All lines begin alike: encoded once, then copied within the buffer, a tenth of the time.
    const { buffer, end: start } = chunk;
    const beginning = block === '' ? `${bucketName}{le="` : `${bucketName}{${block},le="`;
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
      buffer[end++] = LF;
    }
    chunk.end = end;

    // NaN means that no sum was kept, as for instruments that record negative values.
    if (!Number.isNaN(sums[i]!)) writeSample(chunk, sumName, block, sums[i]!);
    writeSample(chunk, countName, block, counts[i]!);
    return true;
  };
}

function writeSample(chunk: TextChunk, name: string, block: string, value: number): void {
  chunk.append(block === '' ? `${name} ` : `${name}{${block}} `);
  chunk.end = writeFloat(chunk.buffer, chunk.end, value);
  chunk.buffer[chunk.end++] = LF;
}
