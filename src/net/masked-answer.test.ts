import { expect, test } from 'vitest';
import { maskSecrets } from './masked-answer.ts';

const masked = (said: string, headers: Record<string, string>, path = '/') =>
  maskSecrets(path, headers, Buffer.from(said)).toString();
const basic = (text: string) => `Basic ${Buffer.from(text).toString('base64')}`;

test.each<[string, string, Record<string, string>, string]>([
  [
    'a token',
    'unknown: "Bearer s3cret", s3cret',
    { authorization: 'Bearer s3cret' },
    '"Bearer ******", ******',
  ],
  ['a token without a scheme', 'unknown: s3cret', { authorization: 's3cret' }, ': ******'],
  [
    'user and password as they are sent',
    basic('me:hunter2'),
    { authorization: basic('me:hunter2') },
    '*'.repeat(16),
  ],
  ['a password', 'me has not hunter2', { authorization: basic('me:hunter2') }, 'me has not *******'],
  ['a password with a colon', 'a:bcd', { authorization: basic('me:a:bcd') }, '*****'],
  ['a header of any name', 'team 0a1b2c?', { 'x-honeycomb-team': '0a1b2c' }, 'team ******?'],
  [
    'Base64 without what fills it up',
    'unknown: "bWU6aHVudGVyMjI"',
    { authorization: basic('me:hunter22') },
    '"***************"',
  ],
  ['a token behind a scheme with a hyphen', '"s3cret"', { authorization: 'Api-Token s3cret' }, '"******"'],
  ['a header of two words', 'words: open sesame', { 'x-key': 'open sesame' }, 'words: ***********'],
  ['a user without a password', 'no such t0ken', { authorization: basic('t0ken:') }, 'no such *****'],
  [
    'a password in JSON',
    JSON.stringify({ wrong: 'hun"ter' }),
    { authorization: basic('me:hun"ter') },
    '{"wrong":"********"}',
  ],
  [
    'a token in an address',
    '/login?key=a%2Fb%2Bc',
    { authorization: 'Bearer a/b+c' },
    '/login?key=*********',
  ],
  [
    'a secret that begins with another one',
    'no such s3cret-and-more',
    { 'x-id': 's3cret', 'x-key': 's3cret-and-more' },
    'no such ***************',
  ],
  [
    'binary metadata',
    'no such s3cret',
    { 'key-bin': Buffer.from('s3cret').toString('base64') },
    'such ******',
  ],
  ['what is not ASCII', 'not ü-ü-ü', { authorization: basic('me:ü-ü-ü') }, 'not ********'],
])('%s is hidden', (_, said, headers, shown) => {
  expect(masked(said, headers)).toContain(shown);
});

test('what says nothing, or explains, stays', () => {
  const headers = {
    'x-debug': 'on',
    accept: 'text/plain',
    'x-scope-orgid': 'orders',
    'content-type': 'text/plain',
    'user-agent': 'Meterline/1',
    'x-amz-date': '20260102T030405Z',
    'x-empty': '',
    authorization: basic('me:'),
  };
  const said = 'on orders text/plain Meterline/1 20260102T030405Z';
  expect(masked(said, headers)).toBe(said);
});

test('values of a query are hidden, names are not', () => {
  const path = '/write?token=s3cret&db=x&key=a%20bc';
  expect(masked(`no route for ${path}`, {}, path)).toBe('no route for /write?token=******&db=x&key=******');
});

test.each(['/?key=open+sesame', '/?key=open%20sesame'])('so are those of %s decoded', (path) => {
  expect(masked('unknown: open sesame', {}, path)).toBe('unknown: ***********');
});

test('a query that cannot be decoded is hidden as it is', () => {
  expect(masked('/?key=100%sure', {}, '/?key=100%sure')).toBe('/?key=********');
});

test('bytes that are no text stay, and as many as they were', () => {
  const before = Buffer.from([0xff, 0x00, ...Buffer.from('s3cret'), 0xfe]);
  expect([...maskSecrets('/', { authorization: 'Bearer s3cret' }, Buffer.from(before))]).toEqual([
    0xff,
    0x00,
    ...Buffer.from('******'),
    0xfe,
  ]);
});
