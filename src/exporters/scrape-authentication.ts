// Who may scrape.
import { createHash, timingSafeEqual } from 'node:crypto';
import { optionChecks } from '../data/option-checks.ts';

/** What a scraper sends: Prometheus's `basic_auth`, or its `authorization` with `credentials`. */
export type ScrapeCredentials = { username: string; password: string } | { token: string };

export interface Authentication {
  /** @param authorization the header */
  accepts(authorization: string | undefined): boolean;
  /** For the header `WWW-Authenticate`. */
  readonly challenge: string;
}

const { demandSecret } = optionChecks('PrometheusMetricReader');

/** @throws ConfigError when no scraper could send the credentials; the message shows none of them */
export function authentication(
  credentials: ScrapeCredentials | readonly ScrapeCredentials[],
): Authentication {
  const all: readonly ScrapeCredentials[] = Array.isArray(credentials) ? credentials : [credentials];
  demandSecret(all.length > 0, 'authentication', 'at least one pair of username and password, or token');
  const hashes = all.map((one) => hash(canonical(one)));
  const challenges = [
    ...(all.some((one) => 'username' in one) ? ['Basic realm="metrics", charset="UTF-8"'] : []),
    ...(all.some((one) => 'token' in one) ? ['Bearer realm="metrics"'] : []),
  ];
  return {
    challenge: challenges.join(', '),
    accepts(authorization) {
      const sent = hash(received(authorization ?? ''));
      // All are compared, however early one fits, and hashes of one length: the time tells nothing.
      let isAccepted = false;
      for (const known of hashes) isAccepted = timingSafeEqual(known, sent) || isAccepted;
      return isAccepted;
    },
  };
}

function canonical(credentials: ScrapeCredentials): string {
  const given = (credentials ?? {}) as Partial<Record<'username' | 'password' | 'token', unknown>>;
  const { username, password, token } = given;
  const isPair =
    typeof username === 'string' &&
    typeof password === 'string' &&
    !username.includes(':') &&
    !('token' in given);
  const isToken =
    typeof token === 'string' && token !== '' && !('username' in given) && !('password' in given);
  demandSecret(
    isPair || isToken,
    'authentication',
    'an object with username, which has no colon, and password, or one with token, or a list of them',
  );
  return isPair ? `basic ${username}:${password}` : `bearer ${token}`;
}

/** The header in one spelling: the scheme may have capitals, and base64 may lack its padding. */
function received(authorization: string): string {
  const [, scheme = '', rest = ''] = /^([^ ]*) *(.*)$/s.exec(authorization) ?? [];
  const name = scheme.toLowerCase();
  return name === 'basic' ? `basic ${Buffer.from(rest, 'base64').toString()}` : `${name} ${rest}`;
}

function hash(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
