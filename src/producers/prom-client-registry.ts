// Reads a registry of prom-client metric by metric, so that one that fails or hangs costs itself only, and that the event
// loop has its turn in between. Through public methods alone: these are the same in all versions.
import { isObject } from '../data/checked-options.ts';
import { textOf } from '../data/diagnostics.ts';
import { parsedMetrics } from './exposition-text.ts';

/** A registry as the bridge sees it: that of `prom-client`, of `@prometheus-io/client`, or anything that looks like one. */
export interface PromClientRegistry {
  getMetricsAsJSON(): Promise<readonly object[]>;
  /** Where there is none, all metrics are read at once, and one that fails costs all of them. */
  getMetricsAsArray?(): readonly object[];
  /** Tells whether counters are shown with `_total`, as OpenMetrics has it. */
  readonly contentType?: string;
  /** What registries for clusters have: the text with the metrics of all processes. */
  clusterMetrics?(): Promise<string>;
  /** The same for worker threads. */
  workerMetrics?(): Promise<string>;
}

/** A metric as registries give it, unchecked: anyone may register objects of their own. */
export interface RawMetric {
  readonly name?: unknown;
  readonly help?: unknown;
  readonly type?: unknown;
  readonly values?: Iterable<RawSample>;
}

export interface RawSample {
  /** Where it is not that of the metric. */
  readonly metricName?: unknown;
  readonly labels?: unknown;
  readonly value?: unknown;
  readonly exemplar?: unknown;
}

/** A registry whose metrics are being collected. */
export interface OpenRegistry {
  /** Whether it shows the samples of counters with `_total` behind their names. */
  readonly addsTotal: boolean;
  /** What every sample gets that has no label of the name. */
  readonly defaultLabels?: Readonly<Record<string, unknown>>;
  /** Each metric, or why one is missing. */
  readonly readings: AsyncIterable<RawMetric | Error>;
}

/** Runs work that has to end in the time that all of them have together. */
export type InTime = <T>(what: string, work: () => Promise<T>) => Promise<T>;

/**
 * Starts what may take long. Whatever goes wrong is among the readings.
 *
 * @param turn gives the event loop its turn when it is time
 */
export async function openRegistry(
  registry: PromClientRegistry,
  inTime: InTime,
  turn: () => Promise<void> | undefined,
): Promise<OpenRegistry> {
  try {
    const ofAllProcesses = registry.clusterMetrics ?? registry.workerMetrics;
    if (ofAllProcesses !== undefined) {
      const collecting = started(() => ofAllProcesses.call(registry));
      return { addsTotal: false, readings: atOnce(async () => parsedMetrics(await collecting), inTime) };
    }
    const addsTotal = textOf(registry.contentType).startsWith('application/openmetrics-text');
    const defaultLabels = await defaultLabelsOf(registry);
    if (defaultLabels === undefined) {
      const collecting = started(() => registry.getMetricsAsJSON());
      return { addsTotal, readings: atOnce(() => collecting, inTime) };
    }
    const metrics = registry.getMetricsAsArray!() as readonly RegisteredMetric[];
    return { addsTotal, defaultLabels, readings: await oneByOne(metrics, inTime, turn) };
  } catch (cause) {
    return { addsTotal: false, readings: atOnce(() => Promise.reject(cause), inTime) };
  }
}

async function* atOnce(
  collect: () => Promise<Iterable<unknown>>,
  inTime: InTime,
): AsyncGenerator<RawMetric | Error> {
  try {
    const metrics = await inTime('the collection', collect);
    // A text could be iterated too.
    if (!isObject(metrics)) throw new Error('it gave no list of metrics');
    for (const metric of metrics) yield checked(metric);
  } catch (cause) {
    yield new Error('a registry of prom-client could not be collected', { cause });
  }
}

/** What a metric of the client has, of which none may be there in what else is registered. */
interface RegisteredMetric {
  readonly name?: unknown;
  readonly collect?: unknown;
  get(): Promise<object>;
}

async function oneByOne(
  metrics: readonly RegisteredMetric[],
  inTime: InTime,
  turn: () => Promise<void> | undefined,
): Promise<AsyncIterable<RawMetric | Error>> {
  // Those that may have to wait do so side by side, as when the registry collects. The others are read when it is their
  // turn, so that the samples of all metrics are never in memory together.
  const waiting = new Map<RegisteredMetric, Promise<object>>();
  for (const metric of metrics) {
    if (typeof metric.collect !== 'function') continue;
    // The client makes all samples of a metric at once, which takes long for large ones.
    await turn();
    const collecting = started(() => metric.get());
    waiting.set(metric, collecting);
  }
  return (async function* () {
    for (const metric of metrics) {
      await turn();
      try {
        const collecting = waiting.get(metric);
        waiting.delete(metric);
        yield checked(await inTime('its collect function', () => collecting ?? metric.get()));
      } catch (cause) {
        const name = textOf(metric.name);
        yield new Error(`the metric ${name} of prom-client could not be collected`, { cause });
      }
    }
  })();
}

function checked(metric: unknown): RawMetric | Error {
  return isObject(metric) ? metric : new Error('a registry of prom-client has a metric that is no object');
}

/** Nobody may wait for it yet when it rejects, and it may throw at once. */
function started<T>(work: () => Promise<T>): Promise<T> {
  const ending = Promise.resolve().then(work);
  ending.catch(() => {});
  return ending;
}

/**
 * Nothing public tells the default labels. But the registry adds them to what it has, so it is asked as if it had one
 * metric that has no labels. (Asking it for everything it has would change, besides, which labels its samples have from
 * then on.) Undefined where that does not work, and the registry can be asked only for everything.
 */
async function defaultLabelsOf(registry: PromClientRegistry): Promise<Record<string, unknown> | undefined> {
  if (typeof registry.getMetricsAsArray !== 'function') return undefined;
  const probe = {
    name: 'probe',
    help: 'probe',
    type: 'gauge',
    get: async () => ({ name: 'probe', help: 'probe', type: 'gauge', values: [{ labels: {}, value: 0 }] }),
  };
  try {
    const withProbe: PromClientRegistry = Object.create(registry, {
      getMetricsAsArray: { value: () => [probe] },
    });
    const [answer] = (await withProbe.getMetricsAsJSON()) as {
      name: string;
      values: RawSample[];
    }[];
    const labels = answer?.name === 'probe' ? answer.values[0]?.labels : undefined;
    return isObject(labels) ? labels : undefined;
  } catch {
    return undefined;
  }
}
