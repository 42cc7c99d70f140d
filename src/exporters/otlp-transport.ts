// How encoded requests get to an OTLP receiver: one implementation for HTTP, one for gRPC.
import type { ExportError } from '../data/errors.ts';
import type { PartialSuccess } from '../encoding/otlp-response.ts';

export interface SendOptions {
  /** How many points the request holds. */
  readonly points: number;
  /** Milliseconds after which `signal` aborts, to tell the receiver; Infinity for no limit. */
  readonly timeoutMillis: number;
  /** Aborts when nobody waits for the answer any more; its reason is the {@link ExportError} to fail with. */
  readonly signal: AbortSignal;
}

export interface OtlpTransport {
  /** For messages: the address, without secrets. */
  readonly name: string;
  /**
   * Sends one request once.
   *
   * @param body one `ExportMetricsServiceRequest`; may be sent again after a failure, so it must not be changed. After
   *   success its memory is the caller's to write to.
   * @returns what the receiver refused of it, if anything
   * @throws ExportError classified: `TOO_LARGE` (not retryable) when a smaller request may pass
   */
  send(body: Uint8Array, options: SendOptions): Promise<PartialSuccess | undefined>;
  /** Ends its connections, once nothing is in flight. */
  shutdown(): Promise<void>;
}
