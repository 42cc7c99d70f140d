// Which attributes of a measurement a stream keeps.
import { type Attributes, type Context, context } from '@opentelemetry/api';
import { isObject, shown } from '../data/checked-options.ts';
import { report } from '../data/diagnostics.ts';
import { isPattern, wildcard } from './wildcard.ts';

/** As in `@opentelemetry/sdk-metrics`. */
export interface IAttributesProcessor {
  /** Returns the attributes to keep; must not change `incoming`. */
  process: (incoming: Attributes, context?: Context) => Attributes;
}

/**
 * Either decides key by key, which costs a look-up and no allocation, or makes a new attributes object for each
 * measurement, as processors of the user's own do.
 */
export type AttributeFilter =
  | { readonly keeps: (key: string) => boolean; readonly process?: undefined }
  | { readonly keeps?: undefined; readonly process: IAttributesProcessor['process'] };

const KEEPS = Symbol('keeps');

interface KeyProcessor extends IAttributesProcessor {
  [KEEPS](key: string): boolean;
}

/**
 * Keeps the listed attributes and no others.
 *
 * @param attributeAllowList names, in which `*` stands for any run of characters and `?` for one
 */
export function createAllowListAttributesProcessor(attributeAllowList: string[]): IAttributesProcessor {
  return keyProcessor(listed(attributeAllowList));
}

/**
 * Keeps all attributes but the listed ones.
 *
 * @param attributeDenyList names, in which `*` stands for any run of characters and `?` for one
 */
export function createDenyListAttributesProcessor(attributeDenyList: string[]): IAttributesProcessor {
  const isListed = listed(attributeDenyList);
  return keyProcessor((key) => !isListed(key));
}

/** Whether a key is in the list. A plain name costs one look-up, however many there are; a pattern is tried at each call. */
function listed(list: readonly string[]): (key: string) => boolean {
  const names = new Set(list.filter((name) => !isPattern(name)));
  const patterns = list.filter(isPattern).map(wildcard);
  if (patterns.length === 0) return (key) => names.has(key);
  return (key) => names.has(key) || patterns.some((matches) => matches(key));
}

/** For the attributes that an instrument's creator advised; those are names, without patterns. */
export function advisedFilter(attributes: readonly string[] | undefined): AttributeFilter | undefined {
  if (attributes === undefined) return undefined;
  const names = new Set(attributes);
  return { keeps: (key) => names.has(key) };
}

function keyProcessor(keeps: (key: string) => boolean): KeyProcessor {
  return { [KEEPS]: keeps, process: (incoming) => keptAttributes(incoming, keeps) };
}

/** Undefined when nothing is filtered. */
export function attributeFilter(processors: readonly IAttributesProcessor[]): AttributeFilter | undefined {
  if (processors.length === 0) return undefined;
  if (processors.every((processor): processor is KeyProcessor => KEEPS in processor)) {
    const [first] = processors;
    if (processors.length === 1) return { keeps: first![KEEPS] };
    return { keeps: (key) => processors.every((processor) => processor[KEEPS](key)) };
  }
  return {
    process: (incoming, context) =>
      processors.reduce((attributes, processor) => processor.process(attributes, context), incoming),
  };
}

export function keptAttributes(attributes: Attributes, keeps: (key: string) => boolean): Attributes {
  const kept: Attributes = {};
  for (const key in attributes) {
    if (keeps(key)) Object.defineProperty(kept, key, { value: attributes[key], enumerable: true });
  }
  return kept;
}

/**
 * A processor of the user's that fails costs the attributes of its own stream, not the measurement and not those of
 * other Views; attributes that it would have removed do not get out.
 *
 * @param given the context of the call, if it has one; default: the active context
 */
export function processed(
  process: IAttributesProcessor['process'],
  attributes: Attributes,
  given?: Context,
): Attributes {
  try {
    const result: unknown = process(attributes, given ?? context.active());
    if (!isObject(result) || result instanceof Promise) throw new TypeError(`it gave ${refused(result)}`);
    return keptAttributes(result as Attributes, () => true);
  } catch (error) {
    report(
      'error',
      'attributes-processor',
      'an attributes processor of a View failed; the measurement counts without attributes',
      error,
    );
    return {};
  }
}

/** A processor that is an async function by mistake may fail later on as well, and nobody else would see to that. */
function refused(result: unknown): string {
  if (result instanceof Promise) result.catch(() => {});
  return result instanceof Promise ? 'a promise' : shown(result);
}
