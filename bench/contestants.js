// Who can take part under which Node, and which version of it does.
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { satisfies } from 'semver';

/** @param {'bundled' | 'system'} which the Node among this package's dependencies, or the one running this */
export function describeNode(which) {
  const bundled = fileURLToPath(new URL('node_modules/node/bin/node', import.meta.url));
  const path = which === 'system' ? process.execPath : bundled;
  const version = execFileSync(path, ['-p', 'process.versions.node'], { encoding: 'utf8' }).trim();
  return { path, version };
}

export function eligible(all, node) {
  const contestants = [];
  const skipped = [];
  for (const contestant of all) {
    const needed = contestant.package && manifest(contestant.package).engines?.node;
    if (needed && !satisfies(node.version, needed)) {
      skipped.push(`Skipped: ${label(contestant)} asks for Node ${needed}, this is ${node.version}.`);
    } else {
      contestants.push(contestant);
    }
  }
  return { contestants, skipped };
}

/** Name and version, for instance `prom-client 15.1.3`. */
export function label(contestant) {
  if (contestant.package === undefined) return contestant.name;
  return `${contestant.name} ${manifest(contestant.package).version}`;
}

function manifest(name) {
  const path = name === 'meterline' ? '../package.json' : `node_modules/${name}/package.json`;
  return JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8'));
}
