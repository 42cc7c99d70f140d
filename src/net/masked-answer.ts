// Answers without the secrets of the request: some gateways quote tokens and queries that they do not know, and answers go into logs.

/** Names of headers whose values explain an answer and open no door. All others may be secrets, whatever they are called. */
const PUBLIC =
  /^(accept|content|x-prometheus-remote-write)-|^(host|user-agent|x-scope-orgid|x-amz-date|x-amz-content-sha256)$/i;

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
  for (const secret of secretsIn(path, headers)) {
    if (secret.length < MIN_LENGTH) continue;
    for (let at = body.indexOf(secret); at >= 0; at = body.indexOf(secret, at + secret.length))
      body.fill('*', at, at + secret.length);
  }
  return body;
}

function* secretsIn(path: string, headers: Readonly<Record<string, string>>): Generator<Buffer> {
  for (const [, value] of path.matchAll(/[?&][^=&]*=([^&]*)/g)) yield Buffer.from(value!);
  for (const [name, value] of Object.entries(headers)) {
    if (PUBLIC.test(name)) continue;
    const [, scheme, token] = /^(\w+) +(.+)$/.exec(value) ?? [];
    yield Buffer.from(token ?? value, 'latin1');
    if (scheme?.toLowerCase() !== 'basic') continue;
    const pair = Buffer.from(token!, 'base64');
    yield pair.subarray(pair.indexOf(':') + 1);
  }
}
