/** Translates what undici and sockets report about an upstream, once, by code or class. */
import { errors } from 'undici';
import { type ErrorCode, GatewayError } from '../errors.ts';

const codes: ReadonlyMap<string, ErrorCode> = new Map([
  ['ECONNREFUSED', 'UPSTREAM_UNREACHABLE'],
  ['EHOSTUNREACH', 'UPSTREAM_UNREACHABLE'],
  ['ENETUNREACH', 'UPSTREAM_UNREACHABLE'],
  ['ENOTFOUND', 'UPSTREAM_UNREACHABLE'],
  ['EAI_AGAIN', 'UPSTREAM_UNREACHABLE'],
  ['ENOENT', 'UPSTREAM_UNREACHABLE'],
  ['EACCES', 'UPSTREAM_UNREACHABLE'],
  ['UND_ERR_CONNECT_TIMEOUT', 'UPSTREAM_TIMEOUT'],
  ['UND_ERR_HEADERS_TIMEOUT', 'UPSTREAM_TIMEOUT'],
  ['UND_ERR_BODY_TIMEOUT', 'UPSTREAM_TIMEOUT'],
  ['ETIMEDOUT', 'UPSTREAM_TIMEOUT'],
  ['ECONNRESET', 'UPSTREAM_RESET'],
  ['EPIPE', 'UPSTREAM_RESET'],
  ['UND_ERR_SOCKET', 'UPSTREAM_RESET'],
  ['UND_ERR_CLOSED', 'UPSTREAM_RESET'],
  ['UND_ERR_DESTROYED', 'UPSTREAM_RESET'],
  ['UND_ERR_HEADERS_OVERFLOW', 'UPSTREAM_PROTOCOL'],
  ['UND_ERR_RES_CONTENT_LENGTH_MISMATCH', 'UPSTREAM_PROTOCOL'],
  // The client announced more or fewer bytes than it sent.
  ['UND_ERR_REQ_CONTENT_LENGTH_MISMATCH', 'REQUEST_MALFORMED'],
  ['UND_ERR_INVALID_ARG', 'REQUEST_MALFORMED'],
]);

export function upstreamFailure(error: unknown, application: string): GatewayError {
  if (error instanceof GatewayError) return error;
  const code = codeOf(error);
  const translated =
    error instanceof errors.HTTPParserError
      ? 'UPSTREAM_PROTOCOL'
      : (codes.get(code) ??
        (/^(ERR_TLS|CERT|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO)/.test(code)
          ? 'UPSTREAM_UNREACHABLE'
          : 'UPSTREAM_RESET'));
  return new GatewayError(translated, 'the upstream failed', {
    cause: error,
    fields: { application, upstreamCode: code },
  });
}

/** Whether the server could not be connected to: nothing was sent, and it may not work at all. */
export function isConnectFailure(error: unknown): boolean {
  return (
    codeOf(error) === 'UND_ERR_CONNECT_TIMEOUT' || upstreamFailure(error, '').code === 'UPSTREAM_UNREACHABLE'
  );
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
