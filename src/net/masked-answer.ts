// Answers without the secrets of the request: some gateways quote tokens and queries that they do not know, and answers go into logs.

/** Names of headers whose values explain an answer and open no door. All others may be secrets, whatever they are called. */
const PUBLIC =
  /^(accept|content|x-prometheus-remote-write)(-|$)|^(host|user-agent|x-scope-orgid|x-amz-date|x-amz-content-sha256)$/i;

/** Shorter ones are part of too many words. */
const MIN_LENGTH = 4;

/**
 * Puts asterisks in the place of each secret, as many as it has bytes, so that binary answers can be read as before.
 *
 * @param path of the request, with its query
 * @param headers of the request
 * @param body of the answer, changed in place
 */
export function maskSecrets(path: string, headers: Readonly<Record<string, string>>, body: Buffer): Buffer {
  if (body.length === 0) return body;
  // The longest first: of one that holds another the rest would stay.
  const secrets = [...secretsIn(path, headers)].flatMap(formsOf).sort((a, b) => b.length - a.length);
  for (const secret of secrets) {
    if (secret.length < MIN_LENGTH) continue;
    for (let at = body.indexOf(secret); at >= 0; at = body.indexOf(secret, at + secret.length))
      body.fill('*', at, at + secret.length);
  }
  return body;
}

function* secretsIn(path: string, headers: Readonly<Record<string, string>>): Generator<string> {
  for (const [, value] of path.matchAll(/[?&][^=&]*=([^&]*)/g)) yield* [value!, decoded(value!)];
  for (const [name, value] of Object.entries(headers)) {
    if (PUBLIC.test(name)) continue;
    // What servers see of it.
    if (name.endsWith('-bin')) yield Buffer.from(value, 'base64').toString('latin1');
    const [, scheme, token = value] = /^(\S+) +(.+)$/.exec(value) ?? [];
    yield token;
    // Elsewhere than in credentials the first word is no scheme.
    if (!/authorization$/i.test(name)) yield value;
    if (scheme?.toLowerCase() !== 'basic') continue;
    const pair = Buffer.from(token, 'base64').toString();
    const [user, password] = [pair.slice(0, pair.indexOf(':')), pair.slice(pair.indexOf(':') + 1)];
    // Where there is no password, the user is a token.
    yield password || user;
  }
}

/** How answers may have it: in JSON, in an address, as header or as text, and Base64 without what fills it up. */
function formsOf(secret: string): Buffer[] {
  const texts = [
    secret,
    secret.replace(/=+$/, ''),
    JSON.stringify(secret).slice(1, -1),
    // A lone surrogate would make it throw.
    encodeURIComponent(Buffer.from(secret).toString()),
  ];
  return [...new Set(texts)].flatMap((text) => [Buffer.from(text), Buffer.from(text, 'latin1')]);
}

function decoded(value: string): string {
  try {
    return decodeURIComponent(value.replaceAll('+', ' '));
  } catch {
    return value;
  }
}
