// What one run appends to the JSON Lines file, read as it grows.
import { statSync } from 'node:fs';
import { open } from 'node:fs/promises';

/** @typedef {import('./totals.js').Sample} Sample */

/**
 * @param {string} path a file that may hold earlier runs, of which nothing counts, or may not exist yet
 * @param {number | undefined} pid the process whose lines count; another demo may write to the same file
 */
export function followMetricsFile(path, pid) {
  let position = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  let unfinished = '';
  /** Values are cumulative, so the last of each series is its total. @type {Map<string, Sample>} */
  const latest = new Map();
  const exportTimes = new Set();

  /** @param {string} line */
  function take(line) {
    const { metric_name: name, value, attributes, resource, scope, time_unix_nano } = JSON.parse(line);
    if (resource['process.pid'] !== pid) return;
    exportTimes.add(time_unix_nano);
    if (typeof value === 'number')
      latest.set(JSON.stringify([name, scope.name, attributes]), { name, labels: labels(attributes), value });
  }

  return {
    get bytes() {
      return position;
    },
    get exports() {
      return exportTimes.size;
    },
    /** The counters and gauges, as last exported. */
    samples: () => [...latest.values()],
    /** Reads what is new. */
    async read() {
      const file = await open(path).catch((error) => {
        if (error.code !== 'ENOENT') throw error;
      });
      if (file === undefined) return;
      try {
        const stream = file.createReadStream({ start: position, encoding: 'utf8', autoClose: false });
        for await (const text of stream) {
          const lines = (unfinished + text).split('\n');
          unfinished = lines.pop() ?? '';
          // An earlier run that was killed may have left a torn line, which this run has ended.
          for (const line of lines) if (line !== '') take(line);
        }
        position += stream.bytesRead;
      } finally {
        await file.close();
      }
    },
  };
}

/** @param {Record<string, unknown>} attributes */
function labels(attributes) {
  return Object.fromEntries(
    Object.entries(attributes).map(([key, value]) => [key.replaceAll('.', '_'), String(value)]),
  );
}
