// Whether an exporter that compares each collection with the one before has several providers.
import type { Resource } from '../data/resource.ts';

/**
 * Given the resource of each batch, true once: when the resources of two providers have both come again after another. One that
 * a queue has read never comes again.
 */
export function severalProviders(): (resource: Resource) => boolean {
  const seen = new WeakSet<Resource>();
  const back = new WeakSet<Resource>();
  let providers = 0;
  let latest: Resource | undefined;
  return (resource) => {
    if (resource === latest) return false;
    latest = resource;
    if (!seen.has(resource)) {
      seen.add(resource);
      return false;
    }
    if (back.has(resource)) return false;
    back.add(resource);
    return ++providers === 2;
  };
}
