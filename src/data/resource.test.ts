import { resourceFromAttributes as officialResource } from '@opentelemetry/resources';
import { expect, test } from 'vitest';
import { resourceFromAttributes } from './resource.ts';

test('merging in a resource that the official package has merged keeps the values that it shows', () => {
  const official = officialResource({ name: 'old', host: 'h' }).merge(officialResource({ name: 'new' }));
  const merged = resourceFromAttributes({ name: 'oldest', team: 't' }).merge(official);
  expect(merged.attributes).toEqual({ name: 'new', host: 'h', team: 't' });
});
