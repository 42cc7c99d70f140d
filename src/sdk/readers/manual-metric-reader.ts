// Collects when asked, and at no other time.
import { checkedOptions } from '../../data/checked-options.ts';
import { METRIC_READER_OPTIONS, MetricReader, type MetricReaderOptions } from './metric-reader.ts';

/** For tests and for pulling metrics by hand: `await reader.collect()`. */
export class ManualMetricReader extends MetricReader {
  /** @throws ConfigError when an option cannot work */
  constructor(options: MetricReaderOptions = {}) {
    const isExtended = new.target !== ManualMetricReader;
    super(isExtended ? options : checkedOptions('a ManualMetricReader', options, METRIC_READER_OPTIONS));
  }

  protected override async onForceFlush(): Promise<void> {}

  protected override async onShutdown(): Promise<void> {}
}
