import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import * as grpc from '@grpc/grpc-js';
import { afterEach, describe, expect, onTestFinished, test, vi } from 'vitest';
import { startFaultProxy } from '../../test/support/fault-proxy.ts';
import { EXPORT_PATH, serveStub } from './fixtures/grpc-stub.ts';
import { createGrpcClient, type GrpcAnswer, type GrpcClientOptions } from './grpc-client.ts';
import { parseGrpcTarget } from './grpc-target.ts';

const BODY = new Uint8Array([10, 0, 255]);

function client(endpoint: string, options: Partial<GrpcClientOptions> = {}) {
  const made = createGrpcClient({
    target: parseGrpcTarget(endpoint)!,
    credentials: async ({ credentials }) => ({ version: 0, make: () => credentials.createInsecure() }),
    channelOptions: {},
    interceptors: [],
    maxConnectionAgeMillis: Infinity,
    ...options,
  });
  onTestFinished(() => made.close());
  return {
    ...made,
    call: (
      body: Uint8Array = BODY,
      { millis = 5_000, metadata = {}, signal = new AbortController().signal } = {},
    ): Promise<GrpcAnswer> =>
      made.call(EXPORT_PATH, body, { metadata, deadline: Date.now() + millis, signal }),
  };
}

afterEach(() => {
  vi.doUnmock('@grpc/grpc-js');
  vi.resetModules();
});

describe('gRPC client', () => {
  test('[7.26] a call carries path, bytes, metadata and deadline, and gives the bytes of the answer', async () => {
    const stub = await serveStub({ answer: () => new Uint8Array([1, 2]) });
    const before = Date.now();
    const answer = await client(`http://127.0.0.1:${stub.port}`).call(BODY.subarray(1), {
      millis: 3_000,
      metadata: { 'x-team': 'shop' },
    });
    expect(answer).toEqual({ code: 0, body: Buffer.from([1, 2]) });
    const [call] = stub.calls;
    expect([...call!.body]).toEqual([0, 255]);
    expect(call!.metadata).toMatchObject({ 'x-team': 'shop' });
    expect(call!.deadline).toBeGreaterThan(before + 2_000);
    expect(call!.deadline).toBeLessThan(before + 4_000);
    expect(call!.authority).toBe(`127.0.0.1:${stub.port}`);
  });

  test('calls one after the other share a connection', async () => {
    const stub = await serveStub();
    const one = client(`http://127.0.0.1:${stub.port}`);
    await one.call();
    await one.call();
    expect(new Set(stub.calls.map(({ peer }) => peer)).size).toBe(1);
  });

  test('[7.28] a failure has its code, text and binary details, and tells whether the server had begun to answer', async () => {
    const metadata = new grpc.Metadata();
    metadata.set('grpc-status-details-bin', Buffer.from([8, 3]));
    const stub = await serveStub({
      answer: (_, index) =>
        index === 0
          ? { code: grpc.status.INVALID_ARGUMENT, details: 'no', metadata }
          : new Uint8Array(200_000),
    });
    const one = client(`http://127.0.0.1:${stub.port}`, {
      channelOptions: { 'grpc.max_receive_message_length': 100_000 },
    });
    expect(await one.call()).toEqual({
      code: 3,
      details: 'no',
      statusDetails: Buffer.from([8, 3]),
      hasHeaders: false,
    });
    expect(await one.call()).toMatchObject({ code: 8, hasHeaders: true });
  });

  test('a failure does not repeat what the answer repeats of the secrets in the metadata', async () => {
    const answered = new grpc.Metadata();
    answered.set('grpc-status-details-bin', Buffer.from('\u0012\u0006s3cret'));
    const stub = await serveStub({
      answer: () => ({ code: grpc.status.UNAUTHENTICATED, details: 'no such s3cret', metadata: answered }),
    });
    const metadata = { authorization: 'Bearer s3cret' };
    expect(await client(`http://127.0.0.1:${stub.port}`).call(BODY, { metadata })).toMatchObject({
      details: 'no such ******',
      statusDetails: Buffer.from('\u0012\u0006******'),
    });
  });

  test.runIf(process.platform !== 'win32')('a unix socket', async () => {
    const path = `/tmp/meterline-${process.pid}-${Date.now()}.sock`;
    const stub = await serveStub({ address: `unix:${path}` });
    expect(await client(`unix:${path}`).call()).toMatchObject({ code: 0 });
    expect(stub.calls[0]!.authority).toBe('localhost');
  });

  test('IPv6', async () => {
    const stub = await serveStub({ address: '[::1]:0' });
    expect(await client(`http://[::1]:${stub.port}`).call()).toMatchObject({ code: 0 });
  });

  test('round_robin spreads calls over several addresses', async () => {
    const [a, b] = [await serveStub(), await serveStub()];
    const one = client(`ipv4:127.0.0.1:${a.port},127.0.0.1:${b.port}`, {
      channelOptions: { 'grpc.service_config': '{"loadBalancingConfig":[{"round_robin":{}}]}' },
    });
    await one.call();
    await vi.waitFor(async () => {
      await one.call();
      expect(a.calls.length).toBeGreaterThan(0);
      expect(b.calls.length).toBeGreaterThan(0);
    });
  });

  test('interceptors are asked', async () => {
    const stub = await serveStub();
    const seen: string[] = [];
    const one = client(`http://127.0.0.1:${stub.port}`, {
      interceptors: [
        (options, next) => {
          seen.push(options.method_definition.path);
          return new grpc.InterceptingCall(next(options));
        },
      ],
    });
    await one.call();
    expect(seen).toEqual([EXPORT_PATH]);
  });

  test('an abort ends the call', async () => {
    const stub = await serveStub({ answer: () => new Promise(() => {}) });
    const abort = new AbortController();
    const one = client(`http://127.0.0.1:${stub.port}`);
    const calling = one.call(BODY, { signal: abort.signal });
    await vi.waitFor(() => expect(stub.calls).toHaveLength(1));
    abort.abort();
    expect(await calling).toMatchObject({ code: grpc.status.CANCELLED });
  });
});

describe('connections', () => {
  test('each attempt after a refusal is a real one', async () => {
    const stub = await serveStub();
    const proxy = await startFaultProxy(stub.port);
    onTestFinished(() => proxy.stop());
    const one = client(`http://127.0.0.1:${proxy.port}`);
    proxy.refuse();
    for (let i = 0; i < 3; i++) expect(await one.call()).toMatchObject({ code: grpc.status.UNAVAILABLE });
    await proxy.heal();
    expect(await one.call()).toMatchObject({ code: 0 });
  });

  test('a server that went away and came back is found at the next call', async () => {
    const first = await serveStub();
    const one = client(`http://127.0.0.1:${first.port}`);
    await one.call();
    first.stop();
    expect(await one.call()).toMatchObject({ code: grpc.status.UNAVAILABLE });
    await serveStub({ address: `127.0.0.1:${first.port}` });
    expect(await one.call()).toMatchObject({ code: 0 });
  });

  test('a connection whose peer has vanished is replaced', async () => {
    const stub = await serveStub();
    const proxy = await startFaultProxy(stub.port);
    onTestFinished(() => proxy.stop());
    const one = client(`http://127.0.0.1:${proxy.port}`);
    await one.call();
    proxy.blackHole();
    expect(await one.call(BODY, { millis: 100 })).toMatchObject({ code: grpc.status.DEADLINE_EXCEEDED });
    await proxy.heal();
    const before = proxy.accepted;
    expect(await one.call()).toMatchObject({ code: 0 });
    expect(proxy.accepted).toBe(before + 1);
  });

  test('a peer that accepts and says nothing leaves no socket behind', async () => {
    const sockets = new Set<Socket>();
    const mute = createServer((socket) => {
      sockets.add(socket);
      socket
        .on('error', () => {})
        .on('close', () => sockets.delete(socket))
        .resume();
    }).listen(0, '127.0.0.1');
    onTestFinished(() => void mute.close());
    await once(mute, 'listening');
    const one = client(`http://127.0.0.1:${(mute.address() as { port: number }).port}`);
    for (let i = 0; i < 3; i++) {
      expect(await one.call(BODY, { millis: 50 })).toMatchObject({ code: grpc.status.DEADLINE_EXCEEDED });
    }
    await vi.waitFor(() => expect(sockets.size).toBe(0));
  });

  test('other credentials get another connection, and calls under way on the old one end well', async () => {
    const answers: ((answer: Uint8Array) => void)[] = [];
    const stub = await serveStub({ answer: () => new Promise((resolve) => answers.push(resolve)) });
    let version = 0;
    const one = client(`http://127.0.0.1:${stub.port}`, {
      credentials: async ({ credentials }) => ({ version, make: () => credentials.createInsecure() }),
    });
    const old = one.call();
    await vi.waitFor(() => expect(answers).toHaveLength(1));
    version = 1;
    const young = one.call();
    await vi.waitFor(() => expect(answers).toHaveLength(2));
    expect(new Set(stub.calls.map(({ peer }) => peer)).size).toBe(2);
    for (const answer of answers.reverse()) answer(new Uint8Array(0));
    expect(await Promise.all([old, young])).toMatchObject([{ code: 0 }, { code: 0 }]);
  });

  test('a connection that has reached its age is replaced', async () => {
    const stub = await serveStub();
    const one = client(`http://127.0.0.1:${stub.port}`, { maxConnectionAgeMillis: 0 });
    await one.call();
    await one.call();
    expect(new Set(stub.calls.map(({ peer }) => peer)).size).toBe(2);
  });

  test('closing frees the socket', async () => {
    const stub = await serveStub();
    const sockets = () => process.getActiveResourcesInfo().filter((kind) => kind === 'TCPSocketWrap').length;
    const before = sockets();
    const one = client(`http://127.0.0.1:${stub.port}`);
    await one.call();
    one.close();
    await vi.waitFor(() => expect(sockets()).toBe(before));
  });
});

test('without @grpc/grpc-js, a call names the command that installs it', async () => {
  vi.doMock('@grpc/grpc-js', () => {
    throw new Error('Cannot find package');
  });
  await expect(client('http://127.0.0.1:4317').call()).rejects.toMatchObject({
    code: 'INTERNAL',
    retryable: false,
    message: expect.stringContaining('npm install @grpc/grpc-js'),
  });
});
