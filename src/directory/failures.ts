/**
 * The one mapping from what LDAP, TLS and sockets report to what it means here: by result code or error code,
 * never by message text. Knows nothing of messages; connection.ts hands over the numbers.
 */
import { GatewayError } from '../errors.ts';

/** LDAP result codes (RFC 4511 section 4.1.9) that are treated by name. */
export const resultCode = {
  success: 0,
  operationsError: 1,
  timeLimitExceeded: 3,
  referral: 10,
  constraintViolation: 19,
  noSuchObject: 32,
  invalidDnSyntax: 34,
  invalidCredentials: 49,
  insufficientAccessRights: 50,
  busy: 51,
  unavailable: 52,
  unwillingToPerform: 53,
  other: 80,
} as const;

/**
 * `unavailable`: time may heal it. `config`: somebody must change a setting, here or in the directory.
 * `protocol`: the server spoke something that is not LDAP.
 */
export type FailureKind = 'unavailable' | 'config' | 'protocol';

/** `waiting`: no connection was free. `connect`: socket, TLS or service bind. `operation`: the request was sent. */
export type FailureStage = 'waiting' | 'connect' | 'operation';

export interface LdapFailureOptions {
  readonly kind: FailureKind;
  readonly stage: FailureStage;
  readonly resultCode?: number | undefined;
  readonly cause?: unknown;
}

/** Why a server could not be asked or did not say what was needed. Stays inside this folder. */
export class LdapFailure extends Error {
  override readonly name = 'LdapFailure';
  readonly kind: FailureKind;
  readonly stage: FailureStage;
  /** `undefined`: no answer came. */
  readonly resultCode: number | undefined;

  constructor(message: string, options: LdapFailureOptions) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.kind = options.kind;
    this.stage = options.stage;
    this.resultCode = options.resultCode;
  }

  get isAnswered(): boolean {
    return this.resultCode !== undefined;
  }
}

const unavailableCodes: ReadonlySet<number> = new Set([
  resultCode.timeLimitExceeded,
  resultCode.busy,
  resultCode.unavailable,
  resultCode.other,
]);

/** An answer with a code other than success, for anything but the bind that verifies a password. */
export function failureOfResult(
  what: string,
  code: number,
  stage: FailureStage,
  cause?: unknown,
): LdapFailure {
  return new LdapFailure(`${what} was answered with LDAP result ${code}`, {
    kind: unavailableCodes.has(code) ? 'unavailable' : 'config',
    stage,
    resultCode: code,
    cause,
  });
}

/** Codes of Node's TLS errors that say "this certificate is not acceptable". */
const certificateCodes: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_REJECTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_UNTRUSTED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_TLS_CERT_ALTNAME_FORMAT',
  'HOSTNAME_MISMATCH',
  'INVALID_CA',
  'INVALID_PURPOSE',
  'PATH_LENGTH_EXCEEDED',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
]);

export function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}

/** A socket or TLS error while connecting. */
export function failureOfConnect(cause: unknown): LdapFailure {
  const code = errorCode(cause);
  const isCertificate = code !== undefined && certificateCodes.has(code);
  return new LdapFailure(
    isCertificate
      ? `the server's certificate was refused (${code})`
      : `the connection failed (${code ?? 'no code'})`,
    { kind: isCertificate ? 'config' : 'unavailable', stage: 'connect', cause },
  );
}

/** What needs a person: a refused service account or certificate, which time does not heal. */
export function isMisconfiguration(cause: unknown): boolean {
  return cause instanceof LdapFailure && cause.kind === 'config' && cause.stage === 'connect';
}

/** The service bind belongs to connecting: whoever waits for the connection has sent nothing yet. */
export function asConnectFailure(error: unknown): unknown {
  if (!(error instanceof LdapFailure) || error.stage === 'connect') return error;
  const { kind, resultCode: code, cause } = error;
  return new LdapFailure(error.message, { kind, stage: 'connect', resultCode: code, cause });
}

/** Of several failed proofs the one that says most: what needs a person before what time may heal. */
export function worstOf(errors: readonly unknown[]): LdapFailure {
  const failures = errors.filter((error): error is LdapFailure => error instanceof LdapFailure);
  return (
    failures.find(isMisconfiguration) ??
    failures[0] ??
    new LdapFailure('the server did not answer in time', {
      kind: 'unavailable',
      stage: 'connect',
      cause: errors[0],
    })
  );
}

/** What callers outside this folder see. */
export function toGatewayError(error: unknown, directory: string, retryAfterSeconds = 1): GatewayError {
  if (error instanceof GatewayError) return error;
  if (!(error instanceof LdapFailure)) throw error;
  const codes = {
    unavailable: 'PROVIDER_UNAVAILABLE',
    config: 'PROVIDER_MISCONFIGURED',
    protocol: 'PROVIDER_PROTOCOL',
  } as const;
  return new GatewayError(codes[error.kind], `directory ${directory}: ${error.message}`, {
    cause: error,
    fields: {
      directory,
      stage: error.stage,
      ...(error.resultCode === undefined ? {} : { resultCode: error.resultCode }),
    },
    retryAfterSeconds,
  });
}
