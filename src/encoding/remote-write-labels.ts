// The labels of series as remote write wants them: complete, and sorted by name. All texts are byte strings: a character per
// byte of the UTF-8.
import { type AttributeSet, encodedForm } from '../data/attribute-set.ts';
import { attributeLabels } from './prometheus-labels.ts';

export interface Label {
  readonly name: string;
  readonly value: string;
}

/** The names of a set's labels in order; one object for all sets that have them. */
export type LabelNames = readonly string[];

/** What one attribute set has, kept with it. */
export interface OwnLabels {
  readonly names: LabelNames;
}

/** For version 1.0: each as `Label`, one after the other, as a byte string. */
export interface EncodedLabels extends OwnLabels {
  readonly bytes: string;
}

/** For version 2.0, which numbers texts. */
export interface LabelValues extends OwnLabels {
  readonly values: readonly string[];
}

/** A piece of a series' labels: some that all series of the metric have, or some of the set's. */
export type PlanPart =
  | { readonly fixed: readonly Label[]; readonly bytes: string }
  | { readonly fixed?: undefined; readonly from: number; readonly to: number };

/** In which order the labels of a series come; the same for all sets with the same names. */
export interface LabelPlan {
  readonly parts: readonly PlanPart[];
  /** Before which part the bound of a bucket, or the quantile, goes; -1 for none. */
  readonly boundAt: number;
}

export const encodedOwnLabels = encodedForm((set: AttributeSet) => encodedIn(attributeLabels(set)));
export const ownLabelValues = encodedForm((set: AttributeSet) => valuesIn(attributeLabels(set)));

/** Reads what {@link attributeLabels} and its like write. */
export function encodedIn(block: string): EncodedLabels {
  const labels = parsed(block).sort(byName);
  return { names: namesOf(labels), bytes: encodedLabels(labels) };
}

/** The same. */
export function valuesIn(block: string): LabelValues {
  const labels = parsed(block).sort(byName);
  const isShort = block.length <= MAX_KNOWN_BLOCK;
  return { names: namesOf(labels), values: labels.map(({ value }) => (isShort ? knownText(value) : value)) };
}

export function parsed(block: string): Label[] {
  return blockLabels(block).map((label) => {
    const equals = label.indexOf('="');
    const text = label.slice(equals + 2, -1);
    const value = text.includes('\\') ? text.replace(/\\(.)/g, (_, it) => (it === 'n' ? '\n' : it)) : text;
    return { name: label.slice(0, equals), value };
  });
}

/** Each label as it stands in the block. */
export function blockLabels(block: string): string[] {
  const labels: string[] = [];
  for (let at = 0; at < block.length; ) {
    let end = block.indexOf('="', at) + 2;
    for (; block.charCodeAt(end) !== 0x22; end++) if (block.charCodeAt(end) === 0x5c) end++;
    labels.push(block.slice(at, end + 1));
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
/** What is cut out of a text keeps all of it in memory, also when the series is over. */
const MAX_KNOWN_BLOCK = 1024;
const knownNames = new Map<string, LabelNames>();
const knownTexts = new Map<string, string>();

function namesOf(labels: readonly Label[]): LabelNames {
  const key = labels.map(({ name }) => name).join();
  return interned(knownNames, key, () => labels.map(({ name }) => knownText(Buffer.from(name).toString())));
}

/** Texts are numbered in each request, and those that are one object are found in a fraction of the time. */
function knownText(text: string): string {
  return interned(knownTexts, text, () => text);
}

function interned<T>(known: Map<string, T>, key: string, make: () => T): T {
  let same = known.get(key);
  if (same === undefined) {
    if (known.size >= MAX_INTERNED) known.clear();
    same = make();
    known.set(key, same);
  }
  return same;
}

/**
 * @param fixed labels of all series; those that the set has too are left to it
 * @param bound the name of the label that tells the buckets, or the quantiles, of a set apart
 */
export function labelPlan(names: LabelNames, fixed: readonly Label[], bound?: string): LabelPlan {
  const all = [
    ...names.map((name, own) => ({ name, own })),
    ...fixed.filter(({ name }) => !names.includes(name)),
    ...(bound === undefined ? [] : [{ name: bound, isBound: true }]),
  ].sort(byName);
  const parts: PlanPart[] = [];
  let boundAt = -1;
  let run: Label[] = [];
  const endRun = () => {
    if (run.length > 0) parts.push({ fixed: run, bytes: encodedLabels(run) });
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

/** `Label { name = 1; value = 2 }` as field 1 of a `TimeSeries` or an `Exemplar`, as a byte string. */
export function encodedLabels(labels: readonly Label[]): string {
  return labels
    .map(({ name, value }) => {
      const fields = `\x0a${lengthOf(name)}${name}\x12${lengthOf(value)}${value}`;
      return `\x0a${lengthOf(fields)}${fields}`;
    })
    .join('');
}

/** The length of a byte string as a varint. */
function lengthOf({ length }: string): string {
  let text = '';
  for (; length >= 0x80; length >>>= 7) text += String.fromCharCode((length & 0x7f) | 0x80);
  return text + String.fromCharCode(length);
}
