/** Answers a front proxy that asks whether an original request may pass, and what to tell the application. */

import type { Decision } from '../access/decision.ts';
import { GatewayError } from '../errors.ts';
import { type Exchange, reply, replyJson } from '../http/exchange.ts';
import { isNavigation } from '../http/navigation.ts';
import type { Session } from '../session/session.ts';
import type { ProtectedApplication } from './application.ts';
import type { GatewayDependencies } from './dependencies.ts';
import type { Dialect } from './dialects.ts';
import { type OriginalRequest, originalUrl } from './original-request.ts';
import { sessionOf } from './session-of.ts';
import { signInLocation } from './sign-in-location.ts';
import type { Traffic } from './traffic.ts';

export class ForwardAuth {
  readonly #dependencies: GatewayDependencies;
  readonly #traffic: Traffic;

  constructor(dependencies: GatewayDependencies, traffic: Traffic) {
    this.#dependencies = dependencies;
    this.#traffic = traffic;
  }

  /**
   * Hot path: `bench/forward-auth.ts`. `prefix` is the endpoint's own path. Synchronous for a warm session;
   * otherwise the promise settles when the answer is given. Throws what `error-reply.ts` answers.
   */
  answer(exchange: Exchange, dialect: Dialect, prefix: string): Promise<void> | undefined {
    const { sessions, sessionCookie } = this.#dependencies;
    // Anybody could describe an original request that suits them: only listed proxies are asked by.
    if (!exchange.isPeerTrusted) throw invalid('the peer is no trusted proxy', { peer: exchange.peer });
    const original = dialect.read(exchange.head, exchange.request, prefix);
    if (original === undefined)
      throw invalid('the original request is missing or malformed', { dialect: dialect.name });
    const application = applicationOf(original, this.#dependencies);
    const session = sessionOf(exchange, sessionCookie, sessions);
    if (!(session instanceof Promise)) {
      this.#decide(exchange, dialect, original, application, session);
      return undefined;
    }
    return session.then(
      (loaded) => this.#decide(exchange, dialect, original, application, loaded),
      (error: unknown) => {
        this.#traffic.undecided(application.options.name, dialect.name);
        throw error;
      },
    );
  }

  #decide(
    exchange: Exchange,
    dialect: Dialect,
    original: OriginalRequest,
    application: ProtectedApplication,
    session: Session | undefined,
  ): void {
    const principal = session?.principal;
    const view = application.view(principal);
    const { method, target } = original;
    const decision = application.decide(
      {
        method,
        readings: target.readings,
        clientAddress: exchange.clientAddress,
        hasEncodedSlash: target.hasEncodedSlash,
      },
      view,
    );
    this.#traffic.decided(application.options.name, dialect.name, decision);
    switch (decision.kind) {
      case 'allow':
        exchange.response.writeHead(200, view.verdictHeaders);
        exchange.response.end();
        this.#traffic.answered(exchange, 'forward_auth', 200);
        return;
      case 'challenge':
        this.#challenge(exchange, dialect, original);
        return;
      case 'deny':
        this.#deny(exchange, application, decision, principal?.username);
    }
  }

  #challenge(exchange: Exchange, dialect: Dialect, original: OriginalRequest): void {
    const { snapshot } = this.#dependencies;
    const location = signInLocation(original, originalUrl(original), snapshot);
    const isRedirected = dialect.redirects && isNavigation(exchange.head);
    if (isRedirected) {
      const status = original.method === 'GET' || original.method === 'HEAD' ? 302 : 303;
      reply(exchange, status, ['Location', location, 'Cache-Control', 'no-store']);
      this.#traffic.answered(exchange, 'forward_auth', status);
      return;
    }
    // nginx reads Location from the 401 and redirects by its own configuration.
    const headers = dialect.redirects ? [] : ['Location', location];
    replyJson(
      exchange,
      401,
      { error: 'SIGN_IN_REQUIRED', title: 'Sign-in required', signIn: location },
      headers,
    );
    this.#traffic.answered(exchange, 'forward_auth', 401);
  }

  #deny(
    exchange: Exchange,
    application: ProtectedApplication,
    decision: Decision,
    account: string | undefined,
  ): void {
    this.#dependencies.logger.audit('access.denied', {
      application: application.options.name,
      account,
      reason: decision.reason,
      rule: decision.rule,
      clientAddress: exchange.clientAddress,
    });
    replyJson(exchange, 403, { error: 'ACCESS_DENIED', title: 'Access denied' });
    this.#traffic.answered(exchange, 'forward_auth', 403);
  }
}

function applicationOf(original: OriginalRequest, { snapshot }: GatewayDependencies): ProtectedApplication {
  const { readings, canonical } = original.target;
  const application = snapshot.applications.find(original.host, canonical);
  if (application === undefined)
    throw invalid('no application is configured for the host', { host: original.host });
  // A path that other servers may read as another application's is nobody's.
  if (
    readings.length > 1 &&
    readings.some((reading) => snapshot.applications.find(original.host, reading) !== application)
  ) {
    throw invalid('the path belongs to two applications', { host: original.host });
  }
  return application;
}

function invalid(message: string, fields: Record<string, string>): GatewayError {
  return new GatewayError('ORIGINAL_REQUEST_INVALID', message, { fields });
}
