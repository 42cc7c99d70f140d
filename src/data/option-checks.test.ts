import { expect, test } from 'vitest';
import { ConfigError } from './errors.ts';
import { optionChecks } from './option-checks.ts';

test('a refused object is told by its keys, since what it holds may be secret', () => {
  const { demand } = optionChecks('otlpHttp');
  const refuse = () => demand(false, 'auth', { user: 'ada', password: 'hunter2' }, 'a function');
  expect(refuse).toThrow(new ConfigError('otlpHttp: auth is { user, password }; it must be a function'));
});
