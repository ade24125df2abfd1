/**
 * Envoy's external authorization over gRPC: the same verdict as every dialect over HTTP, asked for and told in
 * Envoy's messages. Over HTTP a front proxy must be configured to strip headers; here the answer says what to strip.
 */

import { randomUUID } from 'node:crypto';
import { isIP } from 'node:net';
import { type CheckRequest, decodeCheckRequest } from '../grpc/check-request.ts';
import { encodeAllowance, encodeAnswerHeaders, encodeChanges, encodeDenial } from '../grpc/check-response.ts';
import type { GrpcRefusal } from '../grpc/status.ts';
import { listenUnary, type UnaryAnswer } from '../grpc/unary-listener.ts';
import { assertionHeader } from '../headers/asserted.ts';
import { errorReply } from '../http/error-reply.ts';
import { jsonHeaders } from '../http/exchange.ts';
import { clientAddress } from '../http/forwarded.ts';
import type { Listener } from '../http/listener.ts';
import type { ListenAddress } from '../http/options.ts';
import { HeadReader, type RequestHead } from '../http/request-head.ts';
import { maxTargetBytes } from '../http/target.ts';
import { plainAddress } from '../lib/address-set.ts';
import { withoutCookies } from '../lib/cookie-header.ts';
import { type OriginalRequest, originalRequest } from './addresses/original-request.ts';
import type { ProtectedApplication } from './application.ts';
import { isNegotiate } from './credentials/negotiate.ts';
import type { GatewayDependencies } from './dependencies.ts';
import { ownCookieNames } from './outgoing/own-cookies.ts';
import { createCsrfGuard } from './sign-in/csrf.ts';
import { Traffic } from './traffic.ts';
import { type Asker, invalidOriginal, Judge, type Verdict } from './verdict.ts';
import type { View } from './view.ts';

const checkMethod = '/envoy.service.auth.v3.Authorization/Check';

/** Where the listener really is goes to the log: `grpc.listening`. */
export async function listenExternalAuthorization(
  address: ListenAddress,
  dependencies: GatewayDependencies,
): Promise<Listener> {
  const { logger } = dependencies;
  const authorization = new ExternalAuthorization(dependencies);
  const listener = await listenUnary({
    address,
    method: checkMethod,
    admits: (peer) => authorization.admits(peer),
    answer: (message, peer) => authorization.check(message, peer),
    onRefused: (status, peer) => authorization.refused(status, peer),
    onDefect: (error) => logger.error('grpc.call-failed', { error }),
  });
  logger.info('grpc.listening', { address: listener.address });
  return listener;
}

const asker: Asker = { name: 'grpc', redirects: true };

/** Fields that make an application see another request than the judged one, or a credential that ends here. */
const strippedFields = new Set([
  assertionHeader.toLowerCase(),
  'authorization',
  'x-http-method',
  'x-http-method-override',
  'x-method-override',
  'x-original-host',
  'x-original-method',
  'x-original-uri',
  'x-original-url',
  'x-rewrite-url',
]);

/**
 * What only a trusted proxy may say of the request, when Envoy does not say it itself: it has set X-Forwarded-For,
 * -Proto and -Port before it asks.
 */
const claimedFields = new Set([
  'forwarded',
  'x-forwarded-host',
  'x-forwarded-method',
  'x-forwarded-prefix',
  'x-forwarded-server',
  'x-forwarded-ssl',
  'x-forwarded-uri',
  'x-real-ip',
]);

interface Asked {
  /** Monotonic clock at arrival, milliseconds. */
  readonly startedAt: number;
  /** Envoy's own address. */
  readonly peer: string;
}

class ExternalAuthorization {
  readonly #dependencies: GatewayDependencies;
  readonly #traffic: Traffic;
  readonly #judge: Judge;
  readonly #ownCookies: readonly string[];
  /** What an allowed request gets whoever it comes from, by the head of the same answer over HTTP. */
  readonly #identity = new WeakMap<View['verdictHeaders'], Uint8Array>();

  readonly #heads: HeadReader;

  constructor(dependencies: GatewayDependencies) {
    const { negotiation } = dependencies;
    this.#heads = new HeadReader({ readsUserAgent: negotiation?.policy.readsUserAgent === true });
    this.#dependencies = dependencies;
    this.#traffic = new Traffic(dependencies.metrics, 'grpc');
    this.#judge = new Judge(dependencies, this.#traffic);
    this.#ownCookies = ownCookieNames(dependencies, createCsrfGuard(dependencies));
  }

  /** Anybody could describe an original request that suits them: only listed proxies may ask. */
  admits(peer: string): boolean {
    return this.#dependencies.snapshot.trustedProxies.has(peer);
  }

  /**
   * Hot path: `bench/grpc.ts`. Synchronous for a warm session. Never throws what a GatewayError can say: a request
   * that cannot be decided on is denied with 503, in the message, since Envoy may be configured to let requests pass
   * when a call fails.
   */
  check(message: Buffer, peer: string): UnaryAnswer | Promise<UnaryAnswer> {
    const asked = { startedAt: performance.now(), peer };
    const request = decodeCheckRequest(message);
    if (request === undefined) return 'INVALID_ARGUMENT';
    try {
      const head = this.#heads.read(request.headers);
      const { clock } = this.#dependencies;
      const visit = { head, clientAddress: this.#client(request, head, peer), startedAtMs: clock.now() };
      const verdict = this.#judge.judge(visit, originalOf(request, head), asker);
      if (!(verdict instanceof Promise)) return this.#render(asked, request, head, verdict);
      return verdict
        .then((judged) => this.#render(asked, request, head, judged))
        .catch((error: unknown) => this.#fail(asked, error));
    } catch (error) {
      return this.#fail(asked, error);
    }
  }

  /** A call that ended without a message: counted like an answer over HTTP, and told to the operator. */
  refused(status: GrpcRefusal, peer: string): void {
    const { metrics, logger } = this.#dependencies;
    const labels = { listener: 'grpc', surface: 'forward_auth', code: refusalCodes[status] };
    metrics.httpRequests.cell(labels).count++;
    // Most often a proxy that is missing in server.trustedProxies.
    logger.warn('grpc.call-refused', { status, peer });
  }

  #client({ source }: CheckRequest, { forwardedFor }: RequestHead, peer: string): string {
    // Who is connected to Envoy; without an address it is somebody on Envoy's machine.
    const nearest = source ?? peer;
    if (isIP(nearest) === 0) throw invalidOriginal('the source is no address', { peer });
    return clientAddress(plainAddress(nearest), forwardedFor, this.#dependencies.snapshot.trustedProxies);
  }

  #render(asked: Asked, request: CheckRequest, head: RequestHead, verdict: Verdict): Buffer {
    if (verdict.kind === 'refuse') {
      this.#traffic.answered(asked, 'forward_auth', verdict.status);
      return encodeDenial(statusOf(verdict.status), verdict);
    }
    const { application, view, answerHeaders } = verdict;
    const set: string[] = [];
    const { trustedProxies } = this.#dependencies.snapshot;
    const isRelayed = trustedProxies.has(plainAddress(request.source ?? asked.peer));
    const remove = strippedNames(request.headers, application, isRelayed);
    const cookie = withoutCookies(head.cookie, this.#ownCookies);
    if (cookie === '' && head.cookie !== '') remove.push('cookie');
    else if (cookie !== head.cookie) set.push('cookie', cookie);
    // A ticket for the gateway is no credential for anybody else, also where the Authorization field passes.
    if (isNegotiate(head.authorization) && !remove.includes('authorization')) remove.push('authorization');
    this.#traffic.answered(asked, 'forward_auth', 200);
    const identity = this.#identityOf(application, view);
    const isUnchanged = set.length === 0 && remove.length === 0;
    const pieces = isUnchanged ? [identity] : [identity, encodeChanges({ set, remove })];
    if (answerHeaders.length > 0) pieces.push(encodeAnswerHeaders(answerHeaders));
    return encodeAllowance(pieces);
  }

  #identityOf({ identityNames }: ProtectedApplication, { verdictHeaders }: View): Uint8Array {
    const known = this.#identity.get(verdictHeaders);
    if (known !== undefined) return known;
    const set: string[] = [];
    // The usual other spelling, also where Envoy is configured not to show us the client's fields.
    const remove = identityNames
      .filter((name) => name.includes('-'))
      .map((name) => name.replaceAll('-', '_').toLowerCase());
    for (let i = 0; i < verdictHeaders.length; i += 2) {
      const name = verdictHeaders[i] as string;
      const value = verdictHeaders[i + 1] as string;
      if (!identityNames.includes(name)) continue;
      if (value === '') remove.push(name.toLowerCase());
      // A byte string for HTTP; text in a message.
      else set.push(name.toLowerCase(), Buffer.from(value, 'latin1').toString('utf8'));
    }
    const encoded = encodeChanges({ set, remove });
    this.#identity.set(verdictHeaders, encoded);
    return encoded;
  }

  #fail({ startedAt, peer }: Asked, error: unknown): Buffer {
    const { status, code, title, log, retryAfterSeconds } = errorReply(error);
    const requestId = randomUUID();
    this.#dependencies.logger[log]('request.failed', {
      requestId,
      surface: 'forward_auth',
      status,
      peer,
      error,
    });
    this.#traffic.answered({ startedAt }, 'forward_auth', status);
    const retryAfter =
      retryAfterSeconds === undefined ? [] : ['Retry-After', String(Math.ceil(retryAfterSeconds))];
    return encodeDenial(statusOf(status), {
      status,
      headers: [...jsonHeaders, ...retryAfter],
      body: `${JSON.stringify({ error: code, title, requestId })}\n`,
    });
  }
}

function originalOf(request: CheckRequest, head: RequestHead): OriginalRequest {
  const { method, host, path, query } = request;
  const target = query === '' ? path : `${path}?${query}`;
  // Envoy takes `:scheme` from an HTTP/2 client as it comes, but sets X-Forwarded-Proto to what it knows.
  const scheme = head.forwardedProto ?? request.scheme;
  const isDoubtful =
    head.isDuplicate('forwardedProto') ||
    head.isDuplicate('authorization') ||
    head.isDuplicate('host') ||
    target.length > maxTargetBytes;
  const original = isDoubtful ? undefined : originalRequest(method, scheme, host, target);
  if (original === undefined)
    throw invalidOriginal('the original request is missing or malformed', { dialect: asker.name });
  return original;
}

/**
 * Names of the client's fields that the application must not see, beside those we set or remove anyway.
 * `isRelayed`: a trusted proxy stands between the client and Envoy.
 */
function strippedNames(
  headers: readonly string[],
  { strip, options, identityNames }: ProtectedApplication,
  isRelayed: boolean,
): string[] {
  const names: string[] = [];
  for (let i = 0; i < headers.length; i += 2) {
    const name = headers[i] as string;
    const fate = strip.fate(name);
    if (fate === 'keep') continue;
    if (fate === 'drop') {
      const lower = name.toLowerCase();
      if (!strippedFields.has(lower) && (isRelayed || !claimedFields.has(lower))) continue;
      // An application may be sent identity under one of these names.
      if (identityNames.some((own) => own.toLowerCase() === lower)) continue;
    } else if (options.headers.onAlias === 'reject') {
      throw invalidOriginal('a header is a twin of one that only the gateway may send', { header: name });
    }
    names.push(name);
  }
  return names;
}

/** What `google.rpc.Status` says beside an HTTP answer. */
function statusOf(httpStatus: number): GrpcRefusal {
  switch (httpStatus) {
    case 401:
    case 302:
    case 303:
      return 'UNAUTHENTICATED';
    case 403:
      return 'PERMISSION_DENIED';
    case 502:
    case 503:
      return 'UNAVAILABLE';
    default:
      return 'INTERNAL';
  }
}

const refusalCodes: Record<GrpcRefusal, string> = {
  INVALID_ARGUMENT: '400',
  DEADLINE_EXCEEDED: '504',
  PERMISSION_DENIED: '403',
  RESOURCE_EXHAUSTED: '413',
  UNIMPLEMENTED: '404',
  INTERNAL: '500',
  UNAVAILABLE: '503',
  UNAUTHENTICATED: '401',
};
