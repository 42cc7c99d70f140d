// What the metrics are about: settings first, then what the host and the process tell of themselves.
// Names as in the OpenTelemetry resource semantic conventions. The command line is left out: it may hold secrets.
import { arch, hostname, type } from 'node:os';
import { basename } from 'node:path';
import { type Resource, resourceFromAttributes } from '../data/resource.ts';
import { defaultResource } from '../sdk/default-resource.ts';
import type { ResolvedConfig } from './schema.ts';

/** The values of `host.arch` that differ from Node's names. */
const ARCH: Record<string, string> = { x64: 'amd64', arm: 'arm32', ia32: 'x86' };

export function detectResource(config: ResolvedConfig): Resource {
  const detected = resourceFromAttributes({
    'host.name': hostname(),
    'host.arch': ARCH[arch()] ?? arch(),
    'os.type': type().toLowerCase().replace('windows_nt', 'windows'),
    'process.pid': process.pid,
    'process.executable.name': basename(process.execPath),
    'process.runtime.name': 'nodejs',
    'process.runtime.version': process.versions.node,
  });
  const configured = resourceFromAttributes({
    ...config.resourceAttributes,
    ...(config.serviceName !== undefined && { 'service.name': config.serviceName }),
    ...(config.serviceVersion !== undefined && { 'service.version': config.serviceVersion }),
    ...(config.environment !== undefined && { 'deployment.environment.name': config.environment }),
  });
  return defaultResource().merge(detected).merge(configured);
}
