// Keep-alive load on a local HTTP server, from a process of its own. Counts the bytes of answers of a known length
// rather than parsing them: a client that works harder than the server would measure itself.
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

const CONNECTIONS = 32;
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';

let answers = 0;

process.once('message', async ({ port, warmUpMs, measureMs }) => {
  for (let i = 0; i < CONNECTIONS; i++) keepAsking(connect(port, '127.0.0.1'));
  await sleep(warmUpMs);
  process.send('measuring');
  const before = answers;
  const start = performance.now();
  await sleep(measureMs);
  const seconds = (performance.now() - start) / 1_000;
  process.send({ requests: answers - before, seconds }, () => process.exit(0));
});
process.once('disconnect', () => process.exit(0));

function keepAsking(socket) {
  let answerLength;
  let received = 0;
  socket.setNoDelay().write(REQUEST);
  socket.on('data', (chunk) => {
    answerLength ??= lengthOf(chunk);
    received += chunk.length;
    if (received < answerLength) return;
    received = 0;
    answers++;
    socket.write(REQUEST);
  });
}

/** Headers of one server's answers differ in the date only, which has a fixed length. */
function lengthOf(firstAnswer) {
  const text = firstAnswer.toString('latin1');
  const headers = text.indexOf('\r\n\r\n');
  const [, length] = text.match(/^content-length: (\d+)/im) ?? [];
  if (headers < 0 || length === undefined) throw new Error(`not an answer to count by: ${text}`);
  return headers + 4 + Number(length);
}
