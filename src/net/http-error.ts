// What a failed connection means to whoever runs the service.
import { textOf } from '../data/diagnostics.ts';
import { ExportError } from '../data/errors.ts';

const TLS_CODE =
  /^(ERR_TLS|ERR_SSL|CERT_|ERR_OSSL|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|EPROTO$|HOSTNAME_MISMATCH|INVALID_CA|UND_ERR_PRX_TLS)/;

const TLS_REMEDIES: Record<string, string> = {
  CERT_HAS_EXPIRED: "the server's certificate has expired",
  CERT_NOT_YET_VALID: "the server's certificate is not valid yet",
  DEPTH_ZERO_SELF_SIGNED_CERT: "the server's certificate is self-signed: give it as tls.ca",
  SELF_SIGNED_CERT_IN_CHAIN: "the server's authority is not trusted: give it as tls.ca",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: "the server's authority is not trusted: give it as tls.ca",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: "the server's authority is not trusted: give it as tls.ca",
  ERR_SSL_WRONG_VERSION_NUMBER: 'the server does not speak TLS: use http: in the address',
  ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED:
    'the server demands a client certificate: give tls.cert and tls.key',
};

/** Nothing was sent. */
const CONNECT_CODES = new Set([
  'EACCES',
  'EADDRNOTAVAIL',
  'EAI_AGAIN',
  'ECONNREFUSED',
  'EHOSTDOWN',
  'EHOSTUNREACH',
  'ENETDOWN',
  'ENETUNREACH',
  'ENOENT',
  'ENOTFOUND',
  'UND_ERR_CONNECT_TIMEOUT',
]);

/**
 * Classifies what a request was rejected with before there was an answer.
 *
 * @param shown the address, without secrets
 */
export function connectionError(shown: string, error: unknown, signal: AbortSignal | undefined): ExportError {
  if (signal?.aborted) {
    const { reason } = signal;
    if (reason instanceof Error && reason.name === 'ExportError') return reason as ExportError;
    return new ExportError('ABORTED', `the request to ${shown} was aborted`, {
      retryable: true,
      cause: reason,
    });
  }
  const code = codeOf(error);
  if (TLS_CODE.test(code)) {
    const reason = TLS_REMEDIES[code] ?? textOf(error).trim();
    // May pass: certificates are renewed on either side, and nothing was delivered.
    return new ExportError('TLS', `no secure connection to ${shown}: ${reason} (${code})`, {
      retryable: true,
      cause: error,
    });
  }
  if ((error as Error | undefined)?.name === 'HTTPParserError') {
    return new ExportError('PROTOCOL', `${shown} does not speak HTTP/1.1: look at the port of the address`, {
      cause: error,
    });
  }
  if (CONNECT_CODES.has(code)) {
    return new ExportError('UNAVAILABLE', `${shown} cannot be reached (${code})`, {
      retryable: true,
      cause: error,
    });
  }
  const proxyStatus = /^Proxy response \((\d+)\)|Proxy Authentication Required \((407)\)/.exec(textOf(error));
  if (proxyStatus !== null) {
    const status = proxyStatus[1] ?? proxyStatus[2];
    const message = `the proxy answered ${status} when asked for ${shown}`;
    return status === '407'
      ? new ExportError('UNAUTHENTICATED', `${message}: put user and password into its URL`, { cause: error })
      : new ExportError('UNAVAILABLE', message, { retryable: true, cause: error });
  }
  if (code.startsWith('UND_ERR_INVALID') || code === 'UND_ERR_REQ_CONTENT_LENGTH_MISMATCH') {
    return new ExportError('INTERNAL', `no request to ${shown} could be made: ${textOf(error)}`, {
      cause: error,
    });
  }
  const reason = `${textOf(error)}${code && ` (${code})`}`;
  return new ExportError(
    'UNAVAILABLE',
    `the connection to ${shown} ended before an answer: ${reason}; it may or may not have been taken`,
    { retryable: true, cause: error },
  );
}

/** That of the last attempt, where a name has several addresses. */
function codeOf(error: unknown): string {
  const { code, errors, cause } = (error ?? {}) as { code?: unknown; errors?: unknown[]; cause?: unknown };
  // What undici wraps says more than the wrapper.
  const inner = cause instanceof Error ? codeOf(cause) : '';
  if (inner !== '') return inner;
  if (typeof code === 'string') return code;
  return Array.isArray(errors) && errors.length > 0 ? codeOf(errors.at(-1)) : '';
}
