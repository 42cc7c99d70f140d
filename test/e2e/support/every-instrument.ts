// Two rounds of recording with every kind of instrument, and what a receiver must then have, value by value.
import { type Context, type Meter, ROOT_CONTEXT, TraceFlags, trace, ValueType } from '@opentelemetry/api';
import { AggregationType, InstrumentType, type ViewOptions } from '../../../src/index.ts';
import type { ReceivedMetric, Value } from './otlp-values.ts';

/** `[attributes, value]` of each series; integers as bigint, since OTLP tells them from doubles. */
export type Series = [Record<string, unknown>, Value][];

export interface ExpectedMetric {
  readonly kind: InstrumentType;
  readonly type: ReceivedMetric['type'];
  readonly unit: string;
  /** Of each round. */
  readonly cumulative: [Series, Series];
  readonly delta: [Series, Series];
}

export const VIEWS: ViewOptions[] = [
  {
    instrumentName: 'payload',
    // One scale in both temporalities.
    aggregation: { type: AggregationType.EXPONENTIAL_HISTOGRAM, options: { maxSize: 4, maxScale: 0 } },
  },
];

const ROUTE = { 'http.route': '/orders/:id', 'http.status_code': 200 };
const ROUTE_RECEIVED = { 'http.route': '/orders/:id', 'http.status_code': 200n };
const FAILED = { 'http.route': '/orders/:id', 'http.status_code': 500 };
const FAILED_RECEIVED = { 'http.route': '/orders/:id', 'http.status_code': 500n };
const EVERY_TYPE = {
  text: 'größe 💥 "quoted" \\ \n\u0000',
  empty: '',
  yes: true,
  ratio: 0.5,
  largest: Number.MAX_SAFE_INTEGER,
  texts: ['a', 'ü'],
  numbers: [1, -2],
};
const EVERY_TYPE_RECEIVED = { ...EVERY_TYPE, largest: 9_007_199_254_740_991n, numbers: [1n, -2n] };
const BOUNDARIES = [0.005, 0.01, 0.1, 1, 10];

export const SPAN = {
  traceId: '0af7651916cd43dd8448eb211c80319c',
  spanId: 'b7ad6b7169203331',
  traceFlags: TraceFlags.SAMPLED,
};
const inSpan: Context = trace.setSpanContext(ROOT_CONTEXT, SPAN);

/** @returns records the first round, then the second */
export function everyInstrument(meter: Meter): [first: () => void, second: () => void] {
  let round = 0;
  const perRound = <T>(...values: T[]) => values[round - 1]!;

  const requests = meter.createCounter('requests', {
    unit: '{request}',
    description: 'Größe',
    valueType: ValueType.INT,
  });
  const money = meter.createCounter('money', { unit: 'EUR' });
  const active = meter.createUpDownCounter('active', { unit: '1', valueType: ValueType.INT });
  const room = meter.createGauge('room', { unit: 'Cel' });
  const duration = meter.createHistogram('duration', {
    unit: 's',
    advice: { explicitBucketBoundaries: BOUNDARIES },
  });
  const payload = meter.createHistogram('payload', { unit: 'By' });
  meter
    .createObservableCounter('cpu', { unit: 's' })
    .addCallback((result) => result.observe(perRound(12.25, 20)));
  meter
    .createObservableUpDownCounter('queue', { unit: '{job}', valueType: ValueType.INT })
    .addCallback((result) => result.observe(perRound(17, -3), { queue: 'mail' }));
  meter.createObservableGauge('extremes', { unit: '' }).addCallback((result) => {
    result.observe(5e-324, { extreme: 'least' });
    result.observe(Number.MAX_VALUE, { extreme: 'most' });
    result.observe(Number.NaN, { extreme: 'none' });
    result.observe(Number.NEGATIVE_INFINITY, { extreme: 'beyond' });
    result.observe(perRound(-0.1, 0), { extreme: 'small' });
  });

  return [
    () => {
      round = 1;
      requests.add(40, ROUTE, inSpan);
      requests.add(2, FAILED);
      requests.add(Number.MAX_SAFE_INTEGER, EVERY_TYPE);
      money.add(0.1);
      money.add(0.2);
      active.add(5);
      active.add(-12);
      room.record(21.5);
      for (const value of [0.005, 0.006, 0.5, 2, 20]) duration.record(value, ROUTE);
      for (const value of [0, 1, 2, 4, 8]) payload.record(value);
    },
    () => {
      round = 2;
      requests.add(1000, ROUTE);
      money.add(1);
      active.add(2);
      room.record(-3);
      duration.record(0.05, ROUTE);
      payload.record(3);
    },
  ];
}

const same = (first: Series, second: Series) => ({
  cumulative: [first, second] as [Series, Series],
  delta: [first, second] as [Series, Series],
});

const DURATIONS = {
  count: 5,
  sum: 22.511,
  min: 0.005,
  max: 20,
  bounds: BOUNDARIES,
  counts: [1, 1, 0, 1, 1, 1],
};
const PAYLOADS = {
  ...{ count: 5, sum: 15, min: 0, max: 8, scale: 0, zeroCount: 1 },
  positive: { offset: -1, counts: [1, 1, 1, 1] },
  negative: { offset: 0, counts: [] },
};
const EXTREMES: Series = [
  [{ extreme: 'least' }, 5e-324],
  [{ extreme: 'most' }, Number.MAX_VALUE],
  [{ extreme: 'none' }, Number.NaN],
  [{ extreme: 'beyond' }, Number.NEGATIVE_INFINITY],
];
const ROUND_1_REQUESTS: Series = [
  [ROUTE_RECEIVED, 40n],
  [FAILED_RECEIVED, 2n],
  [EVERY_TYPE_RECEIVED, 9_007_199_254_740_991n],
];

export const EXPECTED: Record<string, ExpectedMetric> = {
  requests: {
    kind: InstrumentType.COUNTER,
    type: 'sum',
    unit: '{request}',
    cumulative: [ROUND_1_REQUESTS, [[ROUTE_RECEIVED, 1040n], ...ROUND_1_REQUESTS.slice(1)]],
    delta: [ROUND_1_REQUESTS, [[ROUTE_RECEIVED, 1000n]]],
  },
  money: {
    kind: InstrumentType.COUNTER,
    type: 'sum',
    unit: 'EUR',
    cumulative: [[[{}, 0.1 + 0.2]], [[{}, 0.1 + 0.2 + 1]]],
    delta: [[[{}, 0.1 + 0.2]], [[{}, 1]]],
  },
  active: {
    kind: InstrumentType.UP_DOWN_COUNTER,
    type: 'sum',
    unit: '1',
    cumulative: [[[{}, -7n]], [[{}, -5n]]],
    delta: [[[{}, -7n]], [[{}, 2n]]],
  },
  room: { kind: InstrumentType.GAUGE, type: 'gauge', unit: 'Cel', ...same([[{}, 21.5]], [[{}, -3]]) },
  duration: {
    kind: InstrumentType.HISTOGRAM,
    type: 'histogram',
    unit: 's',
    cumulative: [
      [[ROUTE_RECEIVED, DURATIONS]],
      [[ROUTE_RECEIVED, { ...DURATIONS, count: 6, sum: 22.561, counts: [1, 1, 1, 1, 1, 1] }]],
    ],
    delta: [
      [[ROUTE_RECEIVED, DURATIONS]],
      [
        [
          ROUTE_RECEIVED,
          { ...DURATIONS, count: 1, sum: 0.05, min: 0.05, max: 0.05, counts: [0, 0, 1, 0, 0, 0] },
        ],
      ],
    ],
  },
  payload: {
    kind: InstrumentType.HISTOGRAM,
    type: 'exponentialHistogram',
    unit: 'By',
    cumulative: [
      [[{}, PAYLOADS]],
      [[{}, { ...PAYLOADS, count: 6, sum: 18, positive: { offset: -1, counts: [1, 1, 2, 1] } }]],
    ],
    delta: [
      [[{}, PAYLOADS]],
      [
        [
          {},
          {
            ...{ ...PAYLOADS, count: 1, sum: 3, min: 3, max: 3, zeroCount: 0 },
            positive: { offset: 1, counts: [1] },
          },
        ],
      ],
    ],
  },
  cpu: {
    kind: InstrumentType.OBSERVABLE_COUNTER,
    type: 'sum',
    unit: 's',
    cumulative: [[[{}, 12.25]], [[{}, 20]]],
    delta: [[[{}, 12.25]], [[{}, 7.75]]],
  },
  queue: {
    kind: InstrumentType.OBSERVABLE_UP_DOWN_COUNTER,
    type: 'sum',
    unit: '{job}',
    cumulative: [[[{ queue: 'mail' }, 17n]], [[{ queue: 'mail' }, -3n]]],
    delta: [[[{ queue: 'mail' }, 17n]], [[{ queue: 'mail' }, -20n]]],
  },
  extremes: {
    kind: InstrumentType.OBSERVABLE_GAUGE,
    type: 'gauge',
    unit: '',
    ...same([...EXTREMES, [{ extreme: 'small' }, -0.1]], [...EXTREMES, [{ extreme: 'small' }, 0]]),
  },
};
