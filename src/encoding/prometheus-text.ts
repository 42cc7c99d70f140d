// The Prometheus text formats 0.0.4 and 1.0.0. They differ in that 1.0.0 may have names with any character, in quotes;
// which of the two it is follows from the escaping.
import type { MetricBatch } from '../data/metric-batch.ts';
import { duplicateChecks } from './prometheus-duplicates.ts';
import { byteString, escapedName, isClassicName, quotable } from './prometheus-escaping.ts';
import { type ExposableMetric, type Family, textFamilies } from './prometheus-families.ts';
import { textLabels } from './prometheus-labels.ts';
import { membersOf } from './prometheus-members.ts';
import {
  duplicateIn,
  type Plan,
  type PrometheusEncodingOptions,
  planOf,
  TARGET_INFO,
} from './prometheus-options.ts';
import { type SampleWriter, sampleWriter } from './prometheus-samples.ts';
import { type ToldType, toldType } from './prometheus-types.ts';
import { TextChunk } from './text-chunk.ts';

export type { PrometheusEncodingOptions as PrometheusTextOptions } from './prometheus-options.ts';

export const PROMETHEUS_TEXT_CONTENT_TYPE = 'text/plain; version=0.0.4; charset=utf-8';

/**
 * Encodes a batch in chunks of about 64 KiB. What Prometheus cannot have is left out and told to `onProblem`;
 * nothing throws.
 */
export function* encodePrometheusText(
  batch: MetricBatch,
  options: PrometheusEncodingOptions = {},
): Generator<Uint8Array> {
  const chunk = new TextChunk(options.reuseBuffers);
  const plan = planOf(batch, options);
  const target = targetSample(plan);
  if (target !== undefined) {
    const name = escapedName(TARGET_INFO, plan.escaping);
    appendNow(chunk, `${header(name, 'gauge', 'Attributes of the resource.')}${name}{${target}} 1\n`);
  }
  for (const family of yield* textFamilies(batch, plan)) {
    const type = CLASSIC_TYPES[toldType(family)];
    yield* append(chunk, header(family.name, type, family.help));
    yield* familySamples(chunk, family, plan, (metric, shared) => sampleWriter(family.name, metric, shared));
  }
  if (chunk.end > 0) yield chunk.take();
}

/** What the classic format calls each type, where it has it. */
const CLASSIC_TYPES: Record<ToldType, string> = {
  counter: 'counter',
  gauge: 'gauge',
  histogram: 'histogram',
  summary: 'summary',
  unknown: 'untyped',
  info: 'gauge',
  stateset: 'gauge',
};

/** The labels of `target_info`; undefined when there is nothing to tell. */
export function targetSample({ target, naming }: Plan): string | undefined {
  const block = target === undefined ? '' : textLabels(naming).blockOf(target);
  return block === '' ? undefined : block;
}

/** For the beginning of a text, when the chunk is empty and so has room for anything. */
export function appendNow(chunk: TextChunk, text: string): void {
  if (chunk.hasRoom(text.length)) chunk.append(text);
}

export function* append(chunk: TextChunk, text: string): Generator<Uint8Array> {
  while (!chunk.hasRoom(text.length)) yield chunk.take();
  chunk.append(text);
}

/**
 * The lines of all series of a family, each of them once.
 *
 * @param writerOf given the labels that all points of the metric share
 */
export function* familySamples(
  chunk: TextChunk,
  family: Family,
  plan: Plan,
  writerOf: (metric: ExposableMetric, shared: string) => SampleWriter,
): Generator<Uint8Array> {
  const members = yield* membersOf(family, plan, textLabels(plan.naming));
  const checks = duplicateChecks(members);
  for (const [m, { metric, labels }] of members.entries()) {
    const isFirst = checks[m]!;
    const write = writerOf(metric, labels.shared);
    let writeWhole: SampleWriter | undefined;
    for (let i = 0; i < metric.length; i++) {
      const set = metric.attributes[i]!;
      let first = isFirst(i);
      for (; first === undefined; first = isFirst(i)) yield chunk.take();
      if (!first) {
        plan.onProblem(duplicateIn(family.name));
        continue;
      }
      const own = labels.ownBlock(set);
      if (own === undefined) {
        writeWhole ??= writerOf(metric, '');
        while (!writeWhole(chunk, labels.blockOf(set), i)) yield chunk.take();
      } else {
        while (!write(chunk, own, i)) yield chunk.take();
      }
    }
  }
}

function header(name: string, type: string, help: string): string {
  const shown = nameInText(name);
  const lines = `# TYPE ${shown} ${type}\n`;
  if (help === '') return lines;
  const text = help.replace(/[\\\n]/g, (character) => (character === '\n' ? '\\n' : '\\\\'));
  return `# HELP ${shown} ${byteString(text)}\n${lines}`;
}

/** The name of a family in a comment. */
export function nameInText(name: string): string {
  return isClassicName(name) ? name : `"${byteString(quotable(name))}"`;
}
