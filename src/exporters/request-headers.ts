// The headers that a user gives to each request, fixed or asked for, and what becomes of a refused credential.
import { report, textOf } from '../data/diagnostics.ts';
import { ExportError } from '../data/errors.ts';
import { optionChecks } from '../data/option-checks.ts';
import { unlessAborted } from '../net/deadline.ts';

export type Headers = Record<string, string>;

/** Fixed, or a function that is asked before each request, for credentials that change. */
export type HeadersOption = Headers | (() => Headers | Promise<Headers>);

/** Fixed, or a function that is asked before each request. */
export type BearerToken = string | (() => string | Promise<string>);

export interface HeaderRules {
  /** Lower-case names that belong to the protocol; a user's are left out, with one message. */
  readonly owned: (name: string) => boolean;
  /** Of a name in lower case that HTTP would take. */
  readonly isName: (name: string) => boolean;
  readonly isValue: (value: string) => boolean;
  /** Completes "it must be …". */
  readonly valueFormat: string;
}

/** Runs one attempt with the headers of that moment, in lower case. Functions that give them are not waited for once `signal` aborts. */
export type WithHeaders = <T>(attempt: (headers: Headers) => Promise<T>, signal: AbortSignal) => Promise<T>;

/**
 * When a function gave the headers and the attempt fails as `UNAUTHENTICATED`, the function is asked once more and
 * the attempt made again: a token that ended a moment ago then costs nothing.
 *
 * @throws ConfigError for headers that cannot be sent. Neither this nor any other message shows a value.
 */
export function requestHeaders(
  owner: string,
  { headers = {}, bearerToken }: { headers?: HeadersOption; bearerToken?: BearerToken },
  rules: HeaderRules,
): WithHeaders {
  const { demandSecret } = optionChecks(owner);
  const headersOf = typeof headers === 'function' ? undefined : checked(headers);
  const tokenOf = typeof bearerToken === 'function' ? undefined : checkedToken(bearerToken);
  const isFixed = headersOf !== undefined && typeof bearerToken !== 'function';

  function checked(given: unknown): Headers {
    demandSecret(isObject(given), 'headers', 'an object of names to texts, or a function that gives one');
    const kept: Headers = {};
    for (const [name, value] of Object.entries(given as object)) {
      const lower = name.toLowerCase();
      const isName = TOKEN.test(lower) && rules.isName(lower);
      demandSecret(isName, `headers: the name ${JSON.stringify(name)}`, 'a header name');
      const isText = typeof value === 'string' && rules.isValue(value);
      demandSecret(isText, `headers: the value of ${name}`, rules.valueFormat);
      if (rules.owned(lower)) {
        report(
          'warn',
          `owned-header:${owner}:${lower}`,
          `${owner}: the header ${lower} is set by the protocol; yours is ignored`,
        );
      } else kept[lower] = value;
    }
    return kept;
  }

  function checkedToken(token: unknown): Headers {
    if (token === undefined) return {};
    const isToken = typeof token === 'string' && /^[\x21-\x7e]+$/.test(token);
    demandSecret(isToken, 'bearerToken', 'a text without spaces, or a function that gives one');
    return { authorization: `Bearer ${token}` };
  }

  async function now(): Promise<Headers> {
    try {
      return {
        ...(headersOf ?? checked(await (headers as () => unknown)())),
        ...(tokenOf ?? checkedToken(await (bearerToken as () => unknown)())),
      };
    } catch (cause) {
      // It may be a token service that is down for a while.
      const message = `${owner}: no headers for the request: ${textOf(cause)}`;
      throw new ExportError('UNAUTHENTICATED', message, { retryable: true, cause });
    }
  }

  return async (attempt, signal) => {
    const given = await unlessAborted(now(), signal);
    try {
      return await attempt(given);
    } catch (error) {
      if (isFixed || ExportError.from(error).code !== 'UNAUTHENTICATED') throw error;
    }
    return attempt(await unlessAborted(now(), signal));
  };
}

/** RFC 9110, section 5.6.2. */
const TOKEN = /^[!#$%&'*+\-.^_`|~\w]+$/;

function isObject(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
