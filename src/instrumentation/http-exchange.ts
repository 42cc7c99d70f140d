// One request and its response, from the end of the request's headers until the response has closed.
import { type IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpInstruments } from './http-instruments.ts';

const EXCHANGE = Symbol('exchange');
const NEWEST = Symbol('newest open exchange');

type Tracked<T> = T & { [EXCHANGE]: Exchange };
type TrackedSocket = Socket & { [NEWEST]?: Exchange | null };

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly instruments: HttpInstruments;
  requestBytes = 0;
  responseBytes = 0;
  /** The method that the counting one stands in for. */
  readonly push: IncomingMessage['push'];
  readonly #socket: TrackedSocket;
  readonly #startedAt = performance.now();
  readonly #onClose: (exchange: Exchange, seconds: number) => void;
  /** The one that this one waits behind, which only pipelining brings about. */
  #older: Exchange | null;
  #isOpen = true;
  #isComplete = false;

  /** @param onClose called exactly once, when the response has closed; must not throw */
  constructor(
    request: IncomingMessage,
    response: ServerResponse,
    socket: Socket,
    instruments: HttpInstruments,
    onClose: (exchange: Exchange, seconds: number) => void,
  ) {
    this.request = request;
    this.response = response;
    this.instruments = instruments;
    this.#socket = socket;
    this.#onClose = onClose;
    this.push = request.push;

    if (announcesBody(request.rawHeaders)) {
      (request as Tracked<IncomingMessage>)[EXCHANGE] = this;
      request.push = countedPush;
    }
    (response as Tracked<ServerResponse>)[EXCHANGE] = this;
    countResponses();

    // One listener per connection is cheaper than one per response, and the only way to hear of the end of a
    // response that waits behind another one: Node emits no `close` on it.
    const newest = this.#socket[NEWEST];
    if (newest === undefined) socket.once('close', loseAll);
    this.#older = newest ?? null;
    this.#socket[NEWEST] = this;
  }

  static of(response: ServerResponse): Exchange | undefined {
    return (response as Partial<Tracked<ServerResponse>>)[EXCHANGE];
  }

  /** The code on the response, or what stands for it when the connection was lost before there was one. */
  get statusCode(): number {
    return this.response.headersSent ? this.response.statusCode : this.#codeOfLoss;
  }

  /** Whether the server failed: by its answer, or by breaking it off. */
  get isError(): boolean {
    return this.statusCode >= 500 || (!this.#isComplete && this.#codeOfLoss >= 500);
  }

  /** The response was handed to the operating system. */
  finish(): void {
    // Node says so as well when the last write fails because the connection is gone.
    this.#isComplete = !this.#socket.destroyed;
    this.#close();
  }

  /** The connection is gone: neither this one nor those before it will finish. No recursion: a client can send thousands. */
  lose(): void {
    let lost: Exchange | null = this;
    while (lost !== null) {
      const older: Exchange | null = lost.#older;
      lost.#close();
      lost = older;
    }
  }

  #close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    // Responses finish in the order of their requests, so no older one is left.
    this.#older = null;
    if (this.#socket[NEWEST] === this) this.#socket[NEWEST] = null;
    this.#onClose(this, (performance.now() - this.#startedAt) / 1_000);
  }

  get #codeOfLoss(): number {
    const error = this.#socket.errored as NodeJS.ErrnoException | null | undefined;
    // Node answers these two itself, on the bare socket.
    if (error?.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
    if (error?.code?.startsWith('HPE_')) return 400;
    // The client hung up: in order, or by a reset that a system call came back with. 499 is what nginx writes.
    // ECANCELED is a write cut short because this side closed the socket.
    const isReset = error?.syscall !== undefined && error.code !== 'ECANCELED';
    if (isReset || this.#socket.readableEnded) return 499;
    return 500;
  }
}

function loseAll(this: TrackedSocket): void {
  this[NEWEST]?.lose();
}

function countedPush(this: IncomingMessage, chunk: unknown, encoding?: BufferEncoding): boolean {
  const exchange = (this as Tracked<IncomingMessage>)[EXCHANGE];
  exchange.requestBytes += byteLength(chunk, encoding);
  return exchange.push.call(this, chunk, encoding);
}

let isCounting = false;

/**
 * Wraps `write` and `end` of all responses, once in the life of the process. Own methods on each response would leave
 * the prototype alone, but cost more than everything else that is done for a request.
 */
function countResponses(): void {
  if (isCounting) return;
  isCounting = true;
  const prototype = ServerResponse.prototype as unknown as Record<'write' | 'end', ResponseMethod>;
  const { write, end } = prototype;
  prototype.write = function (chunk, encoding, callback) {
    count(this, chunk, encoding);
    return write.call(this, chunk, encoding, callback);
  };
  prototype.end = function (chunk, encoding, callback) {
    count(this, chunk, encoding);
    return end.call(this, chunk, encoding, callback);
  };
}

type ResponseMethod = (this: ServerResponse, chunk: unknown, encoding: unknown, callback: unknown) => unknown;

function count(response: ServerResponse, chunk: unknown, encoding: unknown): void {
  const exchange = (response as Partial<Tracked<ServerResponse>>)[EXCHANGE];
  if (exchange !== undefined && !response.writableEnded) {
    exchange.responseBytes += byteLength(chunk, encoding);
  }
}

/** Looks at the raw list, because `headers` is made on first touch, which a handler may never need. */
function announcesBody(rawHeaders: readonly string[]): boolean {
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!;
    if (name.length !== 14 && name.length !== 17) continue;
    const lower = name.toLowerCase();
    if (lower === 'content-length' || lower === 'transfer-encoding') return true;
  }
  return false;
}

/** `chunk` may also be missing or a callback, and `encoding` a callback. */
function byteLength(chunk: unknown, encoding: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk, encoding as BufferEncoding);
  return chunk instanceof Uint8Array ? chunk.byteLength : 0;
}
