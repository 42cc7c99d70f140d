// What one test must not leave to the next.
import { metrics } from '@opentelemetry/api';
import { resetReports } from '../data/diagnostics.ts';
import { setFakeMillis } from '../sdk/clock.ts';

/** Where `startMetrics` keeps its handle. Not imported from there, which would load every exporter. */
const started = globalThis as { [key: symbol]: { shutdown(): Promise<void> } | undefined };
const STARTED = Symbol.for('meterline.started');

/**
 * Takes a process back to where nothing has been started: shuts down what `startMetrics` runs (its last export included),
 * unregisters the global provider, lets every warning be given again, and restores the clock.
 */
export async function resetMetrics(): Promise<void> {
  setFakeMillis(undefined);
  await started[STARTED]?.shutdown();
  metrics.disable();
  resetReports();
}
