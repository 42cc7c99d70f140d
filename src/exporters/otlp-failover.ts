// Several receivers as one: the first that takes a request gets those after it too, until the first of all is back.
import { report } from '../data/diagnostics.ts';
import { ExportError, type ExportErrorCode } from '../data/errors.ts';
import { withDeadline } from '../net/deadline.ts';
import type { OtlpTransport, SendOptions } from './otlp-transport.ts';

/** Where the failure lies with the request, another receiver would not help, and might count it twice. */
const OF_THE_REQUEST: ReadonlySet<ExportErrorCode> = new Set([
  'ABORTED',
  'INTERNAL',
  'REJECTED',
  'TOO_LARGE',
]);

/** As long as one attempt may take when the export has no limit: a receiver that never answers must not block the others. */
const MAX_ATTEMPT_MILLIS = 10_000;
const MAX_PROBE_FACTOR = 10;
/** Timers cut off fractions, so that a wait may end this much early. */
const TIMER_SLACK_MILLIS = 2;

/**
 * Sends to the first endpoint, the primary. When an endpoint fails, the request goes to the next at once, and those after it
 * go straight there; after a while one of them tries the primary first, with real data, and stays there if it succeeds.
 *
 * An endpoint that asked for a pause gets it, also where others fail meanwhile.
 *
 * Each attempt gets an equal share of the time left. An attempt that ends without an answer may have been taken all the
 * same; sending it again, here as with one endpoint, may deliver it twice.
 *
 * @param transports the primary first
 */
export function failoverTransport(
  transports: readonly OtlpTransport[],
  options: { probeIntervalMillis: number; now?: () => number },
): OtlpTransport {
  const { probeIntervalMillis, now = () => performance.now() } = options;
  const [primary] = transports;
  if (primary === undefined || transports.length === 1) return primary!;
  const name = `${primary.name} and ${transports.length - 1} more`;
  let active = primary;
  let probeAt = Infinity;
  let probeDelay = probeIntervalMillis;
  const pausedUntil = new Map<OtlpTransport, number>();

  function candidates(): OtlpTransport[] {
    const first = active !== primary && now() >= probeAt ? [primary!] : [];
    return [...new Set([...first, active, ...transports])];
  }

  function pauseOf(transport: OtlpTransport): ExportError | undefined {
    const left = (pausedUntil.get(transport) ?? 0) - now();
    if (left <= TIMER_SLACK_MILLIS) return undefined;
    const message = `${transport.name} asked for a pause that goes on for ${Math.ceil(left)} ms`;
    return new ExportError('THROTTLED', message, { retryable: true, retryAfterMs: left });
  }

  function succeeded(transport: OtlpTransport): void {
    if (transport === active) return;
    active = transport;
    if (transport === primary) {
      probeDelay = probeIntervalMillis;
      report('info', `otlp-failover:${name}:back`, `exports go to ${transport.name} again`);
    } else probeAt = now() + probeDelay;
  }

  function failed(transport: OtlpTransport, error: ExportError): void {
    if (error.retryAfterMs !== undefined) pausedUntil.set(transport, now() + error.retryAfterMs);
    if (transport === active) {
      report('warn', `otlp-failover:${transport.name}`, `${error.message}; trying the next endpoint`);
    }
    if (transport === primary && active !== primary) {
      probeDelay = Math.min(probeDelay * 2, probeIntervalMillis * MAX_PROBE_FACTOR);
      probeAt = now() + probeDelay;
    }
  }

  async function send(body: Uint8Array, { points, timeoutMillis, signal }: SendOptions) {
    const end = now() + timeoutMillis;
    const all = candidates();
    const errors = all.flatMap((transport) => pauseOf(transport) ?? []);
    const order = all.filter((transport) => pauseOf(transport) === undefined);
    for (const [i, transport] of order.entries()) {
      const share = Math.max(0, end - now()) / (order.length - i);
      const limit = share === Infinity ? MAX_ATTEMPT_MILLIS : share;
      try {
        const answer = await withDeadline(`the request to ${transport.name}`, limit, signal, (bound) =>
          transport.send(body, { points, timeoutMillis: limit, signal: bound }),
        );
        succeeded(transport);
        return answer;
      } catch (cause) {
        const error = ExportError.from(cause);
        const isTaken = error.undelivered?.pointCount === 0;
        if (signal.aborted || isTaken || OF_THE_REQUEST.has(error.code)) throw error;
        failed(transport, error);
        errors.push(error);
      }
    }
    throw ofAll(errors);
  }

  return {
    name,
    send,
    async shutdown() {
      await Promise.all(transports.map((transport) => transport.shutdown()));
    },
  };
}

/** One that may pass, if any may, and of these the one that is to be waited for least. */
function ofAll(errors: readonly ExportError[]): ExportError {
  const passing = errors.filter(({ retryable }) => retryable);
  const wait = ({ retryAfterMs = 0 }: ExportError) => retryAfterMs;
  const [chosen] = passing.length > 0 ? passing.sort((a, b) => wait(a) - wait(b)) : errors;
  const { code, retryable, retryAfterMs } = chosen!;
  const reasons = errors.map(({ message }) => message).join('; ');
  return new ExportError(code, `no endpoint took the request: ${reasons}`, {
    retryable,
    retryAfterMs,
    cause: chosen,
  });
}
