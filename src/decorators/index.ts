// `meterline/decorators`: exporters made of exporters, and of your own code.
export {
  createExporter,
  type ExporterDefinition,
  type ExportResult,
  ExportResultCode,
  type PushMetricExporter,
} from '../data/exporter.ts';
export type { RetryOptions } from '../net/backoff.ts';
export {
  type DiskQueue,
  type DiskQueueOptions,
  type DiskQueueStats,
  diskQueue,
  type LossReason,
} from './disk-queue.ts';
export { type FallbackOptions, fallback } from './fallback.ts';
export { type FilterOptions, filter, type PointRule } from './filter.ts';
export {
  type ExportLogFields,
  type ExportLogger,
  LOG_LEVELS,
  type LoggingOptions,
  type LogLevel,
  logging,
} from './logging.ts';
export { type MultiOptions, multi } from './multi.ts';
export { retry } from './retry.ts';
export { timeout } from './timeout.ts';
