// What the Collector's file exporter wrote equals what was recorded, value by value.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import zlib from 'node:zlib';
import type { HrTime } from '@opentelemetry/api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AggregationTemporalitySelector } from '../../src/data/aggregation-option.ts';
import { batchOf, summary } from '../../src/encoding/fixtures/metrics.ts';
import { exported } from '../../src/exporters/fixtures/exporting.ts';
import { otlpFile } from '../../src/exporters/otlp-file.ts';
import { otlpHttp } from '../../src/exporters/otlp-http.ts';
import {
  AggregationTemporality,
  InstrumentType,
  MeterProvider,
  PeriodicExportingMetricReader,
  type PushMetricExporter,
  type ResourceMetrics,
  resourceFromAttributes,
  type TemporalityPreference,
} from '../../src/index.ts';
import { temporaryFolder } from '../support/temporary-folder.ts';
import { type Collector, type OtlpRequest, startCollector } from './support/collector.ts';
import { EXPECTED, type ExpectedMetric, everyInstrument, SPAN, VIEWS } from './support/every-instrument.ts';
import { TRANSPORTS } from './support/otlp-exporters.ts';
import { attributesOf, metricsIn } from './support/otlp-values.ts';

const { COUNTER, OBSERVABLE_COUNTER, HISTOGRAM, GAUGE, OBSERVABLE_GAUGE } = InstrumentType;
const TEMPORALITIES: {
  name: string;
  temporality: TemporalityPreference | AggregationTemporalitySelector;
  delta: InstrumentType[];
}[] = [
  { name: 'cumulative', temporality: 'cumulative', delta: [] },
  {
    name: 'delta',
    temporality: 'delta',
    delta: [COUNTER, OBSERVABLE_COUNTER, HISTOGRAM, GAUGE, OBSERVABLE_GAUGE],
  },
  { name: 'lowmemory', temporality: 'lowmemory', delta: [COUNTER, HISTOGRAM] },
  {
    name: 'a function that says delta',
    temporality: () => AggregationTemporality.DELTA,
    delta: Object.values(InstrumentType),
  },
];

const RESOURCE = { 'service.name': 'shop', pid: 42, tags: ['a', 'b'] };
const RESOURCE_SCHEMA = 'https://opentelemetry.io/schemas/1.37.0';
const SCOPE_SCHEMA = 'https://opentelemetry.io/schemas/1.36.0';

let collector: Collector;
beforeAll(async () => {
  collector = await startCollector();
});
afterAll(() => collector.stop());

type Make = (temporality: TemporalityPreference | AggregationTemporalitySelector) => PushMetricExporter;

const file = join(temporaryFolder(), 'metrics.jsonl');
const WAYS: { name: string; make: Make; read: () => Promise<OtlpRequest[]> }[] = [
  ...TRANSPORTS.flatMap(({ name, make, portOf }) =>
    (['none', 'gzip'] as const).map((compression) => ({
      name: `${name}, compression ${compression}`,
      make: ((temporality) => make(portOf(collector), { temporality, compression })) satisfies Make,
      read: () => collector.received(),
    })),
  ),
  // Node 20 has none.
  ...('zstdCompress' in zlib ? (['protobuf', 'json'] as const) : []).map((encoding) => ({
    name: `http/${encoding}, compression zstd`,
    make: ((temporality) =>
      otlpHttp({
        url: `http://localhost:${collector.httpPort}/v1/metrics`,
        encoding,
        compression: 'zstd',
        temporality,
      })) satisfies Make,
    read: () => collector.received(),
  })),
  {
    name: 'file',
    make: (temporality) => otlpFile({ path: file, temporality }),
    read: async () => {
      const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
      return lines.map((line) => JSON.parse(line) as OtlpRequest);
    },
  },
  {
    // The strict parser of a Collector reads what is in the file.
    name: 'file, taken by a Collector',
    make: (temporality) => otlpFile({ path: `${file}.taken`, temporality }),
    read: async () => {
      const before = await collector.received();
      const lines = readFileSync(`${file}.taken`, 'utf8').trimEnd().split('\n');
      for (const body of lines) {
        const headers = { 'content-type': 'application/json' };
        const url = `http://localhost:${collector.httpPort}/v1/metrics`;
        expect((await fetch(url, { method: 'POST', headers, body })).status).toBe(200);
      }
      return (await collector.received()).slice(before.length);
    },
  },
];

describe.each(WAYS)('$name', (way) => {
  test.each(TEMPORALITIES)('every instrument, $name', async ({ name, temporality, delta }) => {
    const id = `${way.name}, ${name}`;
    const exported = await exportRounds(id, way.make(temporality));
    const requests = await way.read().then((all) => all.filter((request) => testOf(request) === id));

    expect(requests).toHaveLength(exported.length);
    for (const round of [0, 1] as const) {
      const metrics = metricsIn(requests[round]!);
      expect(
        metrics.map(({ name, unit, type, temporality, isMonotonic, points }) => ({
          name,
          unit,
          type,
          temporality,
          isMonotonic,
          series: points.map(({ attributes, value }) => [attributes, value]),
        })),
      ).toEqual(
        Object.entries(EXPECTED).map(([name, expected]) =>
          expectedMetric(name, expected, delta.includes(expected.kind), round),
        ),
      );
      expect(metrics.map(({ points }) => points.map(({ startTime, time }) => [startTime, time]))).toEqual(
        timesOf(exported[round]!),
      );
    }
  });
});

test.each(WAYS)('resource, scope, description and exemplars, $name', async (way) => {
  const id = `${way.name}, surroundings`;
  const [exported] = await exportRounds(id, way.make('cumulative'));
  const [request] = await way.read().then((all) => all.filter((candidate) => testOf(candidate) === id));
  const [{ resource, schemaUrl, scopeMetrics }] = request!.resourceMetrics as [
    OtlpRequest['resourceMetrics'][0],
  ];

  expect(attributesOf(resource.attributes)).toEqual({ ...RESOURCE, pid: 42n, test: id });
  expect(schemaUrl).toBe(RESOURCE_SCHEMA);
  expect(scopeMetrics.map(({ scope, schemaUrl }) => ({ ...scope, schemaUrl }))).toEqual([
    { name: 'orders', version: '1.2.3', schemaUrl: SCOPE_SCHEMA },
  ]);
  const [metric] = metricsIn(request!);
  expect(metric!.description).toBe('Größe');
  const [exemplar] = exported!.scopeMetrics[0]!.metrics[0]!.dataPoints[0]!.exemplars!;
  expect(metric!.points[0]!.exemplars).toEqual([
    {
      asInt: '40',
      timeUnixNano: String(nanos(exemplar!.timestamp)),
      traceId: SPAN.traceId,
      spanId: SPAN.spanId,
    },
  ]);
});

test.each(WAYS)('a summary, and the metadata of a metric, $name', async (way) => {
  const id = `${way.name}, summary`;
  const point = {
    count: 3,
    sum: 7.5,
    quantiles: [
      [0.5, 2],
      [0.999, -4.25],
    ] as const,
  };
  const metadata = { 'prometheus.type': 'summary', n: 5 };
  const latency = summary('latency', [[{ route: '/größe' }, point]], { unit: 's', metadata });
  latency.startTimes.fill(1_700_000_000_000_000_001n);
  latency.endTimes.fill(1_700_000_001_000_000_002n);
  const exporter = way.make('cumulative');
  expect(
    await exported(exporter, batchOf([[{ name: 'producer' }, [latency]]], { test: id })),
  ).toBeUndefined();
  await exporter.shutdown();
  const [request] = await way.read().then((all) => all.filter((candidate) => testOf(candidate) === id));
  expect(request!.resourceMetrics[0]!.scopeMetrics[0]!.metrics).toEqual([
    {
      name: 'latency',
      unit: 's',
      metadata: [
        { key: 'prometheus.type', value: { stringValue: 'summary' } },
        { key: 'n', value: { intValue: '5' } },
      ],
      summary: {
        dataPoints: [
          {
            attributes: [{ key: 'route', value: { stringValue: '/größe' } }],
            startTimeUnixNano: '1700000000000000001',
            timeUnixNano: '1700000001000000002',
            count: '3',
            sum: 7.5,
            quantileValues: point.quantiles.map(([quantile, value]) => ({ quantile, value })),
          },
        ],
      },
    },
  ]);
});

/** Exports the two rounds of {@link everyInstrument}, and once more at shutdown. */
async function exportRounds(id: string, exporter: PushMetricExporter): Promise<ResourceMetrics[]> {
  const exported: ResourceMetrics[] = [];
  const reader = new PeriodicExportingMetricReader({
    exporter: {
      ...exporter,
      export: (metrics, resultCallback, options) => {
        exported.push(metrics);
        exporter.export(metrics, resultCallback, options);
      },
    },
    selfMetrics: false,
  });
  const provider = new MeterProvider({
    readers: [reader],
    views: VIEWS,
    resource: resourceFromAttributes({ ...RESOURCE, test: id }, { schemaUrl: RESOURCE_SCHEMA }),
  });
  const meter = provider.getMeter('orders', '1.2.3', { schemaUrl: SCOPE_SCHEMA });
  for (const record of everyInstrument(meter)) {
    record();
    await provider.forceFlush();
  }
  await provider.shutdown();
  return exported;
}

function expectedMetric(
  name: string,
  { kind, type, unit, cumulative, delta }: ExpectedMetric,
  isDelta: boolean,
  round: 0 | 1,
) {
  return {
    name,
    unit,
    type,
    temporality: type === 'gauge' ? undefined : isDelta ? 'delta' : 'cumulative',
    isMonotonic: type === 'sum' ? !kind.includes('UP_DOWN') : undefined,
    series: (isDelta ? delta : cumulative)[round],
  };
}

function testOf(request: OtlpRequest): unknown {
  return attributesOf(request.resourceMetrics[0]?.resource.attributes).test;
}

function timesOf({ scopeMetrics }: ResourceMetrics): bigint[][][] {
  return scopeMetrics.flatMap(({ metrics }) =>
    metrics.map(({ dataPoints }) =>
      dataPoints.map(({ startTime, endTime }) => [nanos(startTime), nanos(endTime)]),
    ),
  );
}

function nanos([seconds, rest]: HrTime): bigint {
  return BigInt(seconds) * 1_000_000_000n + BigInt(rest);
}
