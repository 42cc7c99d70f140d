import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { type FaultProxy, startFaultProxy } from './fault-proxy.ts';

let echo: Server;
let received: string;
let proxy: FaultProxy;
let stopping: (() => void)[];

/** Echoes with a prefix, and remembers what came. */
async function startEcho(prefix = ''): Promise<Server> {
  const server = createServer((socket) => {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      received += data;
      socket.write(`${prefix}${data}`);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  stopping.push(() => server.close());
  return server;
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

function client(): Socket {
  const socket = connect({ port: proxy.port, host: '127.0.0.1' });
  socket.on('error', () => {});
  stopping.push(() => socket.destroy());
  return socket;
}

async function answer(socket: Socket, request: string): Promise<string> {
  socket.write(request);
  const [data] = await once(socket, 'data');
  return String(data);
}

/** The code of the error that ends the socket. */
const failure = async (socket: Socket) => {
  const [error] = await once(socket, 'error');
  return (error as NodeJS.ErrnoException).code;
};

beforeEach(async () => {
  received = '';
  stopping = [];
  echo = await startEcho();
  proxy = await startFaultProxy(portOf(echo));
  stopping.push(() => proxy.stop());
});

afterEach(() => {
  for (const stop of stopping) stop();
});

test('forwards both ways and counts connections', async () => {
  expect(await answer(client(), 'a')).toBe('a');
  expect(await answer(client(), 'b')).toBe('b');
  expect(proxy.accepted).toBe(2);
});

test('forwards an end from either side', async () => {
  const socket = client();
  await answer(socket, 'a');
  socket.end();
  await once(socket, 'close');
});

test('sends new connections elsewhere, and leaves open ones', async () => {
  const other = await startEcho('other:');
  const open = client();
  await answer(open, 'a');
  proxy.switchTo(portOf(other));

  expect(await answer(open, 'b')).toBe('b');
  expect(await answer(client(), 'c')).toBe('other:c');
});

test('delays', async () => {
  const socket = client();
  await answer(socket, 'a');
  proxy.delay(40);
  const start = performance.now();
  await answer(socket, 'b');

  expect(performance.now() - start).toBeGreaterThanOrEqual(79);
});

test('a black hole lets nothing through, on open and new connections, until it heals', async () => {
  const open = client();
  await answer(open, 'a');
  proxy.blackHole();
  const fresh = client();
  await once(fresh, 'connect');
  const answers = [answer(open, 'b'), answer(fresh, 'c')];

  expect(await Promise.race([...answers, setTimeout(50, 'nothing')])).toBe('nothing');
  expect(received).toBe('a');
  await proxy.heal();
  expect(await Promise.all(answers)).toEqual(['b', 'c']);
});

test('forgets open connections for good, and serves new ones', async () => {
  const open = client();
  await answer(open, 'a');
  proxy.forget();

  expect(await Promise.race([answer(open, 'b'), setTimeout(50, 'nothing')])).toBe('nothing');
  expect(await answer(client(), 'c')).toBe('c');
  expect(received).toBe('ac');
});

test('refuses new connections, leaves open ones, and listens on the same port again', async () => {
  const open = client();
  await answer(open, 'a');
  const { port } = proxy;
  proxy.refuse();

  expect(await failure(client())).toBe('ECONNREFUSED');
  expect(await answer(open, 'b')).toBe('b');
  await proxy.heal();
  expect(proxy.port).toBe(port);
  expect(await answer(client(), 'c')).toBe('c');
});

test('cuts once after so many bytes of requests, which the server gets', async () => {
  const cut = proxy.cutAfter(3);
  const socket = client();
  socket.write('abcdef');

  expect(await failure(socket)).toBe('ECONNRESET');
  await cut;
  await expect.poll(() => received, { timeout: 10_000 }).toBe('abc');
  expect(await answer(client(), 'whole again')).toBe('whole again');
});

test('cuts the answer to a request that the server got whole', async () => {
  const cut = proxy.cutAfter(0, 'responses');
  const socket = client();
  socket.write('abcdef');

  expect(await failure(socket)).toBe('ECONNRESET');
  await cut;
  expect(received).toBe('abcdef');
});

test('resets what is open', async () => {
  const socket = client();
  await answer(socket, 'a');
  proxy.reset();

  expect(await failure(socket)).toBe('ECONNRESET');
});

test('a server that is not there looks like one', async () => {
  echo.close();
  const socket = client();

  expect(await failure(socket)).toBe('ECONNRESET');
});

test('carries megabytes whole', async () => {
  const socket = client();
  const sent = 'x'.repeat(4 * 1024 * 1024);
  let back = 0;
  socket.on('data', (data) => (back += data.length));
  socket.write(sent);

  await expect.poll(() => back, { timeout: 10_000 }).toBe(sent.length);
});
