// Tells when two streams of a scope have one name but are not one metric (OTel metrics SDK, "Duplicate instrument
// registration"). Both are exported, as specified; backends cannot tell them apart.
import { ValueType } from '@opentelemetry/api';
import { report } from '../data/diagnostics.ts';
import type { MetricDescriptor } from '../data/metric-data.ts';
import type { InstrumentDescriptor } from './instrument-descriptor.ts';
import type { Scope } from './pipeline.ts';

interface Named {
  readonly stream: MetricDescriptor;
  readonly instrument: InstrumentDescriptor;
}

export class StreamNames {
  readonly #first = new Map<Scope, Map<string, Named>>();

  add(scope: Scope, stream: MetricDescriptor, instrument: InstrumentDescriptor): void {
    let names = this.#first.get(scope);
    if (names === undefined) this.#first.set(scope, (names = new Map()));
    const key = stream.name.toLowerCase();
    const first = names.get(key);
    if (first === undefined) names.set(key, { stream, instrument });
    else reportConflict(first, { stream, instrument });
  }
}

function reportConflict(first: Named, second: Named): void {
  const { name } = first.stream;
  report(
    'warn',
    `stream-conflict:${name}`,
    `two streams are named ${name}: ${shape(first)}, and ${shape(second)}. Both are exported, which backends cannot ` +
      `tell apart; ${remedy(first.instrument, second.instrument)}`,
  );
}

function shape({ stream, instrument }: Named): string {
  const values = stream.valueType === ValueType.INT ? 'integers' : 'doubles';
  return `${instrument.type} ${instrument.name} of ${values}${stream.unit ? ` in ${stream.unit}` : ''}`;
}

/** A View that can be copied, where its selectors can tell the two apart. */
function remedy(first: InstrumentDescriptor, second: InstrumentDescriptor): string {
  const { name, type, unit } = second;
  const selectors = [`instrumentName: ${JSON.stringify(name)}`];
  let newName = `${name}.2`;
  if (type !== first.type) {
    selectors.push(`instrumentType: InstrumentType.${type}`);
    newName = `${name}.${type.toLowerCase()}`;
  } else if (unit !== first.unit) selectors.push(`instrumentUnit: ${JSON.stringify(unit)}`);
  else if (name === first.name) return 'give one of them another name';
  return `rename one of them, for instance by the View { ${selectors.join(', ')}, name: ${JSON.stringify(newName)} }`;
}
