// The types of families that OpenTelemetry has only as gauges. What they were is in the metadata of the metric (OTel "Prometheus
// and OpenMetrics Compatibility", "Gauges").
import type { MetricColumns } from '../data/metric-batch.ts';
import { DataPointType, type MetricDescriptor } from '../data/metric-data.ts';
import type { FamilyType } from './prometheus-families.ts';
import type { LabelNaming } from './prometheus-label-shape.ts';

const GAUGE_TYPES = ['unknown', 'info', 'stateset'] as const;

export type ToldType = FamilyType | (typeof GAUGE_TYPES)[number];

/** What of a family tells its type. */
interface Typed {
  readonly name: string;
  readonly type: FamilyType;
  readonly members: readonly { readonly metric: MetricColumns }[];
}

/** What a family was in Prometheus. Where its metrics do not agree, gauges are gauges. */
export function toldType({ type, members }: Typed): ToldType {
  if (type !== 'gauge') return type;
  const [first, ...others] = new Set(members.map(({ metric }) => gaugeTypeOf(metric)));
  return first !== undefined && others.length === 0 ? first : type;
}

function gaugeTypeOf({ dataPointType, descriptor }: MetricColumns): ToldType | undefined {
  return dataPointType === DataPointType.GAUGE ? gaugeType(descriptor) : undefined;
}

function gaugeType({ metadata }: MetricDescriptor): ToldType | undefined {
  const told = metadata?.['prometheus.type'];
  // As the specification once spelled it.
  if (told === 'unkown') return 'unknown';
  return GAUGE_TYPES.find((type) => type === told);
}

/** Whether the points of a family are what OpenMetrics demands of the info metrics that they are said to be. */
export function isLegalInfo({ name, members }: Typed): boolean {
  return /._info$/.test(name) && members.every(({ metric }) => hasValues(metric, (value) => value === 1));
}

/** The same of a set of states, each of which is a point with a label that has the name of the family. */
export function isLegalStateSet({ name, members }: Typed, { shapeOf }: LabelNaming): boolean {
  return members.every(
    ({ metric }) =>
      hasValues(metric, (value) => value === 0 || value === 1) &&
      metric.attributes.every((set) => {
        const { labels, codes } = shapeOf(set);
        return labels.some((label, i) => label === name && codes[i] !== 'e');
      }),
  );
}

function hasValues(metric: MetricColumns, isLegal: (value: number) => boolean): boolean {
  return metric.dataPointType === DataPointType.GAUGE && metric.values.every(isLegal);
}
