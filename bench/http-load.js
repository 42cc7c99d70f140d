// Keep-alive load on a local HTTP server. Counts the bytes of answers of a known length rather than parsing them: a
// client that works harder than the server would measure itself.
import { once } from 'node:events';
import { connect } from 'node:net';

const CONNECTIONS = 32;
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

/** Connects once; the function that it gives loads the server for so many milliseconds and returns the requests. */
export async function httpLoad(port) {
  const connections = await Promise.all(Array.from({ length: CONNECTIONS }, () => keepAlive(port)));
  return async (millis) => {
    const until = performance.now() + millis;
    const counts = await Promise.all(connections.map((ask) => ask(until)));
    return counts.reduce((sum, count) => sum + count, 0);
  };
}

async function keepAlive(port) {
  const socket = connect(port, '127.0.0.1').setNoDelay();
  await once(socket, 'connect');
  let answerLength;
  let received = 0;
  let answers = 0;
  let until = 0;
  let done;
  socket.on('data', (chunk) => {
    answerLength ??= lengthOf(chunk);
    received += chunk.length;
    if (received < answerLength) return;
    received = 0;
    answers++;
    if (performance.now() < until) socket.write(REQUEST);
    else done(answers);
  });
  return (end) => {
    until = end;
    answers = 0;
    socket.write(REQUEST);
    return new Promise((resolve) => {
      done = resolve;
    });
  };
}

/** Headers of one server's answers differ in the date only, which has a fixed length. */
function lengthOf(firstAnswer) {
  const text = firstAnswer.toString('latin1');
  const headers = text.indexOf('\r\n\r\n');
  const [, length] = text.match(/^content-length: (\d+)/im) ?? [];
  if (headers < 0 || length === undefined) throw new Error(`not an answer to count by: ${text}`);
  return headers + 4 + Number(length);
}
