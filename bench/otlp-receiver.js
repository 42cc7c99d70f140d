// An OTLP receiver that takes everything and looks at nothing. In a process of its own, so that its work pauses nobody
// else's event loop; it tells its parent the ports, and whenever asked how many requests and bytes have come.
import { createServer } from 'node:http';
import { createServer as createHttp2Server } from 'node:http2';

const sockets = [];
let requests = 0;

const http = createServer((request, response) => {
  request.resume().once('end', () => {
    requests++;
    response.setHeader('content-type', 'application/x-protobuf').end();
  });
});

const grpc = createHttp2Server().on('stream', (stream) => {
  stream.resume().once('end', () => {
    requests++;
    stream.respond({ 'content-type': 'application/grpc' }, { waitForTrailers: true });
    stream.once('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '0' }));
    // An empty message: a byte for its compression, four for its length.
    stream.end(Buffer.alloc(5));
  });
});

process.send({ http: await portOf(http), grpc: await portOf(grpc) });
process.on('message', () => {
  process.send({ requests, bytes: sockets.reduce((sum, { bytesRead }) => sum + bytesRead, 0) });
});
process.once('disconnect', () => process.exit());

function portOf(server) {
  server.on('connection', (socket) => sockets.push(socket));
  return new Promise((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server.address().port));
  });
}
