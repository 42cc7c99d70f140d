// One request of remote write at a time: compressed, signed, sent, and what the receiver says that it wrote.
import { report } from '../data/diagnostics.ts';
import { ExportError } from '../data/errors.ts';
import { VERSION } from '../data/version.ts';
import type { PartialSuccess } from '../encoding/otlp-response.ts';
import type { EncodedWrite, WriteCounts } from '../encoding/remote-write.ts';
import type { RemoteWriteVersion } from '../encoding/remote-write-message.ts';
import type { HttpAddress } from '../net/http-address.ts';
import type { HttpClient, HttpResponse } from '../net/http-client.ts';
import { snappy } from '../net/snappy.ts';
import { isSuccess } from './http-status.ts';
import type { RequestSigner } from './remote-write-options.ts';
import type { WithHeaders } from './request-headers.ts';
import { answerError, reasonIn } from './text-answer.ts';

/** Without a space: Prometheus compares the parameter as it stands. */
const CONTENT_TYPES: Record<RemoteWriteVersion, string> = {
  '1.0': 'application/x-protobuf',
  '2.0': 'application/x-protobuf;proto=io.prometheus.write.v2.Request',
};
const VERSION_HEADERS: Record<RemoteWriteVersion, string> = { '1.0': '0.1.0', '2.0': '2.0.0' };

const UNSUPPORTED_MEDIA_TYPE = 415;

/** What is spoken with a receiver, found out once for all requests to it. */
export interface Negotiation {
  version: RemoteWriteVersion;
}

export interface RemoteWriteTransportOptions {
  /** For messages: the address, without secrets. */
  readonly name: string;
  readonly address: HttpAddress;
  readonly client: HttpClient;
  readonly negotiation: Negotiation;
  readonly withHeaders: WithHeaders;
  /** Win over those of `withHeaders`. */
  readonly headers: Readonly<Record<string, string>>;
  readonly sign: RequestSigner | undefined;
}

/** Points of a batch as a request, and how to make it anew. */
export interface WriteRequest extends EncodedWrite {
  readonly version: RemoteWriteVersion;
  /** Its points: from the first to before the second. */
  readonly from: number;
  readonly to: number;
  /** The same points. */
  encodedIn(version: RemoteWriteVersion): Promise<EncodedWrite>;
  /** Some of them. */
  piece(from: number, to: number): Promise<WriteRequest>;
}

/** What became of a request that was answered, and neither failed nor was refused for something that is not in it. */
export interface WriteAnswer {
  /** What the receiver left out, if anything. */
  readonly partial?: PartialSuccess | undefined;
  /** Nothing was written, because of something that is in the request. */
  readonly badRequest?: ExportError;
}

export type SendWrite = (request: WriteRequest, signal: AbortSignal) => Promise<WriteAnswer>;

/** Sends a request once; a second time where the receiver turns out not to know version 2.0. */
export function remoteWriteTransport(options: RemoteWriteTransportOptions): SendWrite {
  const { name, address, client, negotiation, withHeaders, sign } = options;

  async function post(
    body: Uint8Array,
    version: RemoteWriteVersion,
    signal: AbortSignal,
  ): Promise<HttpResponse> {
    const compressed = await snappy(body);
    return withHeaders(async (given) => {
      const headers = {
        ...given,
        ...options.headers,
        'content-type': CONTENT_TYPES[version],
        'content-encoding': 'snappy',
        'user-agent': `Meterline/${VERSION}`,
        'x-prometheus-remote-write-version': VERSION_HEADERS[version],
      };
      const signature = sign && (await signed(sign, headers, compressed));
      const request = { headers: { ...headers, ...signature }, body: compressed, signal };
      const response = await client.request(address, request);
      // So that credentials are asked for anew.
      if (response.status === 401) throw answerError(name, response);
      return response;
    }, signal);
  }

  async function signed(sign: RequestSigner, headers: Record<string, string>, body: Uint8Array) {
    try {
      return await sign({ method: 'POST', url: address.origin + address.path, headers, body });
    } catch (cause) {
      // Credentials may be on their way.
      throw new ExportError('UNAUTHENTICATED', `${name}: the request could not be signed`, {
        retryable: true,
        cause,
      });
    }
  }

  return async (request, signal) => {
    let { version } = request;
    let encoded: EncodedWrite = request;
    if (version !== negotiation.version) {
      version = negotiation.version;
      encoded = await request.encodedIn(version);
    }
    let response = await post(encoded.body, version, signal);
    if (version === '2.0' && isUnknown(response)) {
      negotiation.version = '1.0';
      report(
        'info',
        `remote-write-version:${name}`,
        `${name} does not know version 2.0; 1.0 is sent from now on`,
      );
      version = '1.0';
      encoded = await request.encodedIn(version);
      response = await post(encoded.body, version, signal);
    }
    const written = writtenIn(response);
    const points = request.to - request.from;
    if (isSuccess(response)) {
      return {
        partial: written && missingIn(name, encoded.counts, written, points, 'it gives no reason'),
      };
    }
    const error = answerError(name, response);
    if (response.status !== 400) throw error;
    if (written === undefined) return { badRequest: error };
    // Version 2.0 keeps what is good of a request.
    if (written.samples + written.histograms === 0) throw error;
    return { partial: missingIn(name, encoded.counts, written, points, reasonIn(response)) };
  };
}

/** A receiver that takes the message for one of 1.0 finds nothing in it, and says that it is fine. */
function isUnknown(response: HttpResponse): boolean {
  if (response.status === UNSUPPORTED_MEDIA_TYPE) return true;
  return isSuccess(response) && writtenIn(response) === undefined;
}

/** Undefined where the receiver says nothing about it. */
function writtenIn({ headers }: HttpResponse): WriteCounts | undefined {
  const of = (what: string) => headers[`x-prometheus-remote-write-${what}-written`];
  const [samples, histograms, exemplars] = [of('samples'), of('histograms'), of('exemplars')];
  if (samples === undefined && histograms === undefined && exemplars === undefined) return undefined;
  return { samples: count(samples), histograms: count(histograms), exemplars: count(exemplars) };
}

/** One that is missing counts as none. */
function count(header: string | undefined): number {
  return header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : 0;
}

function missingIn(
  name: string,
  sent: WriteCounts,
  written: WriteCounts,
  points: number,
  reason: string,
): PartialSuccess | undefined {
  if (written.exemplars < sent.exemplars) {
    const message = `${name} wrote ${written.exemplars} of ${sent.exemplars} exemplars`;
    report('debug', `remote-write-exemplars:${name}`, message);
  }
  const missing = sent.samples + sent.histograms - written.samples - written.histograms;
  if (missing <= 0) return undefined;
  const errorMessage = `${missing} of ${sent.samples + sent.histograms} samples were not written: ${reason}`;
  return { rejectedDataPoints: Math.min(missing, points), errorMessage };
}
