// Installs the real servers that the end-to-end tests run against: Debian's, newer ones of its other suites, and others
// built from their Go modules.
// Does nothing for those already there.
import { execFileSync, spawnSync } from 'node:child_process';
import { unpackDebianServers } from './servers/debian-servers.js';
import { buildGoServers } from './servers/go-servers.js';

/**
 * Debian package of each binary, and what it is asked to see whether it is there. Nothing is started: the tests start their
 * own, on free ports.
 *
 * @type {{ binary: string, package: string, args?: string[] }[]}
 */
const SERVERS = [
  { binary: 'prometheus', package: 'prometheus' },
  { binary: 'promtool', package: 'prometheus' },
  { binary: 'prometheus-pushgateway', package: 'prometheus-pushgateway' },
  { binary: 'victoria-metrics', package: 'victoria-metrics' },
  // Strict parsers of what is scraped. Debian's own Python has its packages, whatever else is on the PATH.
  {
    binary: '/usr/bin/python3',
    package: 'python3-prometheus-client',
    args: ['-c', 'import prometheus_client'],
  },
];

/** @param {(typeof SERVERS)[number]} server */
function isInstalled({ binary, args }) {
  const { error, status } = spawnSync(binary, args ?? ['--version'], { stdio: 'ignore' });
  return error === undefined && (args === undefined || status === 0);
}

const missing = SERVERS.filter((server) => !isInstalled(server));

if (missing.length > 0) {
  const packages = [...new Set(missing.map((server) => server.package))];
  const start = performance.now();
  try {
    apt('update');
    apt('install', '--yes', '--no-install-recommends', ...packages);
    const absent = missing.filter((server) => !isInstalled(server));
    if (absent.length > 0)
      throw new Error(`not on the PATH: ${absent.map(({ package: name }) => name).join(', ')}`);
    console.log(`Installed ${packages.join(', ')} in ${Math.round((performance.now() - start) / 1000)} s`);
  } catch (error) {
    console.error(
      `The end-to-end tests need the Debian packages ${packages.join(', ')}, which could not be installed.\n` +
        'Install them by hand, or run this as root on a Debian system with package sources.\n' +
        (error instanceof Error ? error.message : error),
    );
    process.exitCode = 1;
  }
}

for (const install of [unpackDebianServers, buildGoServers]) {
  try {
    install();
  } catch (error) {
    console.error('The end-to-end tests need servers that could not be had.');
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
  }
}

/** @param {string[]} args */
function apt(...args) {
  execFileSync('apt-get', ['--quiet', '--quiet', ...args], {
    // Output only when it fails: execFileSync puts stderr into the error's message.
    stdio: ['ignore', 'ignore', 'pipe'],
    env: {
      ...process.env,
      DEBIAN_FRONTEND: 'noninteractive',
      // Tells the package scripts not to start the service, which would take port 9090.
      RUNLEVEL: '1',
    },
  });
}
