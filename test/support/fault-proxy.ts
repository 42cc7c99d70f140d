// A TCP proxy on loopback between a client and a server, with the faults of networks at command.
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';
import { setTimeout } from 'node:timers/promises';

export interface FaultProxy {
  /** Where clients connect; stays the same, whatever happens behind. */
  readonly port: number;
  /** Connections made by clients so far. */
  readonly accepted: number;
  /** New connections go to another port of this machine; those open stay where they are. */
  switchTo(port: number): void;
  /** Each chunk arrives so much later, both ways. */
  delay(millis: number): void;
  /** Nothing gets through, in either direction, and nobody is told; connecting still works. */
  blackHole(): void;
  /** The connections now open are swallowed for good, as when a router forgets them; new ones work. */
  forget(): void;
  /** New connections are refused; those open go on. */
  refuse(): void;
  /**
   * Resets the connection on which, from now on, the so-many-th byte of requests (or of responses, all connections counted
   * together) would pass; that byte and what follows is lost. Happens once. Settles when it has.
   */
  cutAfter(bytes: number, of?: 'requests' | 'responses'): Promise<void>;
  /** Resets all open connections. */
  reset(): void;
  /** Ends delay, black hole and refusal. What a black hole held back goes on, as TCP would send it again. */
  heal(): Promise<void>;
  stop(): void;
}

type Direction = 'requests' | 'responses';

interface Cut {
  readonly of: Direction;
  remaining: number;
  readonly done: () => void;
}

/** @param targetPort where connections go, on 127.0.0.1 */
export async function startFaultProxy(targetPort: number): Promise<FaultProxy> {
  const sockets = new Set<Socket>();
  const forgotten = new WeakSet<Socket>();
  let target = targetPort;
  let accepted = 0;
  let delayMillis = 0;
  let cut: Cut | undefined;
  let hole: { readonly passed: Promise<void>; readonly open: () => void } | undefined;
  let server = await listen(0);
  const { port } = server.address() as AddressInfo;

  async function listen(onPort: number): Promise<Server> {
    const listening = createServer({ allowHalfOpen: true, noDelay: true }, (client) => {
      accepted++;
      void connected(client);
    }).listen(onPort, '127.0.0.1');
    await once(listening, 'listening');
    return listening;
  }

  async function connected(client: Socket): Promise<void> {
    track(client);
    await hole?.passed;
    if (client.destroyed) return;
    const upstream = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    track(upstream);
    await Promise.allSettled([forward(client, upstream, 'requests'), forward(upstream, client, 'responses')]);
    // A side that is gone takes the other with it, as without a proxy.
    client.destroy();
    upstream.destroy();
  }

  function track(socket: Socket): void {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.once('close', () => sockets.delete(socket));
  }

  async function forward(from: Socket, to: Socket, direction: Direction): Promise<void> {
    try {
      // The iterator would close the socket in good order, where a cut resets it.
      for await (const chunk of from.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
        if (delayMillis > 0) await setTimeout(delayMillis);
        await hole?.passed;
        if (forgotten.has(from)) {
          if (!from.destroyed) await once(from, 'close');
          to.destroy();
          return;
        }
        const due = cut?.of === direction ? cut : undefined;
        const passing = due ? chunk.subarray(0, due.remaining) : chunk;
        if (due) due.remaining -= passing.length;
        const isCut = passing.length < chunk.length;
        if (isCut) cut = undefined;
        if (passing.length > 0) await write(to, passing);
        if (isCut) {
          from.resetAndDestroy();
          to.resetAndDestroy();
          return due?.done();
        }
      }
      to.end();
    } catch {
      from.resetAndDestroy();
      to.resetAndDestroy();
    }
  }

  const reset = () => {
    for (const socket of sockets) socket.resetAndDestroy();
  };

  return {
    port,
    get accepted() {
      return accepted;
    },
    switchTo: (to) => {
      target = to;
    },
    delay: (millis) => {
      delayMillis = millis;
    },
    blackHole: () => {
      hole ??= passage();
    },
    forget: () => {
      for (const socket of sockets) forgotten.add(socket);
    },
    refuse: () => {
      server.close();
    },
    cutAfter: (bytes, of = 'requests') =>
      new Promise((done) => {
        cut = { of, remaining: bytes, done };
      }),
    reset,
    heal: async () => {
      delayMillis = 0;
      hole?.open();
      hole = undefined;
      if (!server.listening) server = await listen(port);
    },
    stop: () => {
      server.close();
      hole?.open();
      reset();
    },
  };
}

function passage() {
  let open = () => {};
  const passed = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { passed, open };
}

/** Settles when the system has taken the bytes, which also holds the sender back. */
function write(socket: Socket, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    socket.write(bytes, (error) => (error ? reject(error) : resolve()));
  });
}
