// Assertions whose failures tell what was recorded instead.
import { AssertionError } from 'node:assert';
import { inspect, isDeepStrictEqual } from 'node:util';
import type { Attributes } from '@opentelemetry/api';
import type { ResourceMetrics } from '../data/metric-data.ts';
import {
  type ReadableDistribution,
  type ReadableMetric,
  type ReadablePoint,
  readableMetrics,
} from './readable-metrics.ts';

export interface ExpectedMetric
  extends Partial<Pick<ReadableMetric, 'kind' | 'unit' | 'description' | 'scope' | 'temporality'>> {
  name: string;
  /** All attributes of one series, in any order. Without them, and with a `value`, the metric must have one series only. */
  attributes?: Attributes;
  /** Of a histogram, the parts that matter. Numbers are equal within a billionth, because sums of fractions are not exact. */
  value?: number | Partial<ReadableDistribution>;
}

/** As many series or metrics as a message lists. */
const SHOWN = 20;

/**
 * Passes when there is such a metric and, if `attributes` or `value` are given, such a series of it.
 *
 * @throws AssertionError with `actual` and `expected`, of which test runners show the difference
 */
export function assertMetric(
  collected: readonly ReadableMetric[] | ResourceMetrics,
  expected: ExpectedMetric,
): void {
  const metric = findMetric(read(collected), expected);
  const { attributes, value } = expected;
  if (attributes === undefined && value === undefined) return;
  const point = findPoint(metric, attributes);
  if (value === undefined || isEqual(point.value, value)) return;
  fail(
    `${expected.name} ${text(point.attributes)} has another value`,
    typeof value === 'number' ? point.value : partsLike(point.value, value),
    value,
  );
}

/**
 * Passes when there is no such metric or, if `attributes` are given, no such series of it.
 *
 * @throws AssertionError
 */
export function assertNoMetric(
  collected: readonly ReadableMetric[] | ResourceMetrics,
  unwanted: Pick<ExpectedMetric, 'name' | 'attributes' | 'scope'>,
): void {
  const { name, attributes, scope } = unwanted;
  const found = read(collected)
    .filter((metric) => metric.name === name && (scope === undefined || metric.scope === scope))
    .flatMap(({ points }) => points)
    .filter((point) => attributes === undefined || hasAttributes(point, attributes));
  if (found.length > 0)
    fail(`${name} should not be there, but has${series(found)}`, found.map(shown), [], assertNoMetric);
}

function read(collected: readonly ReadableMetric[] | ResourceMetrics): readonly ReadableMetric[] {
  return 'scopeMetrics' in collected ? readableMetrics(collected) : collected;
}

function findMetric(metrics: readonly ReadableMetric[], expected: ExpectedMetric): ReadableMetric {
  const { name, attributes: _attributes, value: _value, ...wanted } = expected;
  const named = metrics.filter((metric) => metric.name === name);
  if (named.length === 0) {
    fail(
      `there is no metric ${text(name)}; ${
        metrics.length === 0
          ? 'nothing was recorded'
          : `there are:${list(metrics.map((metric) => `${metric.name} (${metric.kind}, ${metric.points.length} series)`))}`
      }`,
      metrics.map((metric) => metric.name),
      [name],
    );
  }
  const partsOf = (metric: ReadableMetric) =>
    Object.fromEntries(Object.keys(wanted).map((key) => [key, metric[key as keyof typeof wanted]]));
  const matching = named.filter((metric) => isDeepStrictEqual(partsOf(metric), wanted));
  if (matching.length === 1) return matching[0]!;
  if (matching.length > 1) {
    const scopes = matching.map(({ scope, kind }) => `${text(scope)} (${kind})`);
    fail(
      `there are ${matching.length} metrics ${text(name)}; say the scope or the kind:${list(scopes)}`,
      scopes,
      ['one of them'],
    );
  }
  fail(`${name} is another metric than expected`, partsOf(named[0]!), wanted);
}

function findPoint({ name, points }: ReadableMetric, attributes: Attributes | undefined): ReadablePoint {
  if (attributes === undefined) {
    if (points.length === 1) return points[0]!;
    fail(
      `${name} has ${points.length} series; say which by attributes:${series(points)}`,
      points.map(shown),
      ['one series'],
    );
  }
  const point = points.find((candidate) => hasAttributes(candidate, attributes));
  if (point) return point;
  fail(
    `${name} has no series ${text(attributes)}, but${series(points)}`,
    mostAlike(points, attributes)?.attributes,
    attributes,
  );
}

/** The series whose difference from what was expected says most. */
function mostAlike(points: readonly ReadablePoint[], attributes: Attributes): ReadablePoint | undefined {
  const likeness = (point: ReadablePoint) => {
    const keys = Object.keys(attributes);
    const equal = keys.filter((key) => isDeepStrictEqual(point.attributes[key], attributes[key])).length;
    return 2 * equal - Object.keys(point.attributes).length;
  };
  return points.toSorted((a, b) => likeness(b) - likeness(a))[0];
}

function hasAttributes(point: ReadablePoint, attributes: Attributes): boolean {
  // Absent and undefined are the same to an instrument.
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined);
  return isDeepStrictEqual({ ...point.attributes }, Object.fromEntries(given));
}

function isEqual(actual: unknown, expected: unknown): boolean {
  if (typeof actual === 'number' && typeof expected === 'number') {
    // The absolute part is for sums that come back to zero.
    const tolerance = Math.max(1e-12, 1e-9 * Math.min(Math.abs(actual), Math.abs(expected)));
    return Object.is(actual, expected) || Math.abs(actual - expected) <= tolerance;
  }
  if (!isObject(actual) || !isObject(expected)) return isDeepStrictEqual(actual, expected);
  return Object.keys(expected).every((key) =>
    key.toLowerCase().endsWith('buckets')
      ? isDeepStrictEqual(actual[key], expected[key])
      : isEqual(actual[key], expected[key]),
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

/** What was asked for, so that a diff shows nothing else. */
function partsLike(actual: number | ReadableDistribution, expected: object): unknown {
  if (!isObject(actual)) return actual;
  return Object.fromEntries(Object.keys(expected).map((key) => [key, actual[key]]));
}

const shown = ({ attributes, value }: ReadablePoint) => ({ attributes, value });

function series(points: readonly ReadablePoint[]): string {
  return list(points.map(({ attributes, value }) => `${text(attributes)} = ${text(value)}`));
}

function list(items: readonly string[]): string {
  const rest = items.length - SHOWN;
  const lines = [...items.slice(0, SHOWN), ...(rest > 0 ? [`… and ${rest} more`] : [])];
  return lines.map((line) => `\n  ${line}`).join('');
}

function text(value: unknown): string {
  return inspect(value, { depth: 4, breakLength: Number.POSITIVE_INFINITY, compact: true, sorted: true });
}

/** @param caller what the user called, where the stack of the error is to begin */
function fail(
  message: string,
  actual: unknown,
  expected: unknown,
  caller: typeof assertMetric | typeof assertNoMetric = assertMetric,
): never {
  throw new AssertionError({ message, actual, expected, operator: caller.name, stackStartFn: caller });
}
