// `meterline/decorators`: exporters made of exporters, and of your own code.
export {
  createExporter,
  type ExporterDefinition,
  type ExportResult,
  ExportResultCode,
  type PushMetricExporter,
} from '../data/exporter.ts';
