// What the person in front of the demo sees: a table that stays in place, or plain lines where there is no terminal.

/**
 * @typedef {{ seconds: number, launched: number, inFlight: number, exports: number, bytes: number, rows: import('./routes.js').RouteRow[] }} Frame
 */

const ROUTE_WIDTH = 30;

export function createScreen(output = process.stdout) {
  let height = 0;

  return {
    /** @param {Frame} frame */
    show(frame) {
      if (!output.isTTY) {
        console.log(plainLine(frame));
        return;
      }
      // A line that wraps would take two rows of the screen and spoil the way back up.
      const lines = table(frame).map((line) => line.slice(0, output.columns - 1));
      output.write(`${height > 0 ? `\x1b[${height}A` : ''}\x1b[0J${lines.join('\n')}\n`);
      height = lines.length;
    },
  };
}

/** @param {Frame} frame */
function status({ seconds, launched, inFlight, exports, bytes }) {
  return (
    `${seconds.toFixed(0).padStart(4)} s  ${launched} requests, ${inFlight} in flight  ` +
    `${exports} exports, file ${(bytes / 1024).toFixed(0)} KiB`
  );
}

/** @param {Frame} frame */
function plainLine(frame) {
  const sum = (/** @type {'rate' | 'errorRate'} */ key) =>
    frame.rows.reduce((total, row) => total + row[key], 0).toFixed(0);
  return `${status(frame)}  ${sum('rate')}/s, ${sum('errorRate')} errors/s`;
}

/** @param {Frame} frame */
function table(frame) {
  const head = ['rate/s', 'errors/s', 'p50 ms', 'p95 ms', 'p99 ms'];
  const number = (/** @type {number} */ value) => (Number.isNaN(value) ? '-' : value.toFixed(1));
  return [
    status(frame),
    '',
    line('route', head),
    ...frame.rows.map(({ route, rate, errorRate, p50, p95, p99 }) =>
      line(route, [rate, errorRate, 1_000 * p50, 1_000 * p95, 1_000 * p99].map(number)),
    ),
    '',
  ];
}

/** @param {string} first @param {string[]} cells */
function line(first, cells) {
  return first.padEnd(ROUTE_WIDTH) + cells.map((cell) => cell.padStart(10)).join('');
}

/** @param {import('./totals.js').Row[]} rows */
export function totalsTable(rows) {
  const width = Math.max(...rows.map(({ name }) => name.length)) + 1;
  const row = (/** @type {(string | number)[]} */ [name, ...cells]) =>
    String(name).padEnd(width) + cells.map((cell) => String(cell).padStart(9)).join('');
  return [
    row(['', 'sent', 'file', 'scraped']),
    ...rows.map(({ name, sent, file, scraped }) => row([name, sent, file, scraped])),
  ].join('\n');
}
