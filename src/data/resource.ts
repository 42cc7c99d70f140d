// What the metrics are about: the service, its host, its process. The interface is that of
// `@opentelemetry/resources`, so that resources of the official packages can be passed in as they are;
// the implementation is ours, because those packages pin a range of `@opentelemetry/api` that an
// application on the other major version of the SDK cannot install.
import { type Attributes, type AttributeValue, diag } from '@opentelemetry/api';
import { bounded } from './bounded.ts';
import { report } from './diagnostics.ts';

type MaybePromise<T> = T | Promise<T>;

/** A key and its value; a promise for an attribute that is still being detected. */
export type RawResourceAttribute = [string, MaybePromise<AttributeValue | undefined>];

/** See `Resource` of `@opentelemetry/resources`, whose shape this is. */
export interface Resource {
  readonly asyncAttributesPending?: boolean;
  readonly attributes: Attributes;
  readonly schemaUrl?: string;
  waitForAsyncAttributes?(): Promise<void>;
  merge(other: Resource | null): Resource;
  getRawAttributes(): RawResourceAttribute[];
}

/**
 * Makes a resource from attributes. Undefined values are left out.
 *
 * @param attributes for instance `{ 'service.name': 'orders' }`; names as in the semantic conventions
 * @param options.schemaUrl the schema that the attribute names follow
 */
export function resourceFromAttributes(
  attributes: Attributes,
  options: { schemaUrl?: string } = {},
): Resource {
  return resourceFromRaw(Object.entries(attributes), options.schemaUrl);
}

function resourceFromRaw(raw: RawResourceAttribute[], schemaUrl: string | undefined): Resource {
  const pending = raw.filter((entry): entry is [string, Promise<AttributeValue | undefined>] =>
    isPromise(entry[1]),
  );
  const attributes: Attributes = {};
  for (const [key, value] of raw) {
    if (value === undefined || isPromise(value)) continue;
    Object.defineProperty(attributes, key, { value, enumerable: true, writable: true, configurable: true });
  }
  let settled: Promise<void> | undefined;
  let isPending = pending.length > 0;
  return {
    get asyncAttributesPending() {
      return isPending;
    },
    attributes,
    schemaUrl,
    waitForAsyncAttributes() {
      settled ??= Promise.all(
        pending.map(async ([key, promise]) => {
          try {
            const value = await promise;
            if (value !== undefined) attributes[key] = value;
          } catch (error) {
            diag.warn(`meterline: resource attribute ${key} could not be detected and is left out`, error);
          }
        }),
      ).then(() => {
        isPending = false;
      });
      return settled;
    },
    merge(other) {
      if (other === null) return this;
      // A resource that `@opentelemetry/resources` merged names a key twice; there the first one holds.
      const merged = new Map([...this.getRawAttributes(), ...other.getRawAttributes().toReversed()]);
      return resourceFromRaw([...merged], mergeSchemaUrl(schemaUrl, other.schemaUrl));
    },
    getRawAttributes() {
      return raw;
    },
  };
}

/** Empty + X = X, X + X = X, X + Y = a conflict that leaves the schema unknown (OTel resource SDK, "Merge"). */
function mergeSchemaUrl(ours: string | undefined, theirs: string | undefined): string | undefined {
  if (!ours || ours === theirs) return theirs || undefined;
  if (!theirs) return ours;
  diag.warn(
    `meterline: merging resources with different schema URLs (${ours}, ${theirs}) leaves the schema unset`,
  );
  return undefined;
}

function isPromise(value: unknown): value is Promise<AttributeValue | undefined> {
  return typeof (value as { then?: unknown } | null | undefined)?.then === 'function';
}

/** Waits for attributes that are still being detected, so that the first export has them; not for ever. Never rejects. */
export async function awaitAttributes(resource: Resource, timeoutMillis: number): Promise<void> {
  if (!resource.asyncAttributesPending || !resource.waitForAsyncAttributes) return;
  try {
    await bounded('resource detection', timeoutMillis, () => resource.waitForAsyncAttributes!());
  } catch (error) {
    report(
      'warn',
      'resource',
      'exporting without the resource attributes that are still being detected',
      error,
    );
  }
}
