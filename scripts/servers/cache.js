// Where the servers of the tests are kept: outside of the repository, so that checkouts share them.
import { homedir } from 'node:os';
import { join } from 'node:path';

export function serversFolder() {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'meterline', 'servers');
}
