// Only some of the points.
import type { PushMetricExporter } from '../data/exporter.ts';
import { MetricBatch, type MetricColumns, type ScopeColumns } from '../data/metric-batch.ts';
import type { InstrumentationScope } from '../data/metric-data.ts';
import { optionChecks } from '../data/option-checks.ts';
import { selectPoints } from '../data/select-points.ts';
import { decorate, wrapped } from './decorate.ts';
import { demandRule, matcherOf, type PointMatcher, type PointRule } from './point-rule.ts';

export type { PointRule } from './point-rule.ts';

export interface FilterOptions {
  /** Points to export: those that match at least one of these rules. Default: all. */
  include?: PointRule | readonly PointRule[];
  /** Points not to export, also when they are included: those that match at least one of these rules. Default: none. */
  exclude?: PointRule | readonly PointRule[];
}

/**
 * Exports only the points that the rules leave. Metrics and scopes without points are left out, and a batch of which
 * nothing is left counts as delivered without `exporter` being asked.
 *
 * It removes whole points. To remove attributes, or to save the cost of recording as well, use a View.
 *
 * @throws ConfigError when `exporter` is no exporter or a rule cannot work
 */
export function filter(exporter: PushMetricExporter, options: FilterOptions): PushMetricExporter {
  const inner = wrapped('filter', exporter);
  const { include, exclude } = validOptions(options);
  /** The same batch again is the same batch again for what is inside, which may have it in part. */
  const kept = new WeakMap<MetricBatch, MetricBatch>();

  function keptOf(scope: InstrumentationScope, metric: MetricColumns): MetricColumns | undefined {
    const excluding = exclude.filter((rule) => rule.metric(scope, metric.descriptor));
    const including = include?.filter((rule) => rule.metric(scope, metric.descriptor));
    if (including?.length === 0 || excluding.some(({ point }) => point === undefined)) return undefined;
    const isIncluded = including && anyOf(including);
    const isExcluded = excluding.length > 0 ? anyOf(excluding) : undefined;
    if (isIncluded === undefined && isExcluded === undefined) return metric;
    const rows = new Uint32Array(metric.length);
    let count = 0;
    for (let row = 0; row < metric.length; row++) {
      const set = metric.attributes[row]!;
      if ((isIncluded === undefined || isIncluded(set)) && !isExcluded?.(set)) rows[count++] = row;
    }
    return count === 0 ? undefined : selectPoints(metric, rows.subarray(0, count));
  }

  function filtered(batch: MetricBatch): MetricBatch {
    let isWhole = true;
    const scopes: ScopeColumns[] = [];
    for (const { scope, metrics } of batch.scopeMetrics) {
      const own: MetricColumns[] = [];
      for (const metric of metrics) {
        const left = keptOf(scope, metric);
        if (left !== undefined) own.push(left);
        isWhole &&= left === metric;
      }
      if (own.length > 0) scopes.push({ scope, metrics: own });
    }
    return isWhole ? batch : new MetricBatch(batch.resource, scopes);
  }

  return decorate('filter', exporter, inner, async (batch, signal) => {
    const left = kept.get(batch) ?? filtered(batch);
    kept.set(batch, left);
    // An empty batch of the caller's is passed on: it asks for what is owed from before.
    return left.pointCount > 0 || batch.pointCount === 0 ? inner.export(left, signal) : undefined;
  });
}

/** Undefined when one of the rules is for all points. */
function anyOf(rules: readonly PointMatcher[]) {
  const points = rules.map(({ point }) => point);
  if (points.includes(undefined)) return undefined;
  const matchers = points.filter((point) => point !== undefined);
  return (set: Parameters<(typeof matchers)[number]>[0]) => matchers.some((matches) => matches(set));
}

function validOptions(options: FilterOptions): {
  include: PointMatcher[] | undefined;
  exclude: PointMatcher[];
} {
  const checks = optionChecks('filter');
  checks.demandObject('options', options);
  const { include, exclude, ...unknown } = options;
  checks.demandNothing(unknown);
  checks.demand(
    include !== undefined || exclude !== undefined,
    'options',
    options,
    'given include, exclude or both',
  );
  const matchers = (setting: string, rules: PointRule | readonly PointRule[]) => {
    checks.demand(!Array.isArray(rules) || rules.length > 0, setting, rules, 'at least one rule');
    return (Array.isArray(rules) ? (rules as readonly PointRule[]) : [rules as PointRule]).map((rule, i) => {
      demandRule(checks, Array.isArray(rules) ? `${setting}[${i}]` : setting, rule);
      return matcherOf(rule);
    });
  };
  return {
    include: include && matchers('include', include),
    exclude: exclude === undefined ? [] : matchers('exclude', exclude),
  };
}
