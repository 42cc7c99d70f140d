// One request and its response, from the end of the request's headers until the response has closed.
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import type { HttpInstruments } from './http-instruments.ts';

const EXCHANGE = Symbol('exchange');
const OPEN = Symbol('open exchanges');

type Tracked<T> = T & { [EXCHANGE]: Exchange };
type TrackedSocket = Socket & { [OPEN]?: Set<Exchange> };

export class Exchange {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly instruments: HttpInstruments;
  requestBytes = 0;
  responseBytes = 0;
  /** The methods that the counting ones stand in for. */
  readonly push: IncomingMessage['push'];
  readonly write: ServerResponse['write'];
  readonly end: ServerResponse['end'];
  readonly #socket: TrackedSocket;
  readonly #startedAt = performance.now();
  readonly #onClose: (exchange: Exchange, seconds: number) => void;
  #isOpen = true;

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
    this.write = response.write;
    this.end = response.end;

    // Own methods on the few objects at hand leave every prototype alone. Most requests have no body to count.
    const { headers } = request;
    if (headers['content-length'] !== undefined || headers['transfer-encoding'] !== undefined) {
      (request as Tracked<IncomingMessage>)[EXCHANGE] = this;
      request.push = countedPush;
    }
    (response as Tracked<ServerResponse>)[EXCHANGE] = this;
    response.write = countedWrite as ServerResponse['write'];
    response.end = countedEnd as ServerResponse['end'];

    response.on('close', closeResponse);
    openOn(socket).add(this);
  }

  /** The code on the response, or what stands for it when the connection was lost before there was one. */
  get statusCode(): number {
    return this.response.headersSent ? this.response.statusCode : this.#codeOfLoss;
  }

  /** Whether the server failed: by its answer, or by breaking it off. */
  get isError(): boolean {
    return this.statusCode >= 500 || (!this.#isComplete && this.#codeOfLoss >= 500);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#socket[OPEN]?.delete(this);
    this.#onClose(this, (performance.now() - this.#startedAt) / 1_000);
  }

  /** A response gives its socket back once it is written; `finish` is emitted even when writing has failed. */
  get #isComplete(): boolean {
    return this.response.writableFinished && this.response.socket === null && !this.#socket.errored;
  }

  get #codeOfLoss(): number {
    const error = this.#socket.errored as NodeJS.ErrnoException | null | undefined;
    // Node answers these two itself, on the bare socket.
    if (error?.code === 'ERR_HTTP_REQUEST_TIMEOUT') return 408;
    if (error?.code?.startsWith('HPE_')) return 400;
    // The client hung up: in order, or by a reset that a system call came back with. 499 is what nginx writes.
    if (this.#socket.readableEnded || error?.syscall !== undefined) return 499;
    return 500;
  }
}

/** Responses that wait behind another one (pipelining) are told nothing when their socket closes. */
function openOn(socket: TrackedSocket): Set<Exchange> {
  let open = socket[OPEN];
  if (open === undefined) {
    open = new Set();
    socket[OPEN] = open;
    socket.once('close', closeAll);
  }
  return open;
}

function closeAll(this: TrackedSocket): void {
  for (const exchange of this[OPEN]!) exchange.close();
}

function closeResponse(this: ServerResponse): void {
  (this as Tracked<ServerResponse>)[EXCHANGE].close();
}

function countedPush(this: IncomingMessage, chunk: unknown, encoding?: BufferEncoding): boolean {
  const exchange = (this as Tracked<IncomingMessage>)[EXCHANGE];
  exchange.requestBytes += byteLength(chunk, encoding);
  return exchange.push.call(this, chunk, encoding);
}

function countedWrite(this: ServerResponse, chunk: unknown, encoding: BufferEncoding, callback: () => void) {
  const exchange = (this as Tracked<ServerResponse>)[EXCHANGE];
  if (!this.writableEnded) exchange.responseBytes += byteLength(chunk, encoding);
  return exchange.write.call(this, chunk, encoding, callback);
}

function countedEnd(this: ServerResponse, chunk: unknown, encoding: BufferEncoding, callback: () => void) {
  const exchange = (this as Tracked<ServerResponse>)[EXCHANGE];
  if (!this.writableEnded) exchange.responseBytes += byteLength(chunk, encoding);
  return exchange.end.call(this, chunk, encoding, callback);
}

/** `chunk` may also be missing or a callback, and `encoding` a callback. */
function byteLength(chunk: unknown, encoding: unknown): number {
  if (typeof chunk === 'string') return Buffer.byteLength(chunk, encoding as BufferEncoding);
  return chunk instanceof Uint8Array ? chunk.byteLength : 0;
}
