// The backend of the soak: takes everything, refuses connections, answers nothing, in turns of some seconds.
import { once } from 'node:events';
import { createServer } from 'node:http';

const TURNS = /** @type {const} */ ([
  ['up', 10_000],
  ['refuses', 4_000],
  ['up', 6_000],
  ['silent', 4_000],
]);

let isSilent = false;
let staysUp = false;
const server = createServer((request, response) => {
  request.resume().once('end', () => {
    if (!isSilent) response.end();
  });
}).listen(0, '127.0.0.1');
await once(server, 'listening');
const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());

process.on('message', () => {
  staysUp = true;
  set('up');
});
process.on('disconnect', () => process.exit());
process.send?.(port);

/** @param {(typeof TURNS)[number][0]} turn */
function set(turn) {
  isSilent = turn === 'silent';
  if (turn === 'refuses') server.close();
  else if (!server.listening) server.listen(port, '127.0.0.1');
  server.closeAllConnections();
}

for (let i = 0; !staysUp; i++) {
  const [turn, millis] = TURNS[i % TURNS.length] ?? TURNS[0];
  set(turn);
  await new Promise((resolve) => setTimeout(resolve, millis));
}
