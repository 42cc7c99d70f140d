// A Pushgateway keeps what is pushed by group: a job and further labels, which stand in the path of the request.
import { optionChecks } from '../data/option-checks.ts';

export interface PushgatewayGroup {
  /** What follows the address: `/metrics/job/…`. */
  readonly path: string;
  /** The labels that the Pushgateway overwrites in whatever is pushed. */
  readonly labels: ReadonlySet<string>;
}

/** Labels with a meaning of their own in the samples of a metric; as part of a group they would overwrite it. */
const OF_SAMPLES = ['le', 'quantile'];

/** @throws ConfigError for what a Pushgateway refuses, or reads as something else */
export function pushgatewayGroup(
  owner: string,
  job: string,
  grouping: Record<string, string>,
): PushgatewayGroup {
  const { demand, demandObject } = optionChecks(owner);
  demand(
    typeof job === 'string' && job !== '' && isWellFormed(job),
    'job',
    job,
    'a text that is not empty, without lone surrogates',
  );
  demandObject('grouping', grouping);
  // Sorted, so that a group always has the same address.
  const entries = Object.entries(grouping).sort(([a], [b]) => (a < b ? -1 : 1));
  for (const [name, value] of entries) {
    demand(name !== 'job', 'grouping.job', value, 'left out: use the option job');
    const isName = /^(?!__)[a-zA-Z_][a-zA-Z0-9_]*$/.test(name) && !OF_SAMPLES.includes(name);
    demand(
      isName,
      'a name in grouping',
      name,
      'letters, digits and underscores; it may not begin with a digit or two underscores, nor be le or quantile',
    );
    demand(
      typeof value === 'string' && isWellFormed(value),
      `grouping.${name}`,
      value,
      'a text without lone surrogates',
    );
  }
  const path = [['job', job] as const, ...entries].map(([name, value]) => segment(name, value)).join('');
  return { path: `/metrics${path}`, labels: new Set(['job', ...entries.map(([name]) => name)]) };
}

/**
 * Base64 for values that no path can have: empty ones, those with a slash, which servers decode before they split, those with
 * a NUL, which nginx refuses, and the dots that clients and servers take for folders.
 */
function segment(name: string, value: string): string {
  if (value === '') return `/${name}@base64/=`;
  if (/[/\0]|^\.\.?$/.test(value)) return `/${name}@base64/${Buffer.from(value).toString('base64url')}`;
  return `/${name}/${encodeURIComponent(value)}`;
}

/** A Pushgateway that is given bytes which are not UTF-8 refuses every later push, to whatever group. */
function isWellFormed(text: string): boolean {
  return !/\p{Surrogate}/u.test(text);
}
