// A receiver of remote write that takes everything and looks at nothing, and says that it wrote all of it. In a process of its
// own; it tells its parent the port, and whenever asked how many requests and bytes have come.
import { createServer } from 'node:http';
import { WRITTEN } from './remote-write-answer.js';

let requests = 0;
let bytes = 0;

const server = createServer((request, response) => {
  request.on('data', (chunk) => {
    bytes += chunk.length;
  });
  request.once('end', () => {
    requests++;
    response.writeHead(204, WRITTEN).end();
  });
});

server.listen(0, '127.0.0.1', () => process.send({ port: server.address().port }));
process.on('message', () => process.send({ requests, bytes }));
process.once('disconnect', () => process.exit());
