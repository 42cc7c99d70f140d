// The orders and what the business wants to know about them. HTTP and gRPC are two doors to this one room.
import { EventEmitter, once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { metrics, ValueType } from '@opentelemetry/api';

/**
 * @typedef {{ item: string, quantity: number }} NewOrder
 * @typedef {NewOrder & { id: string, value: number }} Order
 * @typedef {ReturnType<typeof createOrders>} Orders
 */

/** In euros. */
const PRICES = new Map([
  ['tea', 4.5],
  ['kettle', 39],
  ['samovar', 240],
]);

const PAGE = 20;
/** So that a demo left running does not eat the machine. The first page stays: the load asks for it. */
const MAX_ORDERS = 1_000;

/** How each API answers is its own business; see `STATUS` in both. */
export class OrderError extends Error {
  /** @param {'invalid' | 'notFound' | 'paymentFailed' | 'overloaded'} reason @param {string} message */
  constructor(reason, message) {
    super(message);
    this.reason = reason;
  }
}

/** Call it after `startMetrics`: instruments made before there is a provider record nothing. */
export function createOrders() {
  const meter = metrics.getMeter('orders');
  const created = meter.createCounter('orders_created_total', {
    description: 'Orders created and paid.',
    unit: '1',
    valueType: ValueType.INT,
  });
  const values = meter.createHistogram('order_value', {
    description: 'Value of the orders created, in euros.',
    unit: '{EUR}',
    advice: { explicitBucketBoundaries: [5, 10, 25, 50, 100, 250, 500, 1_000] },
  });

  /** @type {Map<string, Order>} */
  const orders = new Map();
  const news = new EventEmitter();
  news.setMaxListeners(0);
  let lastId = 0;

  /** @param {NewOrder} newOrder */
  const store = (newOrder) => {
    const order = { ...newOrder, id: String(++lastId), value: priceOf(newOrder) };
    orders.set(order.id, order);
    if (orders.size > MAX_ORDERS) orders.delete(String(lastId - MAX_ORDERS + PAGE));
    news.emit('order', order);
    return order;
  };
  for (let i = 0; i < PAGE; i++) store({ item: 'tea', quantity: 1 + (i % 5) });

  return {
    /** @param {NewOrder[]} newOrders all of them are created, or none @param {'http' | 'grpc'} channel */
    async create(newOrders, channel) {
      newOrders.forEach(priceOf);
      await pay();
      return newOrders.map((newOrder) => {
        const order = store(newOrder);
        created.add(1, { channel });
        values.record(order.value, { channel });
        return order;
      });
    },

    /** @param {string} id */
    async get(id) {
      await work(4);
      const order = orders.get(id);
      if (order === undefined) throw new OrderError('notFound', `there is no order ${id}`);
      return order;
    },

    /** The slow one, and the one that gives up now and then. */
    async list() {
      await work(30);
      if (Math.random() < 0.04) throw new OrderError('overloaded', 'too many orders to list, try again');
      return [...orders.values()].slice(-PAGE);
    },

    /**
     * The latest orders one by one; with `follow` it goes on with new ones and ends only by `signal`.
     *
     * @param {{ follow: boolean, signal: AbortSignal }} options
     */
    async *stream({ follow, signal }) {
      const [first] = (await this.list()).slice(-5);
      let nextId = Number(first?.id);
      for (;;) {
        for (; nextId <= lastId; nextId++) {
          const order = orders.get(String(nextId));
          if (order) yield order;
        }
        if (!follow) return;
        await once(news, 'order', { signal });
      }
    },

    /** @param {NewOrder} newOrder */
    async quote(newOrder) {
      await work(3);
      return priceOf(newOrder);
    },

    /**
     * Waits for the warehouse's word. The example has no warehouse, so it waits until `signal` aborts or half a
     * minute has passed.
     *
     * @param {string} id @param {AbortSignal} signal
     */
    async shipment(id, signal) {
      await this.get(id);
      await sleep(30_000, undefined, { signal });
    },
  };
}

/** @param {NewOrder} newOrder */
function priceOf({ item, quantity }) {
  const price = PRICES.get(item);
  if (price === undefined) throw new OrderError('invalid', `there is no item "${item}"`);
  if (!(Number.isInteger(quantity) && quantity > 0)) {
    throw new OrderError('invalid', `quantity is ${quantity}, not a whole number above 0`);
  }
  return price * quantity;
}

/** Stands in for a payment provider that is down now and then. */
async function pay() {
  await work(12);
  if (Math.random() < 0.06) throw new OrderError('paymentFailed', 'the payment provider did not answer');
}

/** Takes time as real work does: log-normal, so the slowest in a hundred takes five to six times the median. */
function work(/** @type {number} */ medianMillis) {
  const normal = Math.sqrt(-2 * Math.log(1 - Math.random())) * Math.cos(2 * Math.PI * Math.random());
  return sleep(medianMillis * Math.exp(0.75 * normal));
}
