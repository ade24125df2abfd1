/** Decides about a request for an application and, when allowed, sends it to the upstream. */

import type { Decision } from '../access/decision.ts';
import { GatewayError } from '../errors.ts';
import { type Exchange, type FlatHeaders, hasBody, redirect, reply, replyJson } from '../http/exchange.ts';
import { isNavigation } from '../http/navigation.ts';
import type { Target } from '../http/target.ts';
import type { Upgrade } from '../http/upgrade.ts';
import { whoamiPage } from '../proxy/whoami.ts';
import type { RequestOrigin } from './addresses/request-origin.ts';
import { signInLocation } from './addresses/sign-in-location.ts';
import type { ProtectedApplication } from './application.ts';
import { challengeForm, withTicket } from './challenge.ts';
import type { Identified, TicketEffect } from './credentials.ts';
import type { GatewayDependencies } from './dependencies.ts';
import type { Failures } from './failures.ts';
import type { KeptFormDesk } from './kept-form/desk.ts';
import { outgoingHeaders } from './outgoing/headers.ts';
import type { SignIn } from './sign-in/sign-in.ts';
import type { Traffic } from './traffic.ts';
import type { View } from './view.ts';
import type { WebSockets } from './web-sockets.ts';

export class ReverseProxy {
  readonly #dependencies: GatewayDependencies;
  readonly #traffic: Traffic;
  readonly #failures: Failures;
  readonly #signIn: SignIn;
  readonly #webSockets: WebSockets;
  /** Cookies of ours: never sent to an application, never accepted from one. */
  readonly #gatewayCookies: readonly string[];
  /** `undefined`: no application keeps forms. */
  readonly #desk: KeptFormDesk | undefined;

  constructor(
    dependencies: GatewayDependencies,
    traffic: Traffic,
    failures: Failures,
    signIn: SignIn,
    gatewayCookies: readonly string[],
    desk?: KeptFormDesk,
  ) {
    this.#dependencies = dependencies;
    this.#traffic = traffic;
    this.#failures = failures;
    this.#signIn = signIn;
    this.#webSockets = dependencies.webSockets;
    this.#gatewayCookies = gatewayCookies;
    this.#desk = desk;
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
    const ticket = identified?.ticket;
    const method = exchange.request.method as string;
    const decided = application.decide(
      {
        method,
        readings: target.readings,
        clientAddress: exchange.clientAddress,
        hasEncodedSlash: target.hasEncodedSlash,
      },
      view,
    );
    const decision = withTicket(decided, ticket);
    if (decision.kind === 'challenge' && ticket?.kind === 'unavailable')
      this.#traffic.undecided(application.options.name, 'proxy');
    else this.#traffic.decided(application.options.name, 'proxy', decision);
    switch (decision.kind) {
      case 'allow':
        return this.#complete(exchange, origin, target, application, identified, view);
      case 'challenge':
        return this.#challenge(exchange, origin, target, application, ticket);
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
    const ticket = identified?.ticket;
    if (ticket?.kind === 'accepted') {
      return Promise.all([completed, ticket.admit()]).then(([whole, headers]) =>
        this.#pass(exchange, origin, target, application, whole, headers),
      );
    }
    if (completed instanceof Promise) {
      return completed.then((whole) => this.#pass(exchange, origin, target, application, whole, noHeaders));
    }
    this.#pass(exchange, origin, target, application, completed, noHeaders);
    return undefined;
  }

  #pass(
    exchange: Exchange,
    origin: RequestOrigin,
    target: Target,
    application: ProtectedApplication,
    view: View,
    answerHeaders: FlatHeaders,
  ): void {
    const { upstream, options, identityNames } = application;
    if (upstream === undefined) throw new GatewayError('NOT_FOUND', 'the application has no upstream');
    const method = exchange.request.method as string;
    const headers = outgoingHeaders(exchange, application, view, origin, this.#gatewayCookies);
    const path =
      (options.stripPrefix ? withoutPrefix(target, options.pathPrefix) : target.path) + target.query;
    if (upstream === 'whoami') {
      const page = whoamiPage({ method, target: path, headers, identityHeaders: identityNames });
      const added = answerHeaders.length === 0 ? page.headers : [...page.headers, ...answerHeaders];
      reply(exchange, page.status, added, page.body);
      this.#traffic.answered(exchange, 'proxy', page.status);
      return;
    }
    const { upgrade } = exchange;
    if (upgrade !== undefined) refuseForeignOrigin(exchange, origin, options.proxy.webSocketOrigins);
    const sent = {
      method,
      path,
      headers,
      hasBody: hasBody(exchange),
      isUpgrade: upgrade !== undefined,
      protectedCookies: this.#gatewayCookies,
      answerHeaders,
    };
    upstream.forward(exchange, sent, {
      onAnswered: (status) => {
        this.#traffic.upstreamAnswered(exchange, options.name, status);
        this.#traffic.answered(exchange, 'proxy', status);
      },
      onUpgraded: (fields, server) => {
        const opening = { exchange, upgrade: upgrade as Upgrade, application, target, fields, server };
        if (this.#webSockets.open(opening)) {
          this.#traffic.upstreamAnswered(exchange, options.name, 101);
          this.#traffic.answered(exchange, 'proxy', 101);
        } else {
          const error = new GatewayError('UPSTREAM_PROTOCOL', 'the upstream accepted another WebSocket', {
            fields: { application: options.name },
          });
          this.#traffic.upstreamAnswered(exchange, options.name, error.code);
          this.#failures.answer(exchange, 'proxy', error);
        }
      },
      onFailed: (error, canAnswer) => {
        this.#traffic.upstreamAnswered(exchange, options.name, canAnswer ? error.code : 'aborted');
        if (canAnswer) this.#failures.answer(exchange, 'proxy', error);
      },
    });
  }

  #challenge(
    exchange: Exchange,
    origin: RequestOrigin,
    target: Target,
    application: ProtectedApplication,
    ticket: TicketEffect | undefined,
  ): Promise<void> | undefined {
    const { snapshot, negotiation } = this.#dependencies;
    const { head, clientAddress } = exchange;
    const asked = { head, clientAddress, method: exchange.request.method as string, host: origin.host };
    const form = challengeForm(application, negotiation, asked, ticket, true);
    if (!form.leadsToSignIn) {
      replyJson(exchange, 401, { error: 'SIGN_IN_REQUIRED', title: 'Sign-in required' }, form.headers);
      this.#traffic.answered(exchange, 'proxy', 401);
      return undefined;
    }
    const returnTo = `${origin.scheme}://${origin.authority}${target.path}${target.query}`;
    if (form.isInPlace) {
      const page = this.#signIn.page({ exchange, origin, query: noQuery }, returnTo);
      reply(exchange, 401, [...page.headers, ...form.headers], page.body);
      this.#traffic.answered(exchange, 'proxy', 401);
      return undefined;
    }
    const location = signInLocation(origin, returnTo, snapshot);
    if (isNavigation(head)) {
      if (this.#desk?.takes(exchange, origin, application) === true)
        return this.#keep(this.#desk, exchange, origin, target, application, location);
      const { method } = asked;
      const status = method === 'GET' || method === 'HEAD' ? 302 : 303;
      redirect(exchange, status, location);
      this.#traffic.answered(exchange, 'proxy', status);
      return undefined;
    }
    replyJson(
      exchange,
      401,
      // Nothing of the request has reached the application, so the script may send it again after the sign-in.
      { error: 'SIGN_IN_REQUIRED', title: 'Sign-in required', signIn: location, retry: true },
      form.headers,
    );
    this.#traffic.answered(exchange, 'proxy', 401);
    return undefined;
  }

  async #keep(
    desk: KeptFormDesk,
    exchange: Exchange,
    origin: RequestOrigin,
    target: Target,
    application: ProtectedApplication,
    plainLocation: string,
  ): Promise<void> {
    const kept = await desk.keep(exchange, origin, target, application);
    const location =
      kept === undefined ? plainLocation : signInLocation(origin, kept.returnTo, this.#dependencies.snapshot);
    redirect(exchange, 303, location, kept?.headers);
    this.#traffic.answered(exchange, 'proxy', 303);
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
      account: identified?.principal?.username,
      reason: decision.reason,
      rule: decision.rule,
      clientAddress: exchange.clientAddress,
    });
    const principal = identified?.principal;
    this.#failures.answer(
      exchange,
      'proxy',
      new GatewayError('ACCESS_DENIED', 'denied by rule'),
      // Only a session can be ended and changed for another.
      principal === undefined || identified?.ticket !== undefined ? undefined : { principal },
    );
  }
}

/** A page of another site can open a WebSocket with the visitor's cookies; only the Origin tells (RFC 6455 section 10.2). */
function refuseForeignOrigin({ head }: Exchange, origin: RequestOrigin, others: readonly string[]): void {
  const { scheme, authority } = origin;
  const named = head.origin?.toLowerCase();
  if (!head.isDuplicate('origin') && (named === undefined || named === `${scheme}://${authority}`)) return;
  if (!head.isDuplicate('origin') && others.some((other) => other.toLowerCase() === named)) return;
  throw new GatewayError('ACCESS_DENIED', 'a page of another origin opens a WebSocket', {
    fields: { origin: head.origin ?? '' },
  });
}

const noHeaders: FlatHeaders = [];
const noQuery = new URLSearchParams();

/** An escaped spelling of the prefix is cut from the canonical path: what was judged, never a path cut at the wrong place. */
function withoutPrefix({ path, canonical }: Target, prefix: string): string {
  const bare = prefix.endsWith('/') ? prefix.slice(0, -1) : prefix;
  const rest = (path.startsWith(bare) ? path : canonical).slice(bare.length);
  return rest.startsWith('/') ? rest : `/${rest}`;
}
