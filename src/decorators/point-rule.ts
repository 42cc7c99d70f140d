// Which points a filter is about.
import type { AttributeValue } from '@opentelemetry/api';
import type { AttributeSet } from '../data/attribute-set.ts';
import type { InstrumentationScope, MetricDescriptor } from '../data/metric-data.ts';
import type { optionChecks } from '../data/option-checks.ts';
import { wildcard } from '../data/wildcard.ts';

/** A point is meant when all that is given here matches. `*` stands for any run of characters, `?` for one. */
export interface PointRule {
  /** The name of the scope (the meter). */
  scope?: string;
  /** The name of the metric. Letter case does not matter, as in instrument names. */
  name?: string;
  /**
   * Attributes that the point must have, with the text of their values: `{ 'http.route': '/health*', code: '404' }`.
   * `'*'` is any value. Of a list, one item must match.
   */
  attributes?: Record<string, string>;
}

export interface PointMatcher {
  /** Whether any point of such a metric can match. */
  metric(scope: InstrumentationScope, descriptor: MetricDescriptor): boolean;
  /** Absent when all points of the metric match. */
  readonly point: ((attributes: AttributeSet) => boolean) | undefined;
}

export function matcherOf({ scope, name, attributes = {} }: PointRule): PointMatcher {
  const matchesScope = scope === undefined ? anything : wildcard(scope);
  const matchesName = name === undefined ? anything : wildcard(name.toLowerCase());
  const values = Object.entries(attributes).map(([key, pattern]) => ({ key, matches: wildcard(pattern) }));
  const hasAll = (set: AttributeSet) =>
    values.every(({ key, matches }) => {
      const at = set.keys.indexOf(key);
      return at >= 0 && textsOf(set.values[at]!).some(matches);
    });
  return {
    metric: (itsScope, descriptor) =>
      matchesScope(itsScope.name) && matchesName(descriptor.name.toLowerCase()),
    point: values.length === 0 ? undefined : remembered(hasAll),
  };
}

const anything = () => true;

function textsOf(value: AttributeValue): string[] {
  return Array.isArray(value) ? value.map(String) : [String(value)];
}

/** Sets live as long as their series, so each is asked about once. */
function remembered(predicate: (set: AttributeSet) => boolean): (set: AttributeSet) => boolean {
  const answers = new WeakMap<AttributeSet, boolean>();
  return (set) => {
    let answer = answers.get(set);
    if (answer === undefined) {
      answer = predicate(set);
      answers.set(set, answer);
    }
    return answer;
  };
}

/** @throws ConfigError for the first setting that cannot work */
export function demandRule(checks: ReturnType<typeof optionChecks>, setting: string, rule: PointRule): void {
  const { demand, demandObject, demandNothing } = checks;
  demandObject(setting, rule);
  const { scope, name, attributes, ...unknown } = rule;
  demandNothing(unknown, `${setting}.`);
  const isPattern = (value: unknown) => typeof value === 'string' && value !== '';
  const remedy = "a text, in which '*' and '?' are wildcards";
  demand(scope === undefined || isPattern(scope), `${setting}.scope`, scope, remedy);
  demand(name === undefined || isPattern(name), `${setting}.name`, name, remedy);
  if (attributes !== undefined) {
    demandObject(`${setting}.attributes`, attributes);
    for (const [key, pattern] of Object.entries(attributes)) {
      demand(typeof pattern === 'string', `${setting}.attributes[${JSON.stringify(key)}]`, pattern, remedy);
    }
  }
  demand(
    [scope, name, ...Object.keys(attributes ?? {})].some((given) => given !== undefined),
    setting,
    rule,
    'a rule with scope, name or attributes',
  );
}
