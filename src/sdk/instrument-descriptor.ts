// What identifies an instrument, made from what its creator passed.
import { type MetricAdvice, type MetricOptions, ValueType } from '@opentelemetry/api';
import { report, textOf } from '../data/diagnostics.ts';
import type { InstrumentType, MetricDescriptor } from '../data/metric-data.ts';
import { shown } from './attribute-value.ts';

export interface InstrumentDescriptor extends MetricDescriptor {
  readonly type: InstrumentType;
  readonly advice: InstrumentAdvice;
}

/** Hints from the code that creates an instrument; Views win over them. */
export interface InstrumentAdvice extends MetricAdvice {
  /**
   * The attributes worth keeping where no View tells. Default: all. In development in the OpenTelemetry specification,
   * and not in its JavaScript API yet.
   */
  attributes?: readonly string[];
}

/** What may be said about a new instrument. */
export interface InstrumentOptions extends MetricOptions {
  advice?: InstrumentAdvice;
}

/** OTel metrics API, "Instrument name syntax". */
const NAME = /^[a-z][a-z0-9_.\-/]{0,254}$/i;

/** Bad names, texts and advice are reported; the instrument works all the same, as in the other SDKs. */
export function describeInstrument(
  type: InstrumentType,
  name: unknown,
  options: InstrumentOptions | undefined,
): InstrumentDescriptor {
  try {
    return described(type, name, options);
  } catch (error) {
    report(
      'error',
      'instrument-options',
      'the options of an instrument could not be read and are left out',
      error,
    );
    return described(type, name, undefined);
  }
}

function described(
  type: InstrumentType,
  name: unknown,
  options: InstrumentOptions | undefined,
): InstrumentDescriptor {
  const text = typeof name === 'string' ? name : textOf(name ?? '');
  if (!NAME.test(text)) {
    report(
      'error',
      `instrument-name:${shown(text)}`,
      `instrument name ${shown(text)} is not valid and some backends will refuse it; ` +
        'start with a letter and use at most 255 letters, digits and "_", ".", "-", "/"',
    );
  }
  const advice = options?.advice;
  return {
    name: text,
    type,
    description: optionalText(text, 'description', options?.description),
    unit: optionalText(text, 'unit', options?.unit),
    valueType: options?.valueType === ValueType.INT ? ValueType.INT : ValueType.DOUBLE,
    advice: {
      explicitBucketBoundaries: checkedBoundaries(text, advice?.explicitBucketBoundaries),
      attributes: checkedAttributes(text, advice?.attributes),
    },
  };
}

function optionalText(name: string, option: string, value: unknown): string {
  if (typeof value === 'string') return value;
  if (value !== undefined && value !== null) {
    report(
      'error',
      `instrument-${option}:${shown(name)}`,
      `instrument ${shown(name)}: the ${option} is not a text and is ignored`,
    );
  }
  return '';
}

function checkedBoundaries(name: string, boundaries: unknown): number[] | undefined {
  if (boundaries === undefined || boundaries === null) return undefined;
  if (Array.isArray(boundaries) && boundaries.every(isIncreasing)) return [...boundaries];
  reportAdvice(name, 'bucket boundaries', 'finite numbers in strictly increasing order');
  return undefined;
}

function isIncreasing(boundary: unknown, i: number, all: unknown[]): boolean {
  return Number.isFinite(boundary) && (i === 0 || (boundary as number) > (all[i - 1] as number));
}

function checkedAttributes(name: string, keys: unknown): string[] | undefined {
  if (keys === undefined || keys === null) return undefined;
  if (Array.isArray(keys) && keys.every((key) => typeof key === 'string')) return [...keys];
  reportAdvice(name, 'attributes', 'a list of attribute names');
  return undefined;
}

function reportAdvice(name: string, what: string, remedy: string): void {
  report(
    'error',
    `advice:${shown(name)}`,
    `instrument ${shown(name)}: the advised ${what} are ignored; they must be ${remedy}`,
  );
}

/** Whether two instruments of one name are the same but for the description, and so share one stream. */
export function isIdentical(a: InstrumentDescriptor, b: InstrumentDescriptor): boolean {
  return a.type === b.type && a.unit === b.unit && a.valueType === b.valueType;
}
