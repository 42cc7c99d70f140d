// The labels of series as remote write wants them: complete, and sorted by name. All texts are byte strings: a character per
// byte of the UTF-8.
import { type AttributeSet, encodedForm } from '../data/attribute-set.ts';
import { attributeLabels } from './prometheus-labels.ts';
import { ProtobufWriter } from './protobuf-writer.ts';

export interface Label {
  readonly name: string;
  readonly value: string;
}

/** The names of a set's labels in order; one object for all sets that have them. */
export type LabelNames = readonly string[];

/** What one attribute set has, kept with it. */
export interface OwnLabels {
  readonly names: LabelNames;
  readonly values: readonly string[];
  /** Each as `Label` of version 1.0, one after the other, and where each ends. Made for that version alone. */
  encoded?: { readonly bytes: Uint8Array; readonly ends: readonly number[] };
}

/** A piece of a series' labels: some that all series of the metric have, some of the set's, or the bound of a bucket. */
export type PlanPart =
  | { readonly fixed: readonly Label[]; readonly bytes: Uint8Array }
  | { readonly fixed?: undefined; readonly from: number; readonly to: number };

/** In which order the labels of a series come; the same for all sets with the same names. */
export interface LabelPlan {
  readonly parts: readonly PlanPart[];
  /** Before which part the bound of a bucket goes; -1 for none. */
  readonly boundAt: number;
}

export const ownLabels = encodedForm((set: AttributeSet) => labelsIn(attributeLabels(set)));

/** Reads what {@link attributeLabels} and its like write. */
export function labelsIn(block: string): OwnLabels {
  const labels = parsed(block).sort(byName);
  return { names: interned(labels.map(({ name }) => name)), values: labels.map(({ value }) => value) };
}

export function parsed(block: string): Label[] {
  const labels: Label[] = [];
  for (let at = 0; at < block.length; ) {
    const equals = block.indexOf('="', at);
    const start = equals + 2;
    let end = start;
    let isEscaped = false;
    for (; block.charCodeAt(end) !== 0x22; end++) {
      if (block.charCodeAt(end) !== 0x5c) continue;
      isEscaped = true;
      end++;
    }
    const text = block.slice(start, end);
    const value = isEscaped ? text.replace(/\\(.)/g, (_, it) => (it === 'n' ? '\n' : it)) : text;
    labels.push({ name: block.slice(at, equals), value });
    // The quote and the comma.
    at = end + 2;
  }
  return labels;
}

/** Names are ASCII, so this is the order of their bytes. */
export function byName(a: { name: string }, b: { name: string }): number {
  return a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
}

const MAX_INTERNED = 10_000;
const known = new Map<string, LabelNames>();

function interned(names: string[]): LabelNames {
  const key = names.join();
  let same = known.get(key);
  if (same === undefined) {
    if (known.size >= MAX_INTERNED) known.clear();
    same = names;
    known.set(key, same);
  }
  return same;
}

const BOUND = { name: 'le', isBound: true };

/** @param fixed labels of all series; those that the set has too are left to it */
export function labelPlan(names: LabelNames, fixed: readonly Label[], hasBound: boolean): LabelPlan {
  const all = [
    ...names.map((name, own) => ({ name, own })),
    ...fixed.filter(({ name }) => !names.includes(name)),
    ...(hasBound ? [BOUND] : []),
  ].sort(byName);
  const parts: PlanPart[] = [];
  let boundAt = -1;
  let run: Label[] = [];
  const endRun = () => {
    if (run.length > 0) parts.push({ fixed: run, bytes: encodedLabels(run).bytes });
    run = [];
  };
  for (const item of all) {
    if ('value' in item) run.push(item);
    else if ('own' in item) {
      endRun();
      const last = parts.at(-1);
      const continues = last !== undefined && last.fixed === undefined && last.to === item.own;
      if (continues && boundAt !== parts.length)
        parts[parts.length - 1] = { from: last.from, to: item.own + 1 };
      else parts.push({ from: item.own, to: item.own + 1 });
    } else {
      endRun();
      boundAt = parts.length;
    }
  }
  endRun();
  return { parts, boundAt };
}

/** `Label { name = 1; value = 2 }` as field 1 of a `TimeSeries` or an `Exemplar`. */
export function encodedLabels(labels: readonly Label[]): { bytes: Uint8Array; ends: number[] } {
  const size = labels.reduce((sum, { name, value }) => sum + name.length + value.length + 18, 0);
  const out = new ProtobufWriter(size);
  const ends = labels.map(({ name, value }) => {
    const start = out.open(0x0a);
    out.header(0x0a, name.length);
    out.byteText(name);
    out.header(0x12, value.length);
    out.byteText(value);
    out.close(start);
    return out.at;
  });
  return { bytes: out.bytes.subarray(0, out.at), ends };
}
