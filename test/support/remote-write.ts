// Remote write by definitions of its own and protobufjs: shares no code with what it checks. Refuses what receivers refuse.
import { fileURLToPath } from 'node:url';
import protobuf from 'protobufjs';

const root = protobuf.loadSync(
  fileURLToPath(new URL('../proto/prometheus/remote-write.proto', import.meta.url)),
);
const [Request, Request2] = ['write1.Request', 'write1.Request2'].map((name) => root.lookupType(name));

/** What Prometheus takes for the end of a series. */
const STALE_BITS = 0x7ff0000000000002n;

export interface WrittenSample {
  value: number | 'stale';
  timestamp: number;
  start?: number;
}

export interface WrittenHistogram {
  count: number;
  sum: number | 'stale';
  schema?: number;
  zeroThreshold?: number;
  zeroCount?: number;
  positiveSpans?: { offset?: number; length: number }[];
  positiveDeltas?: number[];
  negativeSpans?: { offset?: number; length: number }[];
  negativeDeltas?: number[];
  timestamp: number;
  start?: number;
}

export interface WrittenSeries {
  labels: Record<string, string>;
  samples: WrittenSample[];
  histograms: WrittenHistogram[];
  exemplars: { labels: Record<string, string>; value: number; timestamp: number }[];
  metadata?: { type: number; help: string; unit: string };
}

export interface WrittenRequest {
  series: WrittenSeries[];
  /** Of version 1.0, by family. */
  metadata: Record<string, { type: number; help: string; unit: string }>;
}

type Pairs = { name: string; value: string }[];

/** @param body without compression */
export function decodeWrite(version: '1.0' | '2.0', body: Uint8Array): WrittenRequest {
  const type = version === '1.0' ? Request! : Request2!;
  const plain = type.toObject(type.decode(body), { longs: String, arrays: true }) as {
    symbols: string[];
    series: {
      labels: Pairs | number[];
      samples: { value?: string }[];
      histograms: { sum?: string }[];
      exemplars: { labels: Pairs | number[]; value: number; timestamp: string }[];
      metadata?: { type?: number; help?: number; unit?: number };
    }[];
    metadata?: { type?: number; family: string; help?: string; unit?: string }[];
  };
  const { symbols } = plain;
  const doubleOf = (bits: string | undefined): number | 'stale' => {
    const [double] = new Float64Array(BigUint64Array.of(BigInt(bits ?? 0)).buffer);
    return BigInt(bits ?? 0) === STALE_BITS ? 'stale' : double!;
  };
  if (version === '2.0') {
    if (symbols[0] !== '') throw new Error('the first symbol is not empty');
    if (new Set(symbols).size !== symbols.length) throw new Error('a symbol is there twice');
  }
  const symbol = (ref: number | undefined) => {
    const text = symbols[ref ?? 0];
    if (text === undefined) throw new Error(`there is no symbol ${ref}`);
    return text;
  };
  const pairsOf = (labels: Pairs | number[]): Pairs => {
    if (version === '1.0') return labels as Pairs;
    const refs = labels as number[];
    if (refs.length % 2 !== 0) throw new Error('an odd number of references');
    return Array.from({ length: refs.length / 2 }, (_, i) => ({
      name: symbol(refs[2 * i]),
      value: symbol(refs[2 * i + 1]),
    }));
  };
  const checked = (labels: Pairs | number[]): Record<string, string> => {
    const pairs = pairsOf(labels);
    for (const [i, { name, value }] of pairs.entries()) {
      if (!/^[a-zA-Z_][a-zA-Z0-9_]*$/.test(name ?? '')) throw new Error(`a label is named ${name}`);
      if (!value) throw new Error(`the label ${name} is empty`);
      if (i > 0 && !(Buffer.compare(Buffer.from(pairs[i - 1]!.name), Buffer.from(name)) < 0))
        throw new Error(`${name} comes after ${pairs[i - 1]!.name}`);
    }
    return Object.fromEntries(pairs.map(({ name, value }) => [name, value]));
  };
  const families = (plain.metadata ?? []).map(({ family }) => family);
  if (new Set(families).size !== families.length) throw new Error('a family is described twice');
  const written = {
    metadata: Object.fromEntries(
      (plain.metadata ?? []).map(({ type = 0, family, help = '', unit = '' }) => [
        family,
        { type, help, unit },
      ]),
    ),
    series: plain.series.map(({ labels, samples, histograms, exemplars, metadata }) => {
      if (samples.length + histograms.length !== 1) throw new Error('a series has not one sample');
      const { __name__: name } = checked(labels);
      if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name ?? '')) throw new Error(`a metric is named ${name}`);
      return {
        labels: checked(labels),
        samples: samples.map(({ value, ...times }) => ({
          value: doubleOf(value),
          ...numbersIn(times),
        })),
        histograms: histograms.map(({ sum, ...rest }) => ({
          ...numbersIn(rest),
          sum: doubleOf(sum),
        })),
        exemplars: exemplars.map((exemplar) => ({
          ...numbersIn(exemplar),
          labels: checked(exemplar.labels),
        })),
        ...(metadata && {
          metadata: { type: metadata.type ?? 0, help: symbol(metadata.help), unit: symbol(metadata.unit) },
        }),
      };
    }),
  };
  return written as WrittenRequest;
}

/** Integers of 64 bits are decoded to text. */
function numbersIn(message: object): Record<string, unknown> {
  const numberOf = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(numberOf);
    return typeof value === 'string' ? Number(value) : value;
  };
  return Object.fromEntries(Object.entries(message).map(([name, value]) => [name, numberOf(value)]));
}

/** The series as Prometheus's text has it, which tells them apart. */
export function seriesName({ labels: { __name__, ...labels } }: WrittenSeries): string {
  const pairs = Object.entries(labels).map(([name, value]) => `${name}=${JSON.stringify(value)}`);
  return `${__name__}{${pairs.join()}}`;
}
