// The header for a user and a password (RFC 7617).
import { optionChecks } from '../data/option-checks.ts';

export interface BasicAuth {
  username: string;
  password: string;
}

/**
 * @param owner whose `basicAuth` it is, for messages, which show neither of the two
 * @param bearerToken of the same options: only one of them can be sent
 * @throws ConfigError when it cannot be sent
 */
export function basicAuthHeader(
  owner: string,
  basicAuth: BasicAuth | undefined,
  bearerToken: unknown,
): { authorization?: string } {
  if (basicAuth === undefined) return {};
  const { demandSecret } = optionChecks(owner);
  const { username, password } = (basicAuth ?? {}) as Partial<BasicAuth>;
  const isPair = typeof username === 'string' && typeof password === 'string' && !username.includes(':');
  demandSecret(isPair, 'basicAuth', 'an object with username and password, without a colon in username');
  demandSecret(bearerToken === undefined, 'basicAuth beside bearerToken', 'left out');
  return { authorization: `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}` };
}
