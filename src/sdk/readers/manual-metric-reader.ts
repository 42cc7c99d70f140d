// Collects when asked, and at no other time.
import { MetricReader } from './metric-reader.ts';

/** For tests and for pulling metrics by hand: `await reader.collect()`. */
export class ManualMetricReader extends MetricReader {
  protected override async onForceFlush(): Promise<void> {}

  protected override async onShutdown(): Promise<void> {}
}
