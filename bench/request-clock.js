// Requests at a steady rate, from a process of its own, and how long each of them took. The time runs from when one was
// due, not from when it was sent: otherwise those that wait in line for a busy server would not count.
import { once } from 'node:events';
import { connect } from 'node:net';

const [port] = process.argv.slice(2);

const CONNECTIONS = 16;
const INTERVAL_MS = 1;
const REQUEST = 'GET / HTTP/1.1\r\nHost: localhost\r\n\r\n';
/** Each answer ends with it. */
const BODY = 'hello world';

const idle = await Promise.all(Array.from({ length: CONNECTIONS }, connection));
/** When those were due that wait for a connection. */
const waiting = [];
let millis = [];
let nextDue = 0;
let timer;

process.on('message', async (what) => {
  if (what === 'start') {
    nextDue = performance.now();
    timer = setInterval(tick, INTERVAL_MS);
    return;
  }
  clearInterval(timer);
  while (waiting.length > 0 || idle.length < CONNECTIONS) await once(process, 'answered');
  process.send(millis);
  millis = [];
});
process.once('disconnect', () => process.exit());
process.send('ready');

async function connection() {
  const socket = connect(port, '127.0.0.1').setNoDelay();
  await once(socket, 'connect');
  const one = { socket, due: 0 };
  socket.on('data', (chunk) => {
    if (!chunk.toString('latin1').endsWith(BODY)) return;
    millis.push(performance.now() - one.due);
    idle.push(one);
    send();
    process.emit('answered');
  });
  return one;
}

function tick() {
  for (; nextDue <= performance.now(); nextDue += INTERVAL_MS) waiting.push(nextDue);
  send();
}

function send() {
  while (waiting.length > 0 && idle.length > 0) {
    const one = idle.pop();
    one.due = waiting.shift();
    one.socket.write(REQUEST);
  }
}
