/** The one table from error code to what a client sees: a status, a fixed title, never a message, cause or host. */
import { type ErrorCode, GatewayError } from '../errors.ts';

export interface ErrorReply {
  readonly status: number;
  readonly title: string;
  /** Seconds for `Retry-After` when the error itself names none. */
  readonly retryAfterSeconds?: number;
  /** The connection ends with this answer: the rest of what the client sent is not understood. */
  readonly close?: true;
  readonly log: 'debug' | 'info' | 'warn' | 'error';
}

export const errorReplies = {
  REQUEST_MALFORMED: { status: 400, title: 'Bad request', close: true, log: 'debug' },
  REQUEST_TOO_LARGE: { status: 413, title: 'Request too large', close: true, log: 'debug' },
  REQUEST_TIMEOUT: { status: 408, title: 'Request timeout', close: true, log: 'debug' },
  REQUEST_HEAD_TOO_LARGE: {
    status: 431,
    title: 'Request header fields too large',
    close: true,
    log: 'debug',
  },
  TARGET_TOO_LONG: { status: 414, title: 'Address too long', close: true, log: 'debug' },
  MEDIA_TYPE_UNSUPPORTED: { status: 415, title: 'Unsupported media type', log: 'debug' },
  METHOD_NOT_ALLOWED: { status: 405, title: 'Method not allowed', log: 'debug' },
  TRANSFER_CODING_UNSUPPORTED: {
    status: 501,
    title: 'Transfer coding not supported',
    close: true,
    log: 'debug',
  },
  HTTP_VERSION_UNSUPPORTED: { status: 505, title: 'HTTP version not supported', close: true, log: 'debug' },
  HOST_UNKNOWN: { status: 421, title: 'Unknown host', log: 'debug' },
  NOT_FOUND: { status: 404, title: 'Not found', log: 'debug' },
  ORIGINAL_REQUEST_INVALID: { status: 403, title: 'Forbidden', log: 'warn' },
  CSRF_MISMATCH: { status: 403, title: 'The form has expired', log: 'info' },
  ACCESS_DENIED: { status: 403, title: 'Access denied', log: 'debug' },
  SIGN_IN_REQUIRED: { status: 401, title: 'Sign-in required', log: 'debug' },
  THROTTLED: { status: 429, title: 'Too many attempts', retryAfterSeconds: 60, log: 'info' },
  MAILBOX_MISSING: { status: 403, title: 'No mailbox for this account', log: 'info' },
  MAILBOX_REFUSED: {
    status: 503,
    title: 'The mail server refuses the sign-in',
    retryAfterSeconds: 300,
    log: 'warn',
  },
  PROVIDER_UNAVAILABLE: {
    status: 503,
    title: 'Sign-in is temporarily unavailable',
    retryAfterSeconds: 5,
    log: 'error',
  },
  PROVIDER_PROTOCOL: { status: 502, title: 'Sign-in is temporarily unavailable', log: 'error' },
  PROVIDER_MISCONFIGURED: {
    status: 503,
    title: 'Sign-in is temporarily unavailable',
    retryAfterSeconds: 30,
    log: 'error',
  },
  SESSION_STORE_UNAVAILABLE: {
    status: 503,
    title: 'Temporarily unavailable',
    retryAfterSeconds: 2,
    log: 'error',
  },
  UPSTREAM_UNREACHABLE: { status: 502, title: 'The application cannot be reached', log: 'warn' },
  UPSTREAM_TIMEOUT: { status: 504, title: 'The application did not answer in time', log: 'warn' },
  UPSTREAM_RESET: { status: 502, title: 'The application ended the connection', log: 'warn' },
  UPSTREAM_PROTOCOL: { status: 502, title: 'The application gave an invalid answer', log: 'warn' },
  UPSTREAM_BUSY: { status: 503, title: 'The application is overloaded', retryAfterSeconds: 1, log: 'warn' },
  CONFIG_INVALID: { status: 500, title: 'Internal error', log: 'error' },
} as const satisfies Record<ErrorCode, ErrorReply>;

const bug: ErrorReply = { status: 500, title: 'Internal error', log: 'error' };

/** What anything thrown is answered with; whatever is no GatewayError is a bug: 500, never a 4xx. */
export function errorReply(error: unknown): ErrorReply & { readonly code: string } {
  if (!(error instanceof GatewayError)) return { ...bug, code: 'INTERNAL' };
  const reply: ErrorReply = errorReplies[error.code];
  const retryAfterSeconds = error.retryAfterSeconds ?? reply.retryAfterSeconds;
  return { ...reply, code: error.code, ...(retryAfterSeconds === undefined ? {} : { retryAfterSeconds }) };
}
