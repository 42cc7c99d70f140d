// The orders over gRPC.
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import grpc from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { grpcServerInterceptor } from 'meterline/grpc';
import { OrderError } from './orders.js';

/**
 * @typedef {import('./orders.js').NewOrder} NewOrder
 * @typedef {import('./orders.js').Order} Order
 */

const definition = loadSync(fileURLToPath(new URL('orders.proto', import.meta.url)), { defaults: true });

/** What `new OrdersClient(address, credentials)` and the server below are made of. */
export const OrdersClient = /** @type {{ orders: { v1: { Orders: grpc.ServiceClientConstructor } } }} */ (
  /** @type {unknown} */ (grpc.loadPackageDefinition(definition))
).orders.v1.Orders;

const STATUS = {
  invalid: grpc.status.INVALID_ARGUMENT,
  notFound: grpc.status.NOT_FOUND,
  paymentFailed: grpc.status.INTERNAL,
  overloaded: grpc.status.UNAVAILABLE,
};

/** @param {import('./orders.js').Orders} orders */
export function createGrpcApi(orders) {
  const server = new grpc.Server({ interceptors: [grpcServerInterceptor()] });
  server.addService(OrdersClient.service, {
    /** @type {grpc.handleUnaryCall<NewOrder, Order>} */
    Create: (call, callback) => {
      reply(
        orders.create([call.request], 'grpc').then(([order]) => /** @type {Order} */ (order)),
        callback,
      );
    },

    /** @type {grpc.handleUnaryCall<{ id: string }, Order>} */
    Get: (call, callback) => reply(orders.get(call.request.id), callback),

    /** @type {grpc.handleServerStreamingCall<{ follow: boolean }, Order>} */
    List: async (call) => {
      const gone = new AbortController();
      call.once('cancelled', () => gone.abort());
      try {
        for await (const order of orders.stream({ follow: call.request.follow, signal: gone.signal })) {
          if (!call.write(order)) await once(call, 'drain', { signal: gone.signal });
        }
        call.end();
      } catch (error) {
        if (!gone.signal.aborted) call.emit('error', serviceError(error));
      }
    },

    /** @type {grpc.handleClientStreamingCall<NewOrder, { imported: number }>} */
    Import: (call, callback) => {
      const importAll = async () => {
        const created = await orders.create(await call.toArray(), 'grpc');
        return { imported: created.length };
      };
      reply(importAll(), callback);
    },

    /** @type {grpc.handleBidiStreamingCall<NewOrder, { value: number }>} */
    Quote: async (call) => {
      try {
        // Left to itself, the iterator destroys the call when the client has sent its last message.
        for await (const newOrder of call.iterator({ destroyOnReturn: false })) {
          call.write({ value: await orders.quote(newOrder) });
        }
        call.end();
      } catch (error) {
        call.emit('error', serviceError(error));
      }
    },
  });
  return server;
}

/**
 * @template T
 * @param {Promise<T>} result
 * @param {grpc.sendUnaryData<T>} callback
 */
function reply(result, callback) {
  result.then(
    (value) => callback(null, value),
    (error) => callback(serviceError(error)),
  );
}

/** @param {unknown} error */
function serviceError(error) {
  if (error instanceof OrderError) return { code: STATUS[error.reason], details: error.message };
  console.error(error);
  return { code: grpc.status.INTERNAL, details: 'internal error' };
}
