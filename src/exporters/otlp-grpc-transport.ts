// OTLP requests over gRPC, to one endpoint.
import type { ChannelOptions } from '@grpc/grpc-js';
import { type OptionChecks, optionChecks } from '../data/option-checks.ts';
import { VERSION } from '../data/version.ts';
import { decodePartialSuccess } from '../encoding/otlp-response.ts';
import { createGrpcClient, type GrpcClientOptions } from '../net/grpc-client.ts';
import { authorityOf, parseGrpcTarget, targetText } from '../net/grpc-target.ts';
import { httpAddress } from '../net/http-address.ts';
import { proxyFor } from '../net/http-proxy.ts';
import { tlsSource } from '../net/tls.ts';
import type { ValidOtlpGrpcEndpoint, ValidOtlpGrpcOptions } from './otlp-grpc-options.ts';
import { exportErrorOf } from './otlp-grpc-status.ts';
import type { OtlpTransport } from './otlp-transport.ts';
import { type HeaderRules, requestHeaders } from './request-headers.ts';

/** Of `@grpc/grpc-js`'s `compressionAlgorithms`. */
const GZIP = 2;
const EXPORT = '/opentelemetry.proto.collector.metrics.v1.MetricsService/Export';

export type OtlpGrpcTransportOptions = Pick<
  ValidOtlpGrpcOptions,
  | 'userAgent'
  | 'compression'
  | 'proxy'
  | 'maxConnectionAgeMillis'
  | 'serviceConfig'
  | 'channelOptions'
  | 'interceptors'
>;

/** @throws ConfigError when an option cannot work */
export function otlpGrpcTransport(
  owner: string,
  endpoint: ValidOtlpGrpcEndpoint,
  options: OtlpGrpcTransportOptions,
): OtlpTransport {
  const { target, insecure } = endpoint;
  const isSecure = target.isSecure ?? !insecure;
  const name = `${owner}(${target.scheme === 'dns' ? authorityOf(target) : targetText(target)})`;
  const withHeaders = requestHeaders(owner, endpoint, HEADER_RULES);
  const client = createGrpcClient({
    ...routeOf(optionChecks(owner), isSecure, endpoint, options),
    credentials: credentialsOf(owner, isSecure, endpoint),
    interceptors: [...options.interceptors],
    maxConnectionAgeMillis: options.maxConnectionAgeMillis,
  });
  return {
    name,
    send(body, { timeoutMillis, signal }) {
      return withHeaders(async (metadata) => {
        const answer = await client.call(EXPORT, body, {
          metadata,
          deadline: Date.now() + timeoutMillis,
          signal,
        });
        // Whoever aborts says why; the status is but an echo.
        if (answer.code !== 0) signal.throwIfAborted();
        if (answer.body === undefined) throw exportErrorOf(name, answer);
        return decodePartialSuccess(answer.body, 'protobuf');
      }, signal);
    },
    async shutdown() {
      client.close();
    },
  };
}

const HEADER_RULES: HeaderRules = {
  owned: (name) =>
    /^(grpc-|:|proxy-connection$|keep-alive$|te$|user-agent$|host$|connection$|upgrade$|transfer-encoding$|content-|accept-encoding$)/.test(
      name,
    ),
  isName: (name) => /^[0-9a-z_.-]+$/.test(name),
  isValue: (value) => /^[\x20-\x7e]*$/.test(value),
  valueFormat: 'ASCII text without line breaks',
};

function credentialsOf(
  owner: string,
  isSecure: boolean,
  { tls, credentials }: ValidOtlpGrpcEndpoint,
): GrpcClientOptions['credentials'] {
  if (credentials !== undefined) return async () => ({ version: 0, make: () => credentials });
  if (!isSecure) {
    return async (grpc) => ({ version: 0, make: () => grpc.credentials.createInsecure() });
  }
  const source = tlsSource(owner, tls);
  return async (grpc) => {
    const { version, secureContext, rejectUnauthorized } = await source.current();
    return {
      version,
      make: () => grpc.credentials.createFromSecureContext(secureContext, { rejectUnauthorized }),
    };
  };
}

/** Where to connect, and with which options of the channel; through a proxy, the target is where to go from there. */
function routeOf(
  checks: OptionChecks,
  isSecure: boolean,
  { target, tls }: ValidOtlpGrpcEndpoint,
  { proxy, compression, userAgent, serviceConfig, channelOptions }: OtlpGrpcTransportOptions,
): Pick<GrpcClientOptions, 'target' | 'channelOptions'> {
  const product = `Meterline-OTLP-Exporter-JavaScript/${VERSION}`;
  const direct: ChannelOptions = {
    'grpc.primary_user_agent': userAgent === undefined ? product : `${userAgent} ${product}`,
    // DNS is no place for someone else to configure this process from.
    'grpc.service_config_disable_resolution': 1,
    ...(compression === 'gzip' && { 'grpc.default_compression_algorithm': GZIP }),
    ...(tls?.servername !== undefined && { 'grpc.ssl_target_name_override': tls.servername }),
    ...(serviceConfig !== undefined && { 'grpc.service_config': serviceConfig }),
    ...channelOptions,
  };
  const proxyUrl = proxyFor(checks, proxy);
  const address = httpAddress(`${isSecure ? 'https' : 'http'}://${authorityOf(target)}`);
  const via = target.scheme === 'dns' && address !== undefined ? proxyUrl(address) : undefined;
  if (via === undefined) return { target, channelOptions: direct };
  const { protocol, hostname, port, username, password } = new URL(via);
  checks.demandSecret(protocol === 'http:', 'proxy', 'an http: URL, the only kind that gRPC goes through');
  const user = decodeURIComponent(password === '' ? username : `${username}:${password}`);
  return {
    target: parseGrpcTarget(`dns:///${hostname}:${port || 80}`)!,
    channelOptions: {
      'grpc.default_authority': authorityOf(target),
      'grpc.http_connect_target': targetText(target),
      ...(user !== '' && { 'grpc.http_connect_creds': user }),
      ...direct,
    },
  };
}
