// The Prometheus text format 0.0.4.
import { AttributeSet } from '../data/attribute-set.ts';
import type { MetricBatch } from '../data/metric-batch.ts';
import { duplicateChecks } from './prometheus-duplicates.ts';
import { metricFamilies, type PrometheusProblem } from './prometheus-families.ts';
import { attributeLabels, byteString, seriesLabels } from './prometheus-labels.ts';
import { sampleWriter } from './prometheus-samples.ts';
import { TextChunk } from './text-chunk.ts';

export interface PrometheusTextOptions {
  /**
   * Whether each sample tells its scope: `otel_scope_name`, `otel_scope_version`, `otel_scope_schema_url` and
   * `otel_scope_<attribute>`. Default true, as OpenTelemetry specifies; without them, series of two scopes
   * that have the same name and attributes are one series, of which the first is kept.
   */
  scopeLabels?: boolean;
  /** Whether the attributes of the resource are told, as the labels of one metric `target_info`. Default true. */
  targetInfo?: boolean;
  /** Told of everything that is left out or changed. Each scrape tells all of it again. */
  onProblem?: (problem: PrometheusProblem) => void;
}

export const PROMETHEUS_TEXT_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

const TARGET_INFO = 'target_info';

/**
 * Encodes a batch in chunks of about 64 KiB. What Prometheus cannot have is left out and told to `onProblem`;
 * nothing throws.
 */
export function* encodePrometheusText(
  batch: MetricBatch,
  { scopeLabels = true, targetInfo = true, onProblem = () => {} }: PrometheusTextOptions = {},
): Generator<Uint8Array> {
  const chunk = new TextChunk();
  const resource = targetInfo ? attributeLabels(AttributeSet.from(batch.resource.attributes)) : '';
  if (resource !== '') {
    const text = `${header(TARGET_INFO, 'gauge', 'Attributes of the resource.')}${TARGET_INFO}{${resource}} 1\n`;
    if (chunk.hasRoom(text.length)) chunk.append(text);
  }

  for (const family of metricFamilies(batch, targetInfo ? [TARGET_INFO] : [], onProblem)) {
    const text = header(family.name, family.type, family.help);
    while (!chunk.hasRoom(text.length)) yield chunk.take();
    chunk.append(text);

    const members = family.members.map(({ metric, scope }) => ({
      metric,
      labels: seriesLabels(scopeLabels ? scope : undefined, family.type === 'histogram'),
    }));
    const checks = duplicateChecks(members);
    for (const [m, { metric, labels }] of members.entries()) {
      const isFirst = checks[m]!;
      const write = sampleWriter(family.name, metric);
      for (let i = 0; i < metric.length; i++) {
        const block = labels.blockOf(metric.attributes[i]!);
        if (isFirst(i, block)) {
          while (!write(chunk, block, i)) yield chunk.take();
        } else onProblem(duplicateIn(family.name));
      }
    }
  }
  if (chunk.end > 0) yield chunk.take();
}

function header(name: string, type: string, help: string): string {
  const lines = `# TYPE ${name} ${type}\n`;
  if (help === '') return lines;
  const text = help.replace(/[\\\n]/g, (character) => (character === '\n' ? '\\n' : '\\\\'));
  return `# HELP ${name} ${byteString(text)}\n${lines}`;
}

function duplicateIn(family: string): PrometheusProblem {
  return {
    cause: `duplicate:${family}`,
    message:
      `series of ${family} are left out, because their labels in Prometheus are those of another series: ` +
      'labels do not tell 1 from "1", nor an empty value from none, nor scopes when scope labels are off',
  };
}
