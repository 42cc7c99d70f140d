import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';
import { ExportMetricsServiceResponse } from '../../test/support/otlp.ts';
import { decodePartialSuccess, decodeStatus, OTLP_ENCODINGS } from './otlp-response.ts';

const { root } = protobuf.parse(`syntax = "proto3"; package google.rpc;
  message Any { string type_url = 1; bytes value = 2; }
  message Status { int32 code = 1; string message = 2; repeated Any details = 3; }
  message Duration { int64 seconds = 1; int32 nanos = 2; }
  message RetryInfo { Duration retry_delay = 1; }`);
const bytesOf = (name: string, message: object) => {
  const type = root.lookupType(`google.rpc.${name}`);
  return type.encode(type.fromObject(message)).finish();
};
const json = (value: unknown) => Buffer.from(JSON.stringify(value));
const response = (partialSuccess?: object) =>
  ExportMetricsServiceResponse.encode(ExportMetricsServiceResponse.fromObject({ partialSuccess })).finish();
const retryInfo = (retryDelay?: object) => ({
  typeUrl: 'type.googleapis.com/google.rpc.RetryInfo',
  value: bytesOf('RetryInfo', { retryDelay }),
});

describe('decodePartialSuccess', () => {
  test.each([
    [5, 'bad'],
    [0, 'hint'],
    [2 ** 40, ''],
  ])('[7.31] reads %d and "%s"', (rejectedDataPoints, errorMessage) => {
    const told = { rejectedDataPoints, errorMessage };
    expect(decodePartialSuccess(response(told), 'protobuf')).toEqual(told);
    expect(decodePartialSuccess(json({ partialSuccess: told }), 'json')).toEqual(told);
    const asText = { ...told, rejectedDataPoints: String(rejectedDataPoints) };
    expect(decodePartialSuccess(json({ partialSuccess: asText }), 'json')).toEqual(told);
  });

  test('[7.15][7.31] an empty message, no message and no body are plain success', () => {
    for (const body of [response({}), response(), new Uint8Array(0)])
      expect(decodePartialSuccess(body, 'protobuf')).toBeUndefined();
    for (const body of [json({ partialSuccess: {} }), json({}), new Uint8Array(0)])
      expect(decodePartialSuccess(body, 'json')).toBeUndefined();
  });

  test('[7.42] passes over fields that it does not know, groups too', () => {
    const unknown = [
      0x18,
      0x96,
      0x01,
      0x21,
      ...Array(8).fill(1),
      0x2d,
      1,
      2,
      3,
      4,
      0x32,
      2,
      9,
      9,
      0x3b,
      0x08,
      1,
      0x3c,
    ];
    const group = [0x3b, ...response({ rejectedDataPoints: 9 }), 0x3c];
    const body = Uint8Array.of(...unknown, ...response({ rejectedDataPoints: 5 }), ...unknown, ...group);
    expect(decodePartialSuccess(body, 'protobuf')?.rejectedDataPoints).toBe(5);
    const inside = Uint8Array.of(0x0a, 6, 0x08, 5, 0x3b, 0x08, 9, 0x3c);
    expect(decodePartialSuccess(inside, 'protobuf')?.rejectedDataPoints).toBe(5);
    const more = json({ extra: [1], partialSuccess: { rejectedDataPoints: '5', extra: null } });
    expect(decodePartialSuccess(more, 'json')?.rejectedDataPoints).toBe(5);
  });

  test('a negative or fractional count is none', () => {
    expect(decodePartialSuccess(response({ rejectedDataPoints: -1 }), 'protobuf')).toBeUndefined();
    for (const rejectedDataPoints of ['-1', 'x', 1.5, null, {}]) {
      expect(decodePartialSuccess(json({ partialSuccess: { rejectedDataPoints } }), 'json')).toBeUndefined();
    }
  });

  test('a message is one line of bounded length', () => {
    const errorMessage = `first\nsecond\u2028third ${'ü'.repeat(5_000)}`;
    for (const [body, encoding] of [
      [response({ errorMessage }), 'protobuf'],
      [json({ partialSuccess: { errorMessage } }), 'json'],
    ] as const) {
      const read = decodePartialSuccess(body, encoding)!.errorMessage;
      expect(read).toMatch(/^first second third ü+…$/);
      expect(read.length).toBeLessThanOrEqual(1_001);
    }
  });
});

describe('decodeStatus', () => {
  test.each<[string, object | undefined, number]>([
    ['1.5 s', { seconds: 1, nanos: 500_000_000 }, 1500],
    ['a part of a millisecond, rounded up', { nanos: 1 }, 1],
    ['none', undefined, 0],
    ['a negative time', { seconds: -5, nanos: -1 }, 0],
  ])('[7.28] reads the message and a delay of %s', (_, delay, retryDelayMs) => {
    const status = {
      code: 8,
      message: 'slow',
      details: [{ typeUrl: 'other/x.Y', value: Uint8Array.of(1) }, retryInfo(delay)],
    };
    expect(decodeStatus(bytesOf('Status', status), 'protobuf')).toEqual({ message: 'slow', retryDelayMs });
  });

  test.each([
    ['2s', 2000],
    ['0.0001s', 1],
    ['-3s', 0],
    ['soon', undefined],
    [5, undefined],
    [undefined, 0],
  ])('[7.28] reads a delay of %s in JSON', (retryDelay, retryDelayMs) => {
    const details = [null, { '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay }];
    expect(decodeStatus(json({ code: 14, message: 'later', details }), 'json')).toEqual({
      message: 'later',
      retryDelayMs,
    });
  });

  test('[7.24] a status without RetryInfo has no delay', () => {
    expect(decodeStatus(bytesOf('Status', { message: 'no' }), 'protobuf')).toEqual({
      message: 'no',
      retryDelayMs: undefined,
    });
    expect(decodeStatus(json({ message: 'no' }), 'json')).toEqual({ message: 'no', retryDelayMs: undefined });
  });
});

describe('what is no message', () => {
  const bodies = [
    '<html>502 Bad Gateway</html>',
    '[]',
    'null',
    '"text"',
    '{"partialSuccess":',
    '\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff',
  ];
  test.each(bodies)('[7.15] %j says nothing', (text) => {
    const body = Buffer.from(text, 'latin1');
    for (const encoding of OTLP_ENCODINGS) {
      expect(decodePartialSuccess(body, encoding)).toBeUndefined();
      expect(decodeStatus(body, encoding)).toBeUndefined();
    }
  });

  test('[7.15] a message that ends too early, or whose inside is none, says nothing', () => {
    const whole = response({ rejectedDataPoints: 300, errorMessage: 'bad' });
    for (let end = 1; end < whole.length; end++)
      expect(decodePartialSuccess(whole.subarray(0, end), 'protobuf')).toBeUndefined();
    expect(decodePartialSuccess(Uint8Array.of(0x0a, 3, 0x08, 5, 0x12), 'protobuf')).toBeUndefined();
  });

  test('[7.23] a body of 100 MB is not read', () => {
    const size = 100 * 1024 * 1024;
    // Either would be a message that says something, were it not for its size.
    const unknownField = Buffer.concat([Buffer.of(0x1a, 0x80, 0x80, 0x80, 0x32), Buffer.alloc(size)]);
    const large = {
      protobuf: Buffer.concat([response({ rejectedDataPoints: 5 }), unknownField]),
      json: Buffer.concat([json({ partialSuccess: { rejectedDataPoints: 5 } }), Buffer.alloc(size, ' ')]),
    };
    for (const encoding of OTLP_ENCODINGS)
      expect(decodePartialSuccess(large[encoding], encoding)).toBeUndefined();
  });

  test('no bytes make it throw', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 60 }), fc.constantFrom(...OTLP_ENCODINGS), (body, encoding) => {
        decodePartialSuccess(body, encoding);
        decodeStatus(body, encoding);
      }),
      { numRuns: 2_000 },
    );
  });
});
