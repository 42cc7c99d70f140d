// Checked by the compiler, never run: what typed instruments accept, and what they refuse.
import type * as api from '@opentelemetry/api';
import {
  type BoundCounter,
  type CounterInstrument,
  type GaugeInstrument,
  type HistogramInstrument,
  type Meter,
  MeterProvider,
  type UpDownCounterInstrument,
} from '../../src/index.ts';

type Labels = { 'http.method': 'GET' | 'POST'; 'http.status_code'?: number };
const get = { 'http.method': 'GET' } as const;

const meter = new MeterProvider().getMeter('types');

export function addsTakeTheDeclaredAttributesOnly(context: api.Context): void {
  for (const instrument of [meter.createCounter<Labels>('c'), meter.createUpDownCounter<Labels>('u')]) {
    instrument.add(1, { 'http.method': 'GET' });
    instrument.add(1, { 'http.method': 'POST', 'http.status_code': 200 });
    instrument.add(1, { 'http.method': 'POST', 'http.status_code': undefined }, context);
    // @ts-expect-error the required name is missing
    instrument.add(1);
    // @ts-expect-error the required name is missing
    instrument.add(1, {});
    // @ts-expect-error the required name is missing
    instrument.add(1, { 'http.status_code': 200 });
    // @ts-expect-error the required name is missing
    instrument.add(1, undefined, context);
    // @ts-expect-error not a value of the union
    instrument.add(1, { 'http.method': 'PUT' });
    // @ts-expect-error any string is too wide for the union
    instrument.add(1, { 'http.method': String('GET') });
    // @ts-expect-error a value of another type
    instrument.add(1, { 'http.method': 'GET', 'http.status_code': '200' });
    // @ts-expect-error an unknown name
    instrument.add(1, { 'http.method': 'GET', 'http.route': '/' });
    // @ts-expect-error a misspelt optional name
    instrument.add(1, { 'http.method': 'GET', 'http.statuscode': 200 });
    // @ts-expect-error not a number
    instrument.add('1', get);
  }
}

export function recordsTakeTheDeclaredAttributesOnly(context: api.Context): void {
  for (const instrument of [meter.createHistogram<Labels>('h'), meter.createGauge<Labels>('g')]) {
    instrument.record(1, { 'http.method': 'GET' });
    instrument.record(1, { 'http.method': 'POST', 'http.status_code': 200 }, context);
    // @ts-expect-error the required name is missing
    instrument.record(1);
    // @ts-expect-error the required name is missing
    instrument.record(1, { 'http.status_code': 200 });
    // @ts-expect-error not a value of the union
    instrument.record(1, { 'http.method': 'PUT' });
    // @ts-expect-error an unknown name
    instrument.record(1, { 'http.method': 'GET', 'http.route': '/' });
  }
}

export function bindAndRemoveTakeTheSame(): void {
  const add = [meter.createCounter<Labels>('c'), meter.createUpDownCounter<Labels>('u')];
  const record = [meter.createHistogram<Labels>('h'), meter.createGauge<Labels>('g')];
  for (const instrument of [...add, ...record]) {
    instrument.bind(get);
    instrument.remove(get);
    // @ts-expect-error the required name is missing
    instrument.bind();
    // @ts-expect-error the required name is missing
    instrument.remove();
    // @ts-expect-error not a value of the union
    instrument.bind({ 'http.method': 'PUT' });
    // @ts-expect-error not a value of the union
    instrument.remove({ 'http.method': 'PUT' });
    // @ts-expect-error an unknown name
    instrument.bind({ 'http.method': 'GET', 'http.route': '/' });
    // @ts-expect-error an unknown name
    instrument.remove({ 'http.method': 'GET', 'http.route': '/' });
  }
  const bound: BoundCounter = meter.createCounter<Labels>('c').bind(get);
  bound.add(1);
  // @ts-expect-error a bound instrument has its attributes
  bound.add(1, get);
}

export function optionalNamesMayAllBeLeftOut(): void {
  const counter = meter.createCounter<{ cached?: boolean }>('c');
  counter.add(1);
  counter.add(1, {});
  counter.add(1, { cached: true });
  counter.bind();
  counter.remove();
  // @ts-expect-error an unknown name
  counter.add(1, { stale: true });
  // @ts-expect-error a value of another type
  counter.add(1, { cached: 'yes' });
}

export function attributesMayDependOnEachOther(): void {
  const counter = meter.createCounter<{ kind: 'card'; brand: string } | { kind: 'cash' }>('payments');
  counter.add(1, { kind: 'card', brand: 'any' });
  counter.add(1, { kind: 'cash' });
  // @ts-expect-error a card has a brand
  counter.add(1, { kind: 'card' });
  // @ts-expect-error one of the two kinds is needed
  counter.add(1);
}

export function freeFormIsTheDefault(context: api.Context): void {
  const counter = meter.createCounter('c');
  counter.add(1);
  counter.add(1, {});
  counter.add(1, { anything: 1, list: ['a'], flag: true, none: undefined }, context);
  counter.add(1, undefined, context);
  counter.bind({ anything: 1 });
  counter.bind();
  counter.remove({ anything: 1 });
  counter.remove();
  const histogram = meter.createHistogram('h');
  histogram.record(1, { anything: 1 });
  histogram.record(1);
  // @ts-expect-error attribute values are strings, numbers, booleans and lists of them
  counter.add(1, { anything: () => 1 });
}

export function observationsAreChecked(): void {
  const gauge = meter.createObservableGauge<Labels>('g');
  gauge.addCallback((result) => {
    result.observe(1, get);
    // @ts-expect-error the required name is missing
    result.observe(1, {});
    // @ts-expect-error not a value of the union
    result.observe(1, { 'http.method': 'PUT' });
    // @ts-expect-error an unknown name
    result.observe(1, { 'http.method': 'GET', 'http.route': '/' });
  });
  meter.createObservableCounter<Labels>('c').addCallback(async (result) => result.observe(1, get));
  meter.createObservableUpDownCounter<Labels>('u').addCallback((result) => result.observe(1, get));
}

/** The API lets the attributes be left out as a whole, whatever their type; all else it checks as we do. */
export function theApisOwnMeterChecksToo(): void {
  const apiMeter: api.Meter = meter;
  const counter = apiMeter.createCounter<Labels>('c');
  counter.add(1, { 'http.method': 'GET', 'http.status_code': 200 });
  counter.add(1);
  // @ts-expect-error the required name is missing
  counter.add(1, {});
  // @ts-expect-error not a value of the union
  counter.add(1, { 'http.method': 'PUT' });
  // @ts-expect-error an unknown name
  counter.add(1, { 'http.method': 'GET', 'http.route': '/' });
  const histogram = apiMeter.createHistogram<Labels>('h');
  histogram.record(1, get);
  // @ts-expect-error not a value of the union
  histogram.record(1, { 'http.method': 'PUT' });
  // @ts-expect-error the API knows no bind
  counter.bind(get);
}

/** Whatever is written against the API takes ours, typed or not. */
export function oursAreTheApis<T extends api.Attributes>(): void {
  const provider: api.MeterProvider = new MeterProvider();
  const typed: api.Counter<Labels> = meter.createCounter<Labels>('c');
  const free: api.Histogram = meter.createHistogram('h');
  const generic: api.Gauge<T> = meter.createGauge<T>('g');
  const observable: api.ObservableCounter<T> = meter.createObservableCounter<T>('o');
  const instruments: [
    CounterInstrument<Labels>,
    UpDownCounterInstrument<Labels>,
    HistogramInstrument<Labels>,
    GaugeInstrument<Labels>,
  ] = [
    meter.createCounter('c'),
    meter.createUpDownCounter('u'),
    meter.createHistogram('h'),
    meter.createGauge('g'),
  ];
  const named: Meter = meter;
  void [provider, typed, free, generic, observable, instruments, named];
}
