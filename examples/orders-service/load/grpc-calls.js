// The calls that the load makes over gRPC; each counts itself by what the service must count it as.
import grpc from '@grpc/grpc-js';
import { OrdersClient } from '../grpc-api.js';

/**
 * @typedef {import('../orders.js').NewOrder} NewOrder
 * @typedef {(error: grpc.ServiceError | null, reply?: { imported?: number }) => void} Callback
 * @typedef {grpc.Client & {
 *   Create(order: NewOrder, callback: Callback): void,
 *   Get(order: { id: string }, callback: Callback): void,
 *   List(request: { follow: boolean }): grpc.ClientReadableStream<unknown>,
 *   Import(callback: Callback): grpc.ClientWritableStream<NewOrder>,
 *   Quote(): grpc.ClientDuplexStream<NewOrder, unknown>,
 * }} Client
 */

/**
 * @param {string} address
 * @param {import('./tally.js').Tally} tally
 * @returns {{ operations: import('./http-requests.js').Operation[], close: () => void }}
 */
export function grpcCalls(address, tally) {
  const client = /** @type {Client} */ (
    /** @type {unknown} */ (
      // A call that the library repeats would be one here and two there.
      new OrdersClient(address, grpc.credentials.createInsecure(), { 'grpc.enable_retries': 0 })
    )
  );

  /** @param {string} method @param {grpc.status} code */
  const count = (method, code) => {
    const status = code === grpc.status.OK ? 'success' : 'error';
    tally.add(`orders.v1.Orders/${method} ${grpc.status[code]} ${status}`);
  };
  /**
   * @param {string} method
   * @param {(callback: Callback) => void} start
   * @param {(reply: { imported?: number }) => number} [created] how many orders a reply stands for
   * @returns {Promise<void>}
   */
  const single = (method, start, created = () => 0) =>
    new Promise((resolve) => {
      start((error, reply) => {
        count(method, error?.code ?? grpc.status.OK);
        if (reply) tally.add('orders created over grpc', created(reply));
        resolve();
      });
    });
  /**
   * @param {string} method
   * @param {grpc.ClientReadableStream<unknown> | grpc.ClientDuplexStream<NewOrder, unknown>} stream
   * @param {{ cancel?: boolean }} [options] whether to leave after the first message
   * @returns {Promise<void>}
   */
  const streamed = (method, stream, { cancel = false } = {}) =>
    new Promise((resolve) => {
      stream.on('data', () => cancel && stream.cancel());
      stream.on('error', () => {});
      stream.on('status', ({ code }) => {
        count(method, code);
        resolve();
      });
    });

  /** @param {NewOrder[]} orders */
  const importAll = (orders) =>
    single(
      'Import',
      (callback) => {
        const stream = client.Import(callback);
        for (const order of orders) stream.write(order);
        stream.end();
      },
      ({ imported = 0 }) => imported,
    );
  /** @param {NewOrder[]} orders */
  const quoteAll = (orders) => {
    const stream = client.Quote();
    for (const order of orders) stream.write(order);
    stream.end();
    return streamed('Quote', stream);
  };
  const tea = { item: 'tea', quantity: 3 };
  const kettle = { item: 'kettle', quantity: 1 };
  const unicorn = { item: 'unicorn', quantity: 1 };

  return {
    operations: [
      {
        weight: 3,
        run: () =>
          single(
            'Create',
            (callback) => client.Create(tea, callback),
            () => 1,
          ),
      },
      {
        weight: 1,
        run: () =>
          single(
            'Create',
            (callback) => client.Create(unicorn, callback),
            () => 1,
          ),
      },
      { weight: 5, run: () => single('Get', (callback) => client.Get({ id: '7' }, callback)) },
      { weight: 1, run: () => single('Get', (callback) => client.Get({ id: 'none' }, callback)) },
      { weight: 2, run: () => streamed('List', client.List({ follow: false })) },
      { weight: 1, run: () => streamed('List', client.List({ follow: true }), { cancel: true }) },
      { weight: 1, run: () => importAll([tea, kettle, tea]) },
      { weight: 1, run: () => quoteAll([tea, kettle]) },
      { weight: 1, run: () => quoteAll([tea, unicorn]) },
    ],
    close: () => client.close(),
  };
}
