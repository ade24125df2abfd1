/** Decides about a request for an application and, when allowed, sends it to the upstream. */

import type { Decision } from '../access/decision.ts';
import { GatewayError } from '../errors.ts';
import { type Exchange, redirect, reply, replyJson } from '../http/exchange.ts';
import { isNavigation } from '../http/navigation.ts';
import type { Target } from '../http/target.ts';
import { whoamiPage } from '../proxy/whoami.ts';
import type { ProtectedApplication } from './application.ts';
import { challengeForm, type Identified } from './credentials.ts';
import type { GatewayDependencies } from './dependencies.ts';
import type { Failures } from './failures.ts';
import { outgoingHeaders } from './outgoing-headers.ts';
import type { RequestOrigin } from './request-origin.ts';
import { signInLocation } from './sign-in-location.ts';
import type { Traffic } from './traffic.ts';
import type { View } from './view.ts';

export class ReverseProxy {
  readonly #dependencies: GatewayDependencies;
  readonly #traffic: Traffic;
  readonly #failures: Failures;
  /** Cookies of ours: never sent to an application, never accepted from one. */
  readonly #gatewayCookies: readonly string[];

  constructor(
    dependencies: GatewayDependencies,
    traffic: Traffic,
    failures: Failures,
    gatewayCookies: readonly string[],
  ) {
    this.#dependencies = dependencies;
    this.#traffic = traffic;
    this.#failures = failures;
    this.#gatewayCookies = gatewayCookies;
  }

  /** Hot path: `bench/proxy.ts`. Throws what `error-reply.ts` answers. */
  answer(exchange: Exchange, origin: RequestOrigin, target: Target): Promise<void> | undefined {
    const { credentials, snapshot } = this.#dependencies;
    const application = snapshot.applications.find(origin.host, target.canonical);
    if (application === undefined) {
      if (target.canonical !== '/') throw new GatewayError('NOT_FOUND', 'no application at this path');
      redirect(exchange, 302, `${snapshot.portalPath}/`);
      this.#traffic.answered(exchange, 'proxy', 302);
      return undefined;
    }
    // A path that other servers may read as another application's is nobody's.
    if (target.readings.some((reading) => snapshot.applications.find(origin.host, reading) !== application)) {
      throw new GatewayError('REQUEST_MALFORMED', 'the path belongs to two applications');
    }
    const identified = credentials.identify(exchange, application);
    if (!(identified instanceof Promise)) {
      return this.#decide(exchange, origin, target, application, identified);
    }
    return identified.then(
      async (loaded) => await this.#decide(exchange, origin, target, application, loaded),
      (error: unknown) => {
        this.#traffic.undecided(application.options.name, 'proxy');
        throw error;
      },
    );
  }

  #decide(
    exchange: Exchange,
    origin: RequestOrigin,
    target: Target,
    application: ProtectedApplication,
    identified: Identified | undefined,
  ): Promise<void> | undefined {
    const view = application.view(identified?.principal);
    const method = exchange.request.method as string;
    const decision = application.decide(
      {
        method,
        readings: target.readings,
        clientAddress: exchange.clientAddress,
        hasEncodedSlash: target.hasEncodedSlash,
      },
      view,
    );
    this.#traffic.decided(application.options.name, 'proxy', decision);
    switch (decision.kind) {
      case 'allow':
        return this.#complete(exchange, origin, target, application, identified, view);
      case 'challenge':
        this.#challenge(exchange, origin, target, application);
        return undefined;
      case 'deny':
        this.#deny(exchange, application, decision, identified);
        return undefined;
    }
  }

  #complete(
    exchange: Exchange,
    origin: RequestOrigin,
    target: Target,
    application: ProtectedApplication,
    identified: Identified | undefined,
    view: View,
  ): Promise<void> | undefined {
    const completed = application.completed(view, identified?.principal, exchange.startedAtMs);
    if (completed instanceof Promise) {
      return completed.then((whole) => this.#pass(exchange, origin, target, application, whole));
    }
    this.#pass(exchange, origin, target, application, completed);
    return undefined;
  }

  #pass(
    exchange: Exchange,
    origin: RequestOrigin,
    target: Target,
    application: ProtectedApplication,
    view: View,
  ): void {
    const { upstream, options, identityNames } = application;
    if (upstream === undefined) throw new GatewayError('NOT_FOUND', 'the application has no upstream');
    const method = exchange.request.method as string;
    const headers = outgoingHeaders(exchange, application, view, origin, this.#gatewayCookies);
    const path =
      (options.stripPrefix ? withoutPrefix(target, options.pathPrefix) : target.path) + target.query;
    if (upstream === 'whoami') {
      const page = whoamiPage({ method, target: path, headers, identityHeaders: identityNames });
      reply(exchange, page.status, page.headers, page.body);
      this.#traffic.answered(exchange, 'proxy', page.status);
      return;
    }
    const { head } = exchange;
    const hasBody =
      head.transferEncoding !== undefined || (head.contentLength !== undefined && head.contentLength !== '0');
    const sent = { method, path, headers, hasBody, protectedCookies: this.#gatewayCookies };
    upstream.forward(exchange, sent, {
      onAnswered: (status) => {
        this.#upstreamAnswered(exchange, options.name, String(status));
        this.#traffic.answered(exchange, 'proxy', status);
      },
      onFailed: (error, canAnswer) => {
        this.#upstreamAnswered(exchange, options.name, canAnswer ? error.code : 'aborted');
        if (canAnswer) this.#failures.answer(exchange, 'proxy', error);
      },
    });
  }

  #upstreamAnswered(exchange: Exchange, application: string, code: string): void {
    const { metrics } = this.#dependencies;
    metrics.upstreamRequests.cell({ application, code }).count++;
    metrics.upstreamRequestDuration
      .cell({ application, code })
      .observe((performance.now() - exchange.startedAt) / 1_000);
  }

  #challenge(
    exchange: Exchange,
    origin: RequestOrigin,
    target: Target,
    application: ProtectedApplication,
  ): void {
    const { snapshot } = this.#dependencies;
    const form = challengeForm(application, exchange.head);
    if (!form.leadsToSignIn) {
      replyJson(exchange, 401, { error: 'SIGN_IN_REQUIRED', title: 'Sign-in required' }, form.headers);
      this.#traffic.answered(exchange, 'proxy', 401);
      return;
    }
    const returnTo = `${origin.scheme}://${origin.authority}${target.path}${target.query}`;
    const location = signInLocation(origin, returnTo, snapshot);
    if (isNavigation(exchange.head)) {
      const { method } = exchange.request;
      const status = method === 'GET' || method === 'HEAD' ? 302 : 303;
      redirect(exchange, status, location);
      this.#traffic.answered(exchange, 'proxy', status);
      return;
    }
    replyJson(
      exchange,
      401,
      { error: 'SIGN_IN_REQUIRED', title: 'Sign-in required', signIn: location },
      form.headers,
    );
    this.#traffic.answered(exchange, 'proxy', 401);
  }

  #deny(
    exchange: Exchange,
    application: ProtectedApplication,
    decision: Decision,
    identified: Identified | undefined,
  ): void {
    if (decision.reason === 'method-not-allowed')
      throw new GatewayError('METHOD_NOT_ALLOWED', 'the application does not take this method');
    if (decision.reason === 'encoded-slash')
      throw new GatewayError('REQUEST_MALFORMED', 'the application takes no encoded slash');
    this.#dependencies.logger.audit('access.denied', {
      application: application.options.name,
      account: identified?.principal.username,
      reason: decision.reason,
      rule: decision.rule,
      clientAddress: exchange.clientAddress,
    });
    this.#failures.answer(exchange, 'proxy', new GatewayError('ACCESS_DENIED', 'denied by rule'), identified);
  }
}

/** An escaped spelling of the prefix is cut from the canonical path: what was judged, never a path cut at the wrong place. */
function withoutPrefix({ path, canonical }: Target, prefix: string): string {
  const bare = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  const rest = (path.startsWith(bare) ? path : canonical).slice(bare.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}
