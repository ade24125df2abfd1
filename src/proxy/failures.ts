/** Translates what sockets report about an upstream, once, by code. */
import { type ErrorCode, GatewayError } from '../errors.ts';
import { isTlsFailure } from '../lib/tls-failure.ts';
import { connectTimeout } from './http1/connect.ts';

const codes: ReadonlyMap<string, ErrorCode> = new Map([
  ['ECONNREFUSED', 'UPSTREAM_UNREACHABLE'],
  ['EHOSTUNREACH', 'UPSTREAM_UNREACHABLE'],
  ['ENETUNREACH', 'UPSTREAM_UNREACHABLE'],
  ['ENOTFOUND', 'UPSTREAM_UNREACHABLE'],
  ['EAI_AGAIN', 'UPSTREAM_UNREACHABLE'],
  ['ENOENT', 'UPSTREAM_UNREACHABLE'],
  ['EACCES', 'UPSTREAM_UNREACHABLE'],
  [connectTimeout, 'UPSTREAM_TIMEOUT'],
  ['ETIMEDOUT', 'UPSTREAM_TIMEOUT'],
  ['ECONNRESET', 'UPSTREAM_RESET'],
  ['EPIPE', 'UPSTREAM_RESET'],
]);

export function upstreamFailure(error: unknown, application: string): GatewayError {
  if (error instanceof GatewayError) {
    const { code, message, cause, fields } = error;
    return new GatewayError(code, message, { cause, fields: { ...fields, application } });
  }
  const code = codeOf(error);
  const translated = codes.get(code) ?? (isTlsFailure(code) ? 'UPSTREAM_UNREACHABLE' : 'UPSTREAM_RESET');
  return new GatewayError(translated, 'the upstream failed', {
    cause: error,
    fields: { application, upstreamCode: code },
  });
}

/** Whether the server could not be connected to: nothing was sent, and it may not work at all. */
export function isConnectFailure(error: unknown): boolean {
  return codeOf(error) === connectTimeout || upstreamFailure(error, '').code === 'UPSTREAM_UNREACHABLE';
}

function codeOf(error: unknown): string {
  return error instanceof Error && 'code' in error ? String(error.code) : '';
}
