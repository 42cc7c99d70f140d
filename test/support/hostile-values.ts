// What an application without types may pass where something else is expected.

const fail = () => {
  throw new Error('hostile');
};

const TRAPS = [
  'get',
  'has',
  'ownKeys',
  'getOwnPropertyDescriptor',
  'getPrototypeOf',
  'set',
  'deleteProperty',
];
export const LONG = 'x'.repeat(10_000_000);

function revoked(target: object): object {
  const { proxy, revoke } = Proxy.revocable(target, {});
  revoke();
  return proxy;
}

function cyclic(): object {
  const object: Record<string, unknown> = { a: 1 };
  object.self = object;
  return object;
}

/** Made anew for each use, under a name for the message of a failing test. */
export const hostile: Record<string, () => unknown> = {
  undefined: () => undefined,
  null: () => null,
  zero: () => 0,
  'a negative number': () => -1,
  NaN: () => Number.NaN,
  infinity: () => Number.POSITIVE_INFINITY,
  'a bigint': () => 1n,
  'a large bigint': () => 2n ** 70n,
  'a boolean': () => true,
  'an empty text': () => '',
  'a text': () => 'text',
  'a text of 10 MB': () => LONG,
  'a lone surrogate': () => '\ud800',
  'a symbol': () => Symbol('s'),
  'a function': () => () => {},
  'a function that throws': () => fail,
  'a function that rejects': () => () => Promise.reject(new Error('hostile')),
  'a class': () => class {},
  'an object': () => ({ a: 1 }),
  'an object without prototype': () => Object.assign(Object.create(null), { a: 1 }),
  'a frozen object': () => Object.freeze({ a: 1 }),
  'a cyclic object': cyclic,
  'a deep object': () => {
    let deep: unknown = 1;
    for (let i = 0; i < 20_000; i++) deep = { deep };
    return deep;
  },
  'an array': () => ['a', 1],
  'an array of everything': () => [null, undefined, 1n, Symbol('s'), {}, fail],
  'a cyclic array': () => {
    const array: unknown[] = [];
    array.push(array);
    return array;
  },
  'a getter that throws': () => Object.defineProperty({ b: 1 }, 'a', { enumerable: true, get: fail }),
  'a value that has no text': () => ({ a: Object.create(null) }),
  'conversions that throw': () => ({
    toString: fail,
    valueOf: fail,
    toJSON: fail,
    [Symbol.toPrimitive]: fail,
  }),
  'a conversion that throws what has no text': () => ({
    toJSON: () => {
      throw Object.create(null);
    },
  }),
  'a proxy that passes on': () => new Proxy({ a: 1 }, {}),
  'a proxy that throws': () => new Proxy({ a: 1 }, Object.fromEntries(TRAPS.map((trap) => [trap, fail]))),
  'a revoked proxy': () => revoked({}),
  'a revoked array': () => revoked([]),
  'a proxy of a function': () => new Proxy(() => {}, { get: fail }),
  'a thenable that throws': () => Object.defineProperty({}, 'then', { value: fail }),
  'a date': () => new Date(Number.NaN),
  'a map': () => new Map([['a', 1]]),
  'an error': () => new Error('an error'),
  bytes: () => new Uint8Array(4),
};
