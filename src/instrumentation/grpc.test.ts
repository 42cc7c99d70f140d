import { EventEmitter, once } from 'node:events';
import { constants } from 'node:http2';
import * as grpc from '@grpc/grpc-js';
import { DiagLogLevel, diag } from '@opentelemetry/api';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import {
  callHeaders,
  connectRaw,
  echo,
  type Implementation,
  outcome,
  serveGrpc,
  streamed,
} from './fixtures/grpc-server.ts';
import { countUnknownGrpcMethods, grpcServerInterceptor } from './grpc.ts';

describe('what is recorded', () => {
  test('a call is one point on both metrics with the same attributes, and none stays active', async () => {
    const { unary, recorded } = await serveGrpc(echo);
    await unary();
    await unary();
    await recorded.settled('grpc', 2);
    const attributes = {
      'rpc.service': 'shop.Orders',
      'rpc.method': 'Unary',
      'rpc.status_code': 'OK',
      status: 'success',
    };
    expect(await recorded.points('grpc_server_requests_total')).toEqual([{ attributes, value: 2 }]);
    expect(await recorded.points('grpc_server_request_duration_seconds')).toEqual([
      { attributes, value: expect.objectContaining({ count: 2 }) },
    ]);
    expect(await recorded.points('grpc_server_active_requests')).toEqual([{ attributes: {}, value: 0 }]);
    const [duration] = await recorded.histograms('grpc_server_request_duration_seconds');
    expect(duration!.sum).toBeGreaterThan(0);
    expect(duration!.sum).toBeLessThan(2);
    expect(duration!.boundaries.slice(0, 3)).toEqual([0.005, 0.01, 0.025]);
    const metrics = await recorded.metrics();
    expect(metrics.map(({ descriptor }) => `${descriptor.name} ${descriptor.unit}`).sort()).toEqual([
      'grpc_server_active_requests 1',
      'grpc_server_request_duration_seconds s',
      'grpc_server_requests_total 1',
    ]);
  });

  test('all four kinds of call', async () => {
    const { client, unary, recorded, byStatus } = await serveGrpc(echo);
    await unary();
    await outcome((done) => {
      const stream = client.ClientStream!(done);
      stream.write({ text: 'a' });
      stream.end({ text: 'b' });
    });
    await streamed(client.ServerStream!({ text: 'a' }));
    const bidi = client.Bidi!();
    bidi.write({ text: 'a' });
    bidi.end();
    await streamed(bidi);
    await recorded.settled('grpc', 4);
    expect(await byStatus()).toEqual({
      'Unary OK success': 1,
      'ClientStream OK success': 1,
      'ServerStream OK success': 1,
      'Bidi OK success': 1,
    });
  });

  test('[11.06] a status is its name, and one that gRPC does not define is UNKNOWN', async () => {
    const { unary, recorded, byStatus } = await serveGrpc({
      Unary: ({ request }, done) => done({ code: Number(request.text), details: 'told to' }),
    });
    for (const code of [3, 5, 14, 16, 42]) await unary(String(code));
    await recorded.settled('grpc', 5);
    expect(await byStatus()).toEqual({
      'Unary INVALID_ARGUMENT error': 1,
      'Unary NOT_FOUND error': 1,
      'Unary UNAVAILABLE error': 1,
      'Unary UNAUTHENTICATED error': 1,
      'Unary UNKNOWN error': 1,
    });
  });

  test('a call in flight is active and not counted yet', async () => {
    let answer = () => {};
    const { unary, recorded } = await serveGrpc({
      Unary: (_, done) => {
        answer = () => done(null, { text: '' });
      },
    });
    const done = unary();
    await vi.waitFor(async () => expect(await recorded.total('grpc_server_active_requests')).toBe(1));
    expect(await recorded.total('grpc_server_requests_total')).toBe(0);
    answer();
    await done;
    await recorded.settled('grpc', 1);
  });
});

describe('every way a call can end is counted once and leaves nothing active', () => {
  /** Handlers that say they were called, and nothing more. */
  const hanging = (called: () => void): Implementation => ({
    Unary: called,
    ClientStream: called,
    ServerStream: called,
    Bidi: called,
  });
  type Cancellable = Pick<grpc.Call, 'cancel'> & EventEmitter;
  const kinds: Record<
    string,
    (client: InstanceType<grpc.ServiceClientConstructor>, options: grpc.CallOptions) => Cancellable
  > = {
    Unary: (client, options) => client.Unary!({ text: 'x' }, options, () => {}),
    ClientStream: (client, options) => client.ClientStream!(options, () => {}),
    ServerStream: (client, options) => client.ServerStream!({ text: 'x' }, options),
    Bidi: (client, options) => client.Bidi!(options),
  };

  test.each(Object.entries(kinds))('%s: the client cancels', async (kind, start) => {
    const called = new EventEmitter();
    const { client, recorded, byStatus } = await serveGrpc(hanging(() => called.emit('call')));
    const arrived = once(called, 'call');
    const call = start(client, {});
    call.on('error', () => {});
    await arrived;
    call.cancel();
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ [`${kind} CANCELLED error`]: 1 });
  });

  test.each(Object.keys(kinds))('%s: the deadline passes', async (kind) => {
    const { port, recorded, byStatus } = await serveGrpc(hanging(() => {}));
    // A client that leaves it to the server: grpc-js would hang up by itself at the same moment.
    const stream = connectRaw(port).request({
      ...callHeaders(`/shop.Orders/${kind}`),
      'grpc-timeout': '30m',
    });
    stream.resume().end(Buffer.from([0, 0, 0, 0, 0]));
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ [`${kind} DEADLINE_EXCEEDED error`]: 1 });
  });

  test.each([
    ['long before the deadline', '1H', 'CANCELLED'],
    ['close to the deadline', '10m', 'DEADLINE_EXCEEDED'],
  ])('the client hangs up %s', async (_, timeout, expected) => {
    const called = new EventEmitter();
    const { port, recorded, byStatus } = await serveGrpc(hanging(() => called.emit('call')));
    const arrived = once(called, 'call');
    const stream = connectRaw(port).request({ ...callHeaders('/shop.Orders/Bidi'), 'grpc-timeout': timeout });
    await arrived;
    stream.close(constants.NGHTTP2_CANCEL);
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ [`Bidi ${expected} error`]: 1 });
  });

  test.each(Object.entries(kinds))('%s: the server is shut down by force', async (kind, start) => {
    const called = new EventEmitter();
    const { server, client, recorded, byStatus } = await serveGrpc(hanging(() => called.emit('call')));
    const arrived = once(called, 'call');
    start(client, {}).on('error', () => {});
    await arrived;
    server.forceShutdown();
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ [`${kind} CANCELLED error`]: 1 });
  });

  test.each(Object.entries(kinds))('%s: the handler throws', async (kind, start) => {
    const { client, recorded, byStatus } = await serveGrpc(
      hanging(() => {
        throw new Error('broken handler');
      }),
    );
    start(client, {}).on('error', () => {});
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ [`${kind} UNKNOWN error`]: 1 });
  });

  test('a stream fails after messages were sent', async () => {
    const { client, recorded, byStatus } = await serveGrpc({
      ServerStream: (call) => {
        call.write(call.request);
        call.emit('error', { code: grpc.status.DATA_LOSS, details: 'gone' });
      },
    });
    expect(await streamed(client.ServerStream!({ text: 'x' }))).toBe(grpc.status.DATA_LOSS);
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ 'ServerStream DATA_LOSS error': 1 });
  });

  test('the server answers while the client still sends', async () => {
    const { client, recorded, byStatus } = await serveGrpc({
      ClientStream: (_, done) => done({ code: grpc.status.RESOURCE_EXHAUSTED, details: 'enough' }),
    });
    const code = await outcome((done) => client.ClientStream!(done).write({ text: 'x' }));
    expect(code).toBe(grpc.status.RESOURCE_EXHAUSTED);
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ 'ClientStream RESOURCE_EXHAUSTED error': 1 });
  });

  test('a graceful shutdown waits for the call and the call is OK', async () => {
    const called = new EventEmitter();
    const { server, unary, recorded, byStatus } = await serveGrpc({
      Unary: ({ request }, done) => called.emit('call', () => done(null, request)),
    });
    const arrived = once(called, 'call');
    const answered = unary();
    const [answer] = await arrived;
    const down = new Promise((resolve) => server.tryShutdown(resolve));
    answer();
    expect(await answered).toBe(grpc.status.OK);
    await down;
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ 'Unary OK success': 1 });
  });

  test('statuses that grpc-js sends by itself: a message too large, and one that cannot be read', async () => {
    const { port, unary, recorded, byStatus } = await serveGrpc(
      echo,
      {},
      { 'grpc.max_receive_message_length': 100 },
    );
    expect(await unary('x'.repeat(200))).toBe(grpc.status.RESOURCE_EXHAUSTED);
    const raw = connectRaw(port);
    const stream = raw.request(callHeaders('/shop.Orders/Unary'));
    // A frame of one byte that is no Protocol Buffers message.
    stream.end(Buffer.from([0, 0, 0, 0, 1, 0xff]));
    await once(stream.resume(), 'close');
    await recorded.settled('grpc', 2);
    expect(await byStatus()).toEqual({ 'Unary RESOURCE_EXHAUSTED error': 1, 'Unary INTERNAL error': 1 });
  });

  test('the connection breaks', async () => {
    const called = new EventEmitter();
    const { port, recorded, byStatus } = await serveGrpc(hanging(() => called.emit('call')));
    const arrived = once(called, 'call');
    const raw = connectRaw(port);
    raw.request(callHeaders('/shop.Orders/Bidi')).on('error', () => {});
    await arrived;
    raw.destroy();
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ 'Bidi CANCELLED error': 1 });
  });
});

describe('unknown methods', () => {
  test('[11.06] they share one series, however many there are', async () => {
    const { port, recorded } = await serveGrpc(echo);
    const raw = connectRaw(port);
    for (let i = 0; i < 20; i++) {
      const stream = raw.request(callHeaders(`/scan.Service${i}/Method${i}`));
      await once(stream.resume().end(), 'close');
    }
    await recorded.settled('grpc', 20);
    const attributes = {
      'rpc.service': '_OTHER',
      'rpc.method': '_OTHER',
      'rpc.status_code': 'UNIMPLEMENTED',
      status: 'error',
    };
    expect(await recorded.points('grpc_server_requests_total')).toEqual([{ attributes, value: 20 }]);
  });

  test('a registered method without a handler keeps its name', async () => {
    const { client, recorded, byStatus } = await serveGrpc({ Unary: echo.Unary });
    expect(await streamed(client.ServerStream!({ text: 'x' }))).toBe(grpc.status.UNIMPLEMENTED);
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ 'ServerStream UNIMPLEMENTED error': 1 });
  });
});

describe('other interceptors', () => {
  const rejecting: grpc.ServerInterceptor = (_, call) =>
    new grpc.ServerInterceptingCall(call, {
      start: () => call.sendStatus({ code: grpc.status.UNAUTHENTICATED, details: 'who?' }),
    });
  const hanging: grpc.ServerInterceptor = (_, call) =>
    new grpc.ServerInterceptingCall(call, { start: () => {} });

  test.each(['before', 'after'])('one that rejects %s ours', async (place) => {
    const { unary, recorded, byStatus } = await serveGrpc(echo, {}, { [place]: [rejecting] });
    expect(await unary()).toBe(grpc.status.UNAUTHENTICATED);
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ 'Unary UNAUTHENTICATED error': 1 });
  });

  test.each(['before', 'after'])(
    'one %s ours that never starts a call, which the client then cancels',
    async (place) => {
      const { client, recorded, byStatus } = await serveGrpc(echo, {}, { [place]: [hanging] });
      const call = client.Unary!({ text: 'x' }, () => {});
      await vi.waitFor(async () => expect(await recorded.total('grpc_server_active_requests')).toBe(1));
      call.cancel();
      await recorded.settled('grpc', 1);
      expect(await byStatus()).toEqual({ 'Unary CANCELLED error': 1 });
    },
  );
});

describe('the host comes first', () => {
  const warnings = () => {
    const warn = vi.fn();
    const other = () => {};
    diag.setLogger({ error: other, warn, info: other, debug: other, verbose: other }, DiagLogLevel.WARN);
    onTestFinished(() => diag.disable());
    return () => warn.mock.calls.map(([message]) => String(message));
  };

  test('methods that `ignore` names are left out', async () => {
    const { client, unary, recorded, byStatus } = await serveGrpc(echo, {
      ignore: (path) => path === '/shop.Orders/Unary',
    });
    await unary();
    await streamed(client.ServerStream!({ text: 'x' }));
    await recorded.settled('grpc', 1);
    expect(await byStatus()).toEqual({ 'ServerStream OK success': 1 });
  });

  test('an `ignore` that throws is reported once, and calls are measured all the same', async () => {
    const reported = warnings();
    const { unary, recorded } = await serveGrpc(echo, {
      ignore: () => {
        throw new Error('broken');
      },
    });
    expect([await unary(), await unary()]).toEqual([grpc.status.OK, grpc.status.OK]);
    await recorded.settled('grpc', 2);
    expect(reported()).toEqual([expect.stringContaining('`ignore` function')]);
  });

  test('a provider that throws costs the metrics, not the call', async () => {
    const reported = warnings();
    const meterProvider = {
      getMeter: () => {
        throw new Error('broken');
      },
    };
    const { unary } = await serveGrpc(echo, { meterProvider });
    expect([await unary(), await unary()]).toEqual([grpc.status.OK, grpc.status.OK]);
    expect(reported()).toEqual([expect.stringContaining('could not be observed')]);
  });

  test('a grpc-js whose inside looks different is reported, and calls pass', () => {
    const reported = warnings();
    const call = { getDeadline: () => Number.POSITIVE_INFINITY } as unknown as grpc.ServerInterceptingCall;
    const descriptor = { path: '/a.B/C' } as Parameters<grpc.ServerInterceptor>[0];
    expect(grpcServerInterceptor()(descriptor, call)).toBe(call);
    countUnknownGrpcMethods({} as grpc.Server);
    expect(reported()).toEqual([
      expect.stringContaining('hides the stream'),
      expect.stringContaining('unknown methods'),
    ]);
  });
});
