// Opens the scrape endpoint, and keeps trying when its port is taken: during a rolling restart the old process
// still holds it for a while.
import { report } from '../data/diagnostics.ts';
import type { PrometheusMetricReader } from '../exporters/prometheus.ts';

const RETRY_MILLIS = 5_000;

/** @returns a function that ends the trying */
export function listenPersistently(
  reader: PrometheusMetricReader,
  address: { host?: string; port?: number; path?: string },
): () => void {
  let timer: NodeJS.Timeout | undefined;
  let isStopped = false;
  async function open(): Promise<void> {
    try {
      await reader.listen(address);
    } catch (error) {
      if (isStopped) return;
      const reason = error instanceof Error ? error.message : String(error);
      report('error', 'prometheus-listen', `${reason}; trying again every ${RETRY_MILLIS / 1000} s`);
      timer = setTimeout(open, RETRY_MILLIS);
      timer.unref();
    }
  }
  void open();
  return () => {
    isStopped = true;
    clearTimeout(timer);
  };
}
