// When a response is the one that its connection takes. A client may send the next requests before it has read an answer, as many
// as it likes and for next to nothing: answers that nobody can take yet must not wait in memory.
import { type IncomingMessage, ServerResponse } from 'node:http';
import { Socket } from 'node:net';

/** Calls `answer` when the responses before this one are sent; never, when the connection ends before. */
export function inResponseTurn(request: IncomingMessage, response: ServerResponse, answer: () => void): void {
  // Not what stands for a connection within the process, nor a stream of HTTP/2, nor what has had a connection and is over.
  const isQueued =
    response instanceof ServerResponse &&
    response.socket === null &&
    !response.destroyed &&
    request.socket instanceof Socket;
  if (isQueued) response.once('socket', answer);
  else answer();
}
