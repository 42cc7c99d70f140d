// The command line of the demo.
import { parseArgs } from 'node:util';

const USAGE = `Usage: npm run demo -- [options]

  --duration TIME  how long to send requests, such as 15s or 2m   (default 30s)
  --rps NUMBER     requests and calls a second                    (default 200)
  --port NUMBER    port of the scrape endpoint                    (default 9464, or a free one)
  --linger TIME    how long to stay up once the load has ended    (default 0s)
  --help           this text`;

/** Something the user can put right by typing it differently. */
export class UsageError extends Error {}

/** @typedef {{ durationMillis: number, rps: number, port: number | undefined, lingerMillis: number }} Options */

/** @param {string[]} args @returns {Options | { help: string }} */
export function readArguments(args) {
  const values = parse(args);
  if (values.help) return { help: USAGE };
  return {
    durationMillis: time('duration', values.duration, 1),
    rps: number('rps', values.rps, 1, 10_000),
    port: values.port === undefined ? undefined : number('port', values.port, 1, 65_535),
    lingerMillis: time('linger', values.linger, 0),
  };
}

/** @param {string[]} args */
function parse(args) {
  try {
    return parseArgs({
      args,
      options: {
        duration: { type: 'string', default: '30s' },
        rps: { type: 'string', default: '200' },
        port: { type: 'string' },
        linger: { type: 'string', default: '0s' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (error) {
    throw new UsageError(`${/** @type {Error} */ (error).message}\n\n${USAGE}`);
  }
}

/** @param {string} name @param {string} text @param {number} min */
function time(name, text, min) {
  const millis = parseDuration(text);
  // What a timer of Node can wait.
  if (millis >= min && millis < 2 ** 31) return millis;
  throw new UsageError(`--${name} is "${text}"; use a time such as 500ms, 15s or 2m`);
}

/** @param {string} name @param {string} text @param {number} min @param {number} max */
function number(name, text, min, max) {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new UsageError(`--${name} is "${text}"; use a whole number from ${min} to ${max}`);
}

/** Milliseconds, or NaN. @param {string} text */
export function parseDuration(text) {
  const [, amount, unit] = /^(\d+(?:\.\d+)?)(ms|s|m|h)$/.exec(text) ?? [];
  const factor = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000 }[unit ?? ''];
  return factor === undefined ? Number.NaN : Number(amount) * factor;
}
