// The service: `node server.js [--http-port 8080] [--grpc-port 50051] [--metrics-port 9464]`.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import grpc from '@grpc/grpc-js';
import { startMetrics } from 'meterline';
import { instrumentHttp } from 'meterline/http';
import { createGrpcApi } from './grpc-api.js';
import { createHttpApi } from './http-api.js';
import { createOrders } from './orders.js';

const { values: ports } = parseArgs({
  options: {
    'http-port': { type: 'string', default: '8080' },
    'grpc-port': { type: 'string', default: '50051' },
    'metrics-port': { type: 'string' },
  },
});

// All that is needed for metrics: these two statements, and the interceptor in grpc-api.js.
const metrics = startMetrics({
  configFile: fileURLToPath(new URL('config.yaml', import.meta.url)),
  ...(ports['metrics-port'] && { prometheus: { port: Number(ports['metrics-port']) } }),
});
instrumentHttp();

const orders = createOrders();
const httpServer = createHttpApi(orders).listen(Number(ports['http-port']), '127.0.0.1');
await once(httpServer, 'listening');
const httpPort = /** @type {import('node:net').AddressInfo} */ (httpServer.address()).port;

const grpcServer = createGrpcApi(orders);
const grpcPort = await /** @type {Promise<number>} */ (
  new Promise((resolve, reject) => {
    grpcServer.bindAsync(
      `127.0.0.1:${ports['grpc-port']}`,
      grpc.ServerCredentials.createInsecure(),
      (error, port) => (error ? reject(error) : resolve(port)),
    );
  })
);

console.log(`orders over HTTP on http://127.0.0.1:${httpPort} and over gRPC on 127.0.0.1:${grpcPort}`);
process.send?.({ httpPort, grpcPort });

/** Takes no new requests, waits for those under way, and exports last, so that all of them are in it. */
async function stop() {
  // With this listener, the channel to a parent would keep the process alive.
  process.off('disconnect', stop);
  const deadline = setTimeout(() => {
    httpServer.closeAllConnections();
    grpcServer.forceShutdown();
  }, 5_000);
  await Promise.all([
    new Promise((resolve) => httpServer.close(resolve)),
    new Promise((resolve) => grpcServer.tryShutdown(resolve)),
  ]);
  clearTimeout(deadline);
  await metrics.shutdown();
}
process.once('SIGTERM', stop);
process.once('SIGINT', stop);
// A parent that is gone, or that has disconnected, means: stop.
process.once('disconnect', stop);
