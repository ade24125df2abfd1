/**
 * The verdict on an original request, made in one place for every protocol in which a front proxy may ask.
 * Knows no wire format: dialects over HTTP and Envoy's gRPC render the same verdict.
 */

import type { Decision } from '../access/decision.ts';
import { GatewayError } from '../errors.ts';
import type { HeadersOptions } from '../headers/options.ts';
import { type Exchange, type FlatHeaders, jsonHeaders } from '../http/exchange.ts';
import { isNavigation } from '../http/navigation.ts';
import type { Principal } from '../identity/principal.ts';
import { type OriginalRequest, originalUrl } from './addresses/original-request.ts';
import { signInLocation } from './addresses/sign-in-location.ts';
import type { ProtectedApplication } from './application.ts';
import { challengeForm, withTicket } from './challenge.ts';
import type { Identified, TicketEffect } from './credentials.ts';
import type { GatewayDependencies } from './dependencies.ts';
import { verdictMaxAge } from './outgoing/cache-hints.ts';
import { createCsrfGuard } from './sign-in/csrf.ts';
import { SignIn } from './sign-in/sign-in.ts';
import type { Traffic } from './traffic.ts';
import type { View } from './view.ts';

export type Verdict =
  | {
      readonly kind: 'allow';
      readonly application: ProtectedApplication;
      readonly view: View;
      /** For the visitor, beside the application's answer: what a ticket has brought about. */
      readonly answerHeaders: FlatHeaders;
      /** For how many seconds the front proxy may keep the verdict; 0: not at all. */
      readonly maxAgeSeconds: number;
    }
  /** What the visitor gets instead of the application. */
  | {
      readonly kind: 'refuse';
      readonly status: number;
      readonly headers: FlatHeaders;
      readonly body: string;
      readonly maxAgeSeconds: number;
    };

/** The facts about the original request that a front proxy passes on beside its target. */
export type Visit = Pick<Exchange, 'head' | 'clientAddress' | 'startedAtMs'>;

/** Who asks: its name in metrics, and whether its answers may send a browser elsewhere. */
export interface Asker {
  readonly name: string;
  readonly redirects: boolean;
  /** Names of the identity headers it waits for; omitted: as the application declares them. */
  readonly preset?: HeadersOptions['preset'] | undefined;
}

export class Judge {
  readonly #dependencies: GatewayDependencies;
  readonly #traffic: Traffic;
  readonly #signIn: SignIn;

  constructor(dependencies: GatewayDependencies, traffic: Traffic) {
    this.#dependencies = dependencies;
    this.#traffic = traffic;
    this.#signIn = new SignIn(dependencies, createCsrfGuard(dependencies));
  }

  /**
   * Hot path: `bench/forward-auth.ts`. Synchronous for a warm session. Throws, or rejects with, a GatewayError when
   * nothing can be decided: never a verdict then.
   */
  judge(visit: Visit, original: OriginalRequest, asker: Asker): Verdict | Promise<Verdict> {
    const { snapshot, credentials } = this.#dependencies;
    const application = applicationOf(original, snapshot);
    const identified = credentials.identify(visit, application);
    if (!(identified instanceof Promise))
      return this.#decide(visit, original, asker, application, identified);
    return identified.then(
      (loaded) => this.#decide(visit, original, asker, application, loaded),
      (error: unknown) => {
        this.#traffic.undecided(application.options.name, asker.name);
        throw error;
      },
    );
  }

  #decide(
    visit: Visit,
    original: OriginalRequest,
    asker: Asker,
    application: ProtectedApplication,
    identified: Identified | undefined,
  ): Verdict | Promise<Verdict> {
    const principal = identified?.principal;
    const ticket = identified?.ticket;
    const view = application.view(principal, asker.preset);
    const { method, target } = original;
    const decided = decide(
      application,
      original,
      {
        method,
        readings: target.readings,
        clientAddress: visit.clientAddress,
        hasEncodedSlash: target.hasEncodedSlash,
      },
      view,
      principal,
    );
    const decision = withTicket(decided, ticket);
    if (decision.kind === 'challenge' && ticket?.kind === 'unavailable')
      this.#traffic.undecided(application.options.name, asker.name);
    else this.#traffic.decided(application.options.name, asker.name, decision);
    const maxAgeSeconds = verdictMaxAge(application, visit, identified);
    switch (decision.kind) {
      case 'allow': {
        const completed = application.completed(view, principal, visit.startedAtMs);
        if (ticket?.kind === 'accepted') {
          return Promise.all([completed, ticket.admit()]).then(([whole, headers]) =>
            allowed(application, whole, headers, maxAgeSeconds),
          );
        }
        return completed instanceof Promise
          ? completed.then((whole) => allowed(application, whole, noHeaders, maxAgeSeconds))
          : allowed(application, completed, noHeaders, maxAgeSeconds);
      }
      case 'challenge':
        return this.#challenge(visit, original, application, asker, ticket);
      case 'deny':
        return { ...this.#deny(visit, application, decision, principal?.username), maxAgeSeconds };
    }
  }

  #challenge(
    visit: Visit,
    original: OriginalRequest,
    application: ProtectedApplication,
    { redirects }: Asker,
    ticket: TicketEffect | undefined,
  ): Verdict {
    const { head, clientAddress } = visit;
    const { method, host } = original;
    const asked = { head, clientAddress, method, host };
    const { snapshot, negotiation } = this.#dependencies;
    const form = challengeForm(application, negotiation, asked, ticket, redirects);
    if (!form.leadsToSignIn) {
      const headers = [...jsonHeaders, ...form.headers];
      return refusal(401, { error: 'SIGN_IN_REQUIRED', title: 'Sign-in required' }, headers);
    }
    const returnTo = originalUrl(original);
    // Without a body nginx has its own: there the page is the front proxy's to show.
    if (redirects && form.isInPlace) {
      const page = this.#signIn.page({ exchange: visit, origin: original, query: noQuery }, returnTo);
      const headers = [...page.headers, ...form.headers];
      return { kind: 'refuse', status: 401, headers, body: page.body.toString(), maxAgeSeconds: 0 };
    }
    const location = signInLocation(original, returnTo, snapshot);
    if (redirects && isNavigation(head)) {
      const status = method === 'GET' || method === 'HEAD' ? 302 : 303;
      return {
        kind: 'refuse',
        status,
        headers: ['Location', location, 'Cache-Control', 'no-store'],
        body: '',
        maxAgeSeconds: 0,
      };
    }
    // nginx reads Location from the 401 and redirects by its own configuration.
    const headers = [...jsonHeaders, ...form.headers, ...(redirects ? [] : ['Location', location])];
    return refusal(401, { error: 'SIGN_IN_REQUIRED', title: 'Sign-in required', signIn: location }, headers);
  }

  #deny(
    visit: Visit,
    application: ProtectedApplication,
    decision: Decision,
    account: string | undefined,
  ): Verdict {
    this.#dependencies.logger.audit('access.denied', {
      application: application.options.name,
      account,
      reason: decision.reason,
      rule: decision.rule,
      clientAddress: visit.clientAddress,
    });
    return refusal(403, { error: 'ACCESS_DENIED', title: 'Access denied' }, jsonHeaders);
  }
}

function allowed(
  application: ProtectedApplication,
  view: View,
  answerHeaders: FlatHeaders,
  maxAgeSeconds: number,
): Verdict {
  return { kind: 'allow', application, view, answerHeaders, maxAgeSeconds };
}

const noHeaders: FlatHeaders = [];
const noQuery = new URLSearchParams();

const restrictionNotMet: Decision = { kind: 'deny', reason: 'conditions-not-met', rule: undefined };
const restrictionNeedsSignIn: Decision = { kind: 'challenge', reason: 'sign-in-required', rule: undefined };

/** The application's decision, narrowed by what the front proxy asks of the person, never widened. */
function decide(
  application: ProtectedApplication,
  { isMethodUnknown, restriction }: OriginalRequest,
  request: Parameters<ProtectedApplication['decide']>[0],
  view: View,
  principal: Principal | undefined,
): Decision {
  const decision =
    isMethodUnknown === true ? application.decideAnyMethod(request, view) : application.decide(request, view);
  if (restriction === undefined || decision.kind !== 'allow') return decision;
  if (principal === undefined) return restrictionNeedsSignIn;
  return restriction(principal) ? decision : restrictionNotMet;
}

function refusal(status: number, value: unknown, headers: FlatHeaders): Verdict {
  return { kind: 'refuse', status, headers, body: `${JSON.stringify(value)}\n`, maxAgeSeconds: 0 };
}

function applicationOf(
  original: OriginalRequest,
  { applications }: GatewayDependencies['snapshot'],
): ProtectedApplication {
  const { readings, canonical } = original.target;
  const application = applications.find(original.host, canonical);
  if (application === undefined)
    throw invalidOriginal('no application is configured for the host', { host: original.host });
  // A path that other servers may read as another application's is nobody's.
  if (
    readings.length > 1 &&
    readings.some((reading) => applications.find(original.host, reading) !== application)
  ) {
    throw invalidOriginal('the path belongs to two applications', { host: original.host });
  }
  return application;
}

/** The description of the original request is missing, doubtful or not to be believed: 403 in every protocol. */
export function invalidOriginal(message: string, fields: Record<string, string>): GatewayError {
  return new GatewayError('ORIGINAL_REQUEST_INVALID', message, { fields });
}
