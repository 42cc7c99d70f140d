// What all contestants record: the requests of a small HTTP service.

const METHODS = ['GET', 'POST', 'PUT', 'DELETE'];
const CODES = [200, 201, 404, 500];

export const LABEL_NAMES = ['method', 'route', 'code', 'status'];

/** Second-based bounds, those that the Prometheus clients use by default. */
export const BOUNDARIES = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** The attributes of `count` series; 160 make ten routes. */
export function attributesOf(count) {
  return Array.from({ length: count }, (_, i) => {
    const code = CODES[(i >> 2) % CODES.length];
    return {
      method: METHODS[i % METHODS.length],
      route: `/orders/${i >> 4}`,
      code,
      status: code === 500 ? 'error' : 'success',
    };
  });
}

const LENGTH = 4_096;

/** `index & MASK` walks through the tables below. */
export const MASK = LENGTH - 1;

/** Multiples of an irrational number spread evenly and repeat in no short pattern, the same in each process. */
const spread = (step) => Array.from({ length: LENGTH }, (_, i) => (i * step) % 1);

const SERIES = attributesOf(160);

/** The series of call after call. */
export const REQUESTS = spread(Math.SQRT2).map((share) => SERIES[Math.floor(share * SERIES.length)]);

/** Durations from 1 ms to 10 s, evenly on a logarithmic scale. */
export const SECONDS = Float64Array.from(spread(Math.PI), (share) => 10 ** (share * 4 - 3));
