// Servers built from their published Go modules, once for all checkouts.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { serversFolder } from './cache.js';

/**
 * A folder beside this file pins the modules of each. The service discoveries that the tag leaves out are most of Prometheus's
 * build time.
 *
 * @type {Record<string, { packages: string[], tags: string }>}
 */
const SERVERS = {
  collector: { packages: ['.'], tags: '' },
  prometheus: {
    packages: ['prometheus', 'promtool'].map((command) => `github.com/prometheus/prometheus/cmd/${command}`),
    tags: 'remove_all_sd',
  },
};

/**
 * Where a binary is, or will be once it is built.
 *
 * @param {string} server
 * @param {string} [binary]
 */
export function binaryPath(server, binary = server) {
  return join(cacheFolder(server), binary);
}

/** Builds what is not there yet, and says how long each took. */
export function buildGoServers() {
  for (const [server, { packages, tags }] of Object.entries(SERVERS)) {
    const folder = cacheFolder(server);
    if (existsSync(folder)) continue;
    const start = performance.now();
    const parent = join(folder, '..');
    mkdirSync(parent, { recursive: true });
    // Whoever looks sees all binaries or none, whatever happens to this build.
    const building = mkdtempSync(join(parent, `${server}-building-`));
    try {
      go(moduleFolder(server), [
        ...['build', '-trimpath', '-buildvcs=false', '-ldflags=-s -w', `-tags=${tags}`],
        ...['-o', `${building}/`, ...packages],
      ]);
      // Another build may have been faster.
      if (!existsSync(folder)) renameSync(building, folder);
    } finally {
      rmSync(building, { recursive: true, force: true });
    }
    console.log(`Built ${server} in ${Math.round((performance.now() - start) / 1000)} s: ${folder}`);
  }
}

/** @param {string} server */
function moduleFolder(server) {
  return fileURLToPath(new URL(`./${server}/`, import.meta.url));
}

/**
 * Another folder for each state of the pinned modules.
 *
 * @param {string} server
 */
function cacheFolder(server) {
  const hash = createHash('sha256').update(`${process.platform} ${process.arch} ${SERVERS[server]?.tags}`);
  const sources = moduleFolder(server);
  for (const name of readdirSync(sources).sort()) hash.update(name).update(readFileSync(join(sources, name)));
  return join(serversFolder(), `${server}-${hash.digest('hex').slice(0, 16)}`);
}

/**
 * @param {string} folder
 * @param {string[]} args
 */
function go(folder, args) {
  try {
    execFileSync('go', args, { cwd: folder, stdio: ['ignore', 'inherit', 'pipe'], encoding: 'utf8' });
  } catch (error) {
    if (/** @type {NodeJS.ErrnoException} */ (error).code === 'ENOENT')
      throw new Error(
        `Go is not installed. The servers of the tests are built with ${goVersion(folder)} or newer.`,
      );
    throw error;
  }
}

/** @param {string} folder */
function goVersion(folder) {
  return readFileSync(join(folder, 'go.mod'), 'utf8').match(/^go [\d.]+$/m)?.[0];
}
