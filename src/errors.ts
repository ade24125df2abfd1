/**
 * The one error class for "cannot decide" and the closed list of its codes.
 * Expected results (wrong password, denied) are values, never errors; HTTP status codes live in http/error-reply.ts.
 */

export type ErrorCode =
  | 'REQUEST_MALFORMED'
  | 'REQUEST_TOO_LARGE'
  | 'REQUEST_TIMEOUT'
  | 'REQUEST_HEAD_TOO_LARGE'
  | 'TARGET_TOO_LONG'
  | 'MEDIA_TYPE_UNSUPPORTED'
  | 'METHOD_NOT_ALLOWED'
  | 'TRANSFER_CODING_UNSUPPORTED'
  | 'HTTP_VERSION_UNSUPPORTED'
  | 'HOST_UNKNOWN'
  | 'NOT_FOUND'
  | 'ORIGINAL_REQUEST_INVALID'
  | 'CSRF_MISMATCH'
  | 'ACCESS_DENIED'
  | 'SIGN_IN_REQUIRED'
  | 'THROTTLED'
  | 'MAILBOX_MISSING'
  | 'MAILBOX_REFUSED'
  | 'PROVIDER_UNAVAILABLE'
  | 'PROVIDER_PROTOCOL'
  | 'PROVIDER_MISCONFIGURED'
  | 'SESSION_STORE_UNAVAILABLE'
  | 'UPSTREAM_UNREACHABLE'
  | 'UPSTREAM_TIMEOUT'
  | 'UPSTREAM_RESET'
  | 'UPSTREAM_PROTOCOL'
  | 'UPSTREAM_BUSY'
  | 'CONFIG_INVALID';

/** Structured facts for the log line. Never a credential, ticket, cookie or key. */
export type ErrorFields = Readonly<Record<string, string | number | boolean | readonly string[]>>;

export interface GatewayErrorOptions {
  readonly cause?: unknown;
  readonly fields?: ErrorFields;
  /** Seconds for the `Retry-After` header, where the code is answered with one. */
  readonly retryAfterSeconds?: number;
}

export class GatewayError extends Error {
  override readonly name = 'GatewayError';
  readonly code: ErrorCode;
  readonly fields: ErrorFields;
  readonly retryAfterSeconds: number | undefined;

  constructor(code: ErrorCode, message: string, options: GatewayErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.fields = options.fields ?? {};
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
