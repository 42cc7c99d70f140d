// Points to a file of JSON lines, one line a point. `docs/json-file.md` has the format.
import { createExporter, type PushMetricExporter } from '../data/exporter.ts';
import { encodeJsonLines } from '../encoding/json-lines.ts';
import { type JsonFileOptions, validJsonFileOptions } from './json-file-options.ts';
import { LineFile } from './line-file.ts';

export type { JsonFileOptions, JsonFileRotation } from './json-file-options.ts';

/**
 * Makes an exporter that appends each point to a file as one JSON object a line, and returns success once the
 * disk has all of them. An export that fails leaves none of its lines behind.
 *
 * @throws ConfigError when an option cannot work
 */
export function jsonFile(options: JsonFileOptions): PushMetricExporter {
  const { timestampOffset, temporality, timeoutMillis, file } = validJsonFileOptions(options);
  const lines = new LineFile(file);
  return createExporter({
    name: `jsonFile(${lines.path})`,
    componentType: 'json_file_metric_exporter',
    releasesBatches: true,
    timeoutMillis,
    selectAggregationTemporality: temporality,
    export: (batch, { signal }) =>
      lines.append(encodeJsonLines(batch, { timestampOffset, reuseBuffers: true }), signal),
    shutdown: () => lines.close(),
  });
}
