import { createSecureContext } from 'node:tls';
import { describe, expect, test } from 'vitest';
import type { TlsOptions } from '../net/tls.ts';
import { overEnvironment } from './over-environment.ts';

const ENVIRONMENT = { ca: 'env ca', cert: 'env cert', key: 'env key' };
const context = createSecureContext();

describe('certificates given in code over those of the environment', () => {
  test.each<[TlsOptions | undefined, TlsOptions]>([
    [undefined, ENVIRONMENT],
    [{}, ENVIRONMENT],
    [{ ca: 'ca' }, { ...ENVIRONMENT, ca: 'ca' }],
    [
      { cert: 'cert', key: 'key' },
      { ca: 'env ca', cert: 'cert', key: 'key' },
    ],
    // One half of a pair is never taken from elsewhere; that it is alone is told.
    [{ cert: 'cert' }, { ca: 'env ca', cert: 'cert' }],
    [{ secureContext: context }, { secureContext: context }],
    [{ rejectUnauthorized: false }, { ...ENVIRONMENT, rejectUnauthorized: false }],
  ])('%#', (tls, merged) => {
    expect(overEnvironment({ tls }, { tls: ENVIRONMENT })).toEqual({ tls: merged });
  });
});

test('what is undefined in code is not given', () => {
  expect(overEnvironment({ endpoints: undefined, headers: undefined }, { compression: 'gzip' })).toEqual({
    compression: 'gzip',
  });
});

test('headers that cannot be are left for the exporter to refuse', () => {
  expect(overEnvironment({ headers: 7 }, { headers: { a: 'b' } })).toEqual({ headers: 7 });
});
