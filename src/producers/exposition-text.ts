// The text of registries for clusters and worker threads back to metrics: it is all that they give.
import type { RawMetric, RawSample } from './prom-client-registry.ts';

/** Each metric once; its samples are parsed as they are asked for. */
export function* parsedMetrics(text: string): Generator<RawMetric> {
  let metric: { name: string; help: string; type: string } | undefined;
  let from = 0;
  const help = new Map<string, string>();
  for (let at = 0; at < text.length; ) {
    const end = lineEnd(text, at);
    const comment = text[at] === '#' ? /^# (HELP|TYPE) (\S+) ?(.*)$/s.exec(text.slice(at, end)) : null;
    if (comment !== null) {
      const [, kind, name, rest] = comment as unknown as [string, string, string, string];
      if (kind === 'HELP') help.set(name, unescaped(rest));
      if (metric !== undefined && metric.name !== name) {
        yield { ...metric, values: samples(text, from, at) };
        metric = undefined;
      }
      if (kind === 'TYPE') {
        metric = { name, help: help.get(name) ?? '', type: rest };
        from = end + 1;
      }
    }
    at = end + 1;
  }
  if (metric !== undefined) yield { ...metric, values: samples(text, from, text.length) };
}

function lineEnd(text: string, from: number): number {
  const end = text.indexOf('\n', from);
  return end < 0 ? text.length : end;
}

function samples(text: string, from: number, to: number): Iterable<RawSample> {
  return {
    *[Symbol.iterator]() {
      for (let at = from; at < to; ) {
        const end = lineEnd(text, at);
        if (end > at && text[at] !== '#') yield sample(text.slice(at, end));
        at = end + 1;
      }
    },
  };
}

const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="([^"\\]*(?:\\.[^"\\]*)*)",?/y;

function sample(line: string): RawSample {
  const nameEnd = line.search(/[{ ]/);
  const metricName = line.slice(0, nameEnd);
  const labels: Record<string, string> = {};
  let at = nameEnd;
  if (line[at] === '{') {
    at++;
    for (;;) {
      LABEL.lastIndex = at;
      const label = LABEL.exec(line);
      if (label === null) break;
      Object.defineProperty(labels, label[1]!, { value: unescaped(label[2]!), enumerable: true });
      at = LABEL.lastIndex;
    }
    at++;
  }
  return { metricName, labels, value: number(line.slice(at + 1).split(' ', 1)[0]!) };
}

/** The clients write `Nan`. */
function number(text: string): number {
  if (text === '+Inf') return Number.POSITIVE_INFINITY;
  if (text === '-Inf') return Number.NEGATIVE_INFINITY;
  return Number(text);
}

function unescaped(text: string): string {
  return text.includes('\\')
    ? text.replace(/\\(.)/g, (_, character) => (character === 'n' ? '\n' : character))
    : text;
}
