// Newer servers than this Debian has: packages of its other suites, unpacked into the cache beside the servers that are
// built. They are not installed, so that the system stays what it is.
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { serversFolder } from './cache.js';

/**
 * Where to look, the first that runs here being taken. The unstable suite has the current version until the next one
 * comes; the stable one keeps what it has.
 *
 * @type {Record<string, { suite: string, version?: string }[]>}
 */
const PACKAGES = {
  'victoria-metrics': [{ suite: 'sid', version: '1.145.0+ds1-2' }, { suite: 'trixie' }],
  'prometheus-pushgateway': [{ suite: 'sid', version: '1.11.2-1' }, { suite: 'trixie' }],
  // Any version does. Installed, it would take port 80 whenever the system starts.
  nginx: [{ suite: 'trixie' }, { suite: 'bookworm' }],
};

/**
 * Where a package has its binary when not in `usr/bin` and by its own name, and what it is asked to see whether it runs.
 *
 * @type {Record<string, { binary: string, version: string }>}
 */
const BINARIES = { nginx: { binary: 'usr/sbin/nginx', version: '-v' } };

const KEYRING = '/usr/share/keyrings/debian-archive-keyring.gpg';

/**
 * Where a binary is, or will be once it is unpacked.
 *
 * @param {string} name of the package
 * @param {string} [binary] below the folder of the package; default its main one
 */
export function unpackedPath(name, binary = mainBinary(name).binary) {
  return join(folderOf(name), binary);
}

/** @param {string} name */
function mainBinary(name) {
  return BINARIES[name] ?? { binary: `usr/bin/${name}`, version: '--version' };
}

/** Unpacks what is not there yet, and says what. */
export function unpackDebianServers() {
  for (const name of Object.keys(PACKAGES)) {
    if (!existsSync(unpackedPath(name))) console.log(`Unpacked ${unpack(name)}: ${folderOf(name)}`);
  }
}

/** @param {string} name */
function folderOf(name) {
  const hash = createHash('sha256').update(JSON.stringify([process.arch, PACKAGES[name]]));
  return join(serversFolder(), `${name}-${hash.digest('hex').slice(0, 16)}`);
}

/**
 * @param {string} name
 * @returns what it was
 */
function unpack(name) {
  mkdirSync(serversFolder(), { recursive: true });
  const work = mkdtempSync(join(serversFolder(), `${name}-unpacking-`));
  const failures = [];
  try {
    for (const { suite, version } of PACKAGES[name] ?? []) {
      try {
        const unpacked = join(work, suite);
        download(work, suite, version === undefined ? name : `${name}=${version}`);
        // The shell finds the one file, whose name has the version in an encoding of its own.
        run('sh', ['-c', 'dpkg-deb --extract ./*.deb "$0" && rm ./*.deb', unpacked], work);
        const { binary, version: asked } = mainBinary(name);
        run(join(unpacked, binary), [asked], work);
        if (!existsSync(folderOf(name))) renameSync(unpacked, folderOf(name));
        return `${version === undefined ? name : `${name} ${version}`} of ${suite}`;
      } catch (error) {
        failures.push(`${suite}: ${error instanceof Error ? error.message : error}`);
      }
    }
    throw new Error(
      `${name} is in none of Debian's suites as this system can run it:\n${failures.join('\n')}`,
    );
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

/**
 * With an index of its own: the system's knows its own suite only.
 *
 * @param {string} folder
 * @param {string} suite
 * @param {string} what
 */
function download(folder, suite, what) {
  const lists = join(folder, `${suite}-lists`);
  const cache = join(folder, `${suite}-cache`);
  mkdirSync(join(lists, 'partial'), { recursive: true });
  mkdirSync(join(cache, 'archives', 'partial'), { recursive: true });
  const sources = join(folder, `${suite}.list`);
  writeFileSync(sources, `deb [signed-by=${KEYRING}] ${mirror()} ${suite} main\n`);
  const options = [
    ...['-o', `Dir::Etc::SourceList=${sources}`, '-o', 'Dir::Etc::SourceParts=/dev/null'],
    ...['-o', `Dir::State::Lists=${lists}`, '-o', `Dir::Cache=${cache}`],
    // What is installed would be preferred, even to what is asked for.
    ...['-o', 'Dir::State::status=/dev/null'],
    ...['-o', 'APT::Sandbox::User=root', '--quiet', '--quiet'],
  ];
  run('apt-get', [...options, 'update'], folder);
  run('apt-get', [...options, 'download', what], folder);
}

/** The one that this system gets its packages from. */
function mirror() {
  let site = mirrorKnown();
  if (site === undefined) {
    // A new system knows of whom its sources are only after that.
    run('apt-get', ['--quiet', '--quiet', 'update'], '/');
    site = mirrorKnown();
  }
  if (site === undefined) throw new Error('apt-get names no source of Debian packages');
  return site;
}

function mirrorKnown() {
  const sites = run(
    'apt-get',
    ['indextargets', '--format', '$(SITE)', 'Component: main', 'Origin: Debian'],
    '/',
  );
  return sites.split('\n').find((line) => line !== '' && !line.includes('security'));
}

/**
 * @param {string} command
 * @param {string[]} args
 * @param {string} cwd
 */
function run(command, args, cwd) {
  return execFileSync(command, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
}
