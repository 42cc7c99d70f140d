// What every resource says when the user says nothing (OTel resource semantic conventions).
import { basename } from 'node:path';
import { type Resource, resourceFromAttributes } from '../data/resource.ts';
import { VERSION } from '../data/version.ts';

export function defaultResource(): Resource {
  return resourceFromAttributes({
    'service.name': `unknown_service:${basename(process.argv0)}`,
    'telemetry.sdk.name': 'meterline',
    'telemetry.sdk.language': 'nodejs',
    'telemetry.sdk.version': VERSION,
  });
}
