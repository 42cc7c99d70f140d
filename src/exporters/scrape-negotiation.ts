// What a scraper gets, of what it says that it reads: its headers `Accept` and `Accept-Encoding`.
import type { MetricBatch } from '../data/metric-batch.ts';
import { ESCAPING_SCHEMES, type EscapingScheme } from '../encoding/prometheus-escaping.ts';
import { encodeOpenMetrics } from '../encoding/prometheus-openmetrics.ts';
import type { PrometheusEncodingOptions } from '../encoding/prometheus-options.ts';
import { encodePrometheusProtobuf } from '../encoding/prometheus-protobuf.ts';
import { encodePrometheusText, PROMETHEUS_TEXT_CONTENT_TYPE } from '../encoding/prometheus-text.ts';

export interface NegotiatedFormat {
  /** What is sent, with everything that it takes to read it. */
  readonly contentType: string;
  readonly escaping: EscapingScheme;
  encode(batch: MetricBatch, options: PrometheusEncodingOptions): Iterable<Uint8Array>;
}

/** As Prometheus calls them in its `scrape_protocols`. */
export const SCRAPE_FORMATS = [
  'PrometheusText0.0.4',
  'PrometheusText1.0.0',
  'OpenMetricsText1.0.0',
  'OpenMetricsText0.0.1',
  'PrometheusProto',
] as const;

export type ScrapeFormat = (typeof SCRAPE_FORMATS)[number];

interface Format {
  readonly type: string;
  /** Parameters that a scraper may name, and what it means not to; `undefined` where it must name them. */
  readonly parameters: Readonly<Record<string, { readonly value: string; readonly isOptional: boolean }>>;
  readonly contentType: string;
  /** Whether names may be escaped in another way than by underscores. */
  readonly hasEscaping: boolean;
  readonly encode: NegotiatedFormat['encode'];
}

const required = (value: string) => ({ value, isOptional: false });
const optional = (value: string) => ({ value, isOptional: true });

const FORMATS: Readonly<Record<ScrapeFormat, Format>> = {
  'PrometheusText0.0.4': {
    type: 'text/plain',
    parameters: { version: optional('0.0.4') },
    contentType: PROMETHEUS_TEXT_CONTENT_TYPE,
    hasEscaping: false,
    encode: encodePrometheusText,
  },
  'PrometheusText1.0.0': {
    type: 'text/plain',
    parameters: { version: required('1.0.0') },
    contentType: 'text/plain; version=1.0.0; charset=utf-8',
    hasEscaping: true,
    encode: encodePrometheusText,
  },
  'OpenMetricsText1.0.0': {
    type: 'application/openmetrics-text',
    parameters: { version: required('1.0.0') },
    contentType: 'application/openmetrics-text; version=1.0.0; charset=utf-8',
    hasEscaping: true,
    encode: encodeOpenMetrics,
  },
  'OpenMetricsText0.0.1': {
    // The oldest version is meant where none is named; to Prometheus its grammar is that of the newer one.
    type: 'application/openmetrics-text',
    parameters: { version: optional('0.0.1') },
    contentType: 'application/openmetrics-text; version=0.0.1; charset=utf-8',
    hasEscaping: false,
    encode: encodeOpenMetrics,
  },
  PrometheusProto: {
    type: 'application/vnd.google.protobuf',
    parameters: {
      proto: required('io.prometheus.client.MetricFamily'),
      encoding: required('delimited'),
    },
    contentType:
      'application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited',
    hasEscaping: true,
    encode: encodePrometheusProtobuf,
  },
};

/**
 * The format that the scraper likes best; of those that it likes equally, the one that it names first. One that it cannot
 * read is better than none, so that there is a fallback when nothing fits. It serves when everything does, too.
 */
export function negotiateFormat(
  accept: string | undefined,
  fallback: ScrapeFormat = 'PrometheusText0.0.4',
): NegotiatedFormat {
  for (const { value: type, parameters } of weighted(accept)) {
    const format = Object.values(FORMATS).find(
      (candidate) => candidate.type === type && fits(candidate, parameters),
    );
    if (format !== undefined) return negotiated(format, parameters.get('escaping'));
    if (type === '*/*') break;
    if (type === 'text/*') return negotiated(FORMATS['PrometheusText0.0.4'], undefined);
    if (type === 'application/*') return negotiated(FORMATS['OpenMetricsText1.0.0'], undefined);
  }
  return negotiated(FORMATS[fallback], undefined);
}

function fits({ parameters: own }: Format, asked: ReadonlyMap<string, string>): boolean {
  return Object.entries(own).every(([name, { value, isOptional }]) => {
    const wanted = asked.get(name);
    return wanted === undefined ? isOptional : wanted === value;
  });
}

function negotiated(
  { contentType, hasEscaping, encode }: Format,
  asked: string | undefined,
): NegotiatedFormat {
  if (!hasEscaping) return { contentType, escaping: 'underscores', encode };
  const scheme = asked === 'allow-utf8' ? 'allow-utf-8' : asked;
  const escaping = ESCAPING_SCHEMES.find((known) => known === scheme) ?? 'underscores';
  return { contentType: `${contentType}; escaping=${escaping}`, escaping, encode };
}

/**
 * The compression that the scraper likes best, in our order where it likes several.
 *
 * @param available names for `Content-Encoding`, the best first
 * @returns undefined for none, which everyone can read
 */
export function negotiateCompression<T extends string>(
  acceptEncoding: string | undefined,
  available: readonly T[],
): T | undefined {
  let best: T | undefined;
  let bestWeight = 0;
  const asked = weighted(acceptEncoding, true);
  const weightOf = (name: string) => asked.find(({ value }) => value === name)?.weight;
  for (const name of available) {
    const weight = weightOf(name) ?? (name === 'gzip' ? weightOf('*') : undefined) ?? 0;
    if (weight > bestWeight) {
      best = name;
      bestWeight = weight;
    }
  }
  return bestWeight > 0 && bestWeight >= (weightOf('identity') ?? 0) ? best : undefined;
}

interface Weighted {
  /** In lower case. */
  readonly value: string;
  readonly weight: number;
  /** By name in lower case, without `q`. */
  readonly parameters: ReadonlyMap<string, string>;
}

/** A header may be as long as Node lets it be; nobody names so many. */
const MAX_ITEMS = 100;

/** The items of a header with weights, the heaviest first. Those of weight 0, and garbage, are left out. */
function weighted(header: string | undefined, withZero = false): Weighted[] {
  if (header === undefined) return [];
  return header
    .split(',', MAX_ITEMS)
    .map((item): Weighted => {
      const [value = '', ...rest] = item.split(';').map((part) => part.trim());
      const parameters = new Map(
        rest.map((part): [string, string] => {
          const [name = '', text = ''] = part.split('=', 2).map((side) => side.trim());
          return [name.toLowerCase(), text.replace(/^"(.*)"$/, '$1')];
        }),
      );
      const q = parameters.get('q') ?? '1';
      return {
        value: value.toLowerCase(),
        weight: /^(0(\.\d*)?|1(\.0*)?)$/.test(q) ? Number(q) : 0,
        parameters,
      };
    })
    .filter(({ value, weight }) => value !== '' && (weight > 0 || withZero))
    .sort((a, b) => b.weight - a.weight);
}
