// What every format of Prometheus can be told.
import { AttributeSet } from '../data/attribute-set.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import type { InstrumentationScope } from '../data/metric-data.ts';
import { wildcard } from '../data/wildcard.ts';
import { type EscapingScheme, escapedName } from './prometheus-escaping.ts';
import type { FamilyOptions, PrometheusProblem } from './prometheus-families.ts';
import { type LabelNaming, labelNaming } from './prometheus-label-shape.ts';
import { type Label, scopeLabels } from './prometheus-labels.ts';
import type { TranslationStrategy } from './prometheus-names.ts';

/** Which attributes of the resource all series get, by their keys; `*` and `?` are patterns. */
export interface ResourceLabels {
  /** Default: all. */
  included?: readonly string[];
  /** Of those included. Default: none. */
  excluded?: readonly string[];
}

export interface PrometheusOptions {
  /**
   * Whether OpenMetrics text has a series `<name>_created` for each counter, histogram and summary, with the second in
   * which it began. The protobuf format always tells it, at no cost.
   * @default false: Prometheus stores them as series of their own unless its feature `created-timestamp-zero-ingestion` is on
   */
  createdSeries?: boolean;
  /**
   * Whether each sample tells its meter: `otel_scope_name`, `otel_scope_version`, `otel_scope_schema_url` and
   * `otel_scope_<attribute>`. Without them, of two meters' series with the same name and labels the first is shown.
   * @default true, as OpenTelemetry specifies
   */
  scopeLabels?: boolean;
  /**
   * Whether the resource is shown, as the labels of one metric `target_info`; see [the resource](#the-resource).
   * @default true, as OpenTelemetry specifies
   */
  targetInfo?: boolean;
  /**
   * Attributes of the resource that every series has as labels too: `{ included, excluded }`, lists of keys, or of
   * patterns with `*` and `?`.
   * @default none: each adds to every line, and changes every series when its value changes
   */
  resourceLabels?: ResourceLabels;
  /**
   * How names of instruments and attributes become Prometheus's; see [names](#names).
   * @default 'UnderscoreEscapingWithSuffixes', which every version of Prometheus reads
   */
  translationStrategy?: TranslationStrategy;
}

/** And what one answer to a scraper is told. */
export interface PrometheusEncodingOptions extends PrometheusOptions {
  /** What becomes of names that not every version of Prometheus takes. Default `underscores`. */
  escaping?: EscapingScheme;
  /** The families to show, each by its name or that of one of its samples. Default: all. */
  names?: ReadonlySet<string>;
  /** Told of everything that is left out or changed. Each scrape tells all of it again. */
  onProblem?: (problem: PrometheusProblem) => void;
  /**
   * Whether text encoders write into two buffers in turn, so that a chunk holds until the next but one is asked for.
   * Default false. New memory for each chunk takes longer than to fill it.
   */
  reuseBuffers?: boolean;
}

export const TARGET_INFO = 'target_info';

/** One answer: its names, and which labels are added. */
export interface Plan extends FamilyOptions {
  readonly naming: LabelNaming;
  readonly createdSeries: boolean;
  /** The attributes for `target_info`; undefined where it is not shown. */
  readonly target: AttributeSet | undefined;
  addedLabels(scope: InstrumentationScope): Label[];
}

export function planOf(
  batch: MetricBatch,
  {
    scopeLabels: withScope = true,
    targetInfo = true,
    createdSeries = false,
    resourceLabels,
    translationStrategy: strategy = 'UnderscoreEscapingWithSuffixes',
    escaping = 'underscores',
    names,
    onProblem = () => {},
  }: PrometheusEncodingOptions,
): Plan {
  const naming = labelNaming(strategy, escaping);
  const resource = AttributeSet.from(batch.resource.attributes);
  const constant = resourceLabels === undefined ? [] : chosen(resource, resourceLabels);
  const targetInfoName = escapedName(TARGET_INFO, escaping);
  const isTargetWanted =
    names === undefined || [TARGET_INFO, targetInfoName, 'target'].some((name) => names.has(name));
  return {
    strategy,
    escaping,
    names,
    onProblem,
    naming,
    createdSeries,
    reserved: targetInfo ? [targetInfoName] : [],
    target: targetInfo && isTargetWanted ? resource : undefined,
    addedLabels: (scope) => (withScope ? [...scopeLabels(scope, naming), ...constant] : constant),
  };
}

function chosen(
  { keys, values }: AttributeSet,
  { included = ['*'], excluded = [] }: ResourceLabels,
): Label[] {
  const isIncluded = included.map(wildcard);
  const isExcluded = excluded.map(wildcard);
  return keys
    .map((key, i): Label => [key, values[i]!])
    .filter(([key]) => isIncluded.some((test) => test(key)) && !isExcluded.some((test) => test(key)));
}

/** A series that is left out because of another. */
export function duplicateIn(family: string): PrometheusProblem {
  return {
    cause: `duplicate:${family}`,
    message:
      `series of ${family} are left out, because their labels in Prometheus are those of another series: ` +
      'labels do not tell 1 from "1", nor an empty value from none, nor scopes when scope labels are off or attributes named like them',
  };
}
