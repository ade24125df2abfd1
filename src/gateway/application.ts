/** One protected application, compiled from its options: who may, what it is told, where it lives. */
import type { Routed } from '../access/applications.ts';
import type { Decision } from '../access/decision.ts';
import type { ApplicationOptions } from '../access/options.ts';
import { compileRules, type JudgedRequest, type RuleSet, withHead } from '../access/rules.ts';
import { type AssertionSigner, assertionHeader } from '../headers/asserted.ts';
import { assertedGroups } from '../headers/inject.ts';
import type { HeadersOptions } from '../headers/options.ts';
import { HeaderStrip } from '../headers/strip.ts';
import type { Principal } from '../identity/principal.ts';
import type { Logger } from '../observability/logger.ts';
import { hopByHop } from '../proxy/hop-by-hop.ts';
import type { Upstream } from '../proxy/upstream.ts';
import { Assertions } from './outgoing/assertions.ts';
import { type View, Views } from './view.ts';

const methodNotAllowed: Decision = { kind: 'deny', reason: 'method-not-allowed', rule: undefined };
const encodedSlash: Decision = { kind: 'deny', reason: 'encoded-slash', rule: undefined };

export type { View };

export interface Signing {
  readonly signer: AssertionSigner;
  readonly logger: Logger;
}

export class ProtectedApplication implements Routed {
  readonly options: ApplicationOptions;
  readonly title: string;
  readonly rules: RuleSet;
  readonly strip: HeaderStrip;
  /** `whoami`: the built-in echo page; `undefined`: forward-auth only. */
  readonly upstream: Upstream | 'whoami' | undefined;
  /** Names of the headers this application receives from the gateway. */
  readonly identityNames: readonly string[];
  readonly acceptsSession: boolean;
  readonly acceptsBasic: boolean;
  readonly acceptsNegotiate: boolean;
  readonly #methods: ReadonlySet<string>;
  readonly #views: Views;
  /** For front proxies that wait for other header names. */
  readonly #otherViews = new Map<HeadersOptions['preset'], Views>();
  readonly #assertions: Assertions | undefined;

  /** `signing` is needed where `headers.assertion` is on. */
  constructor(options: ApplicationOptions, upstream: Upstream | 'whoami' | undefined, signing?: Signing) {
    this.options = options;
    this.title = options.title ?? options.name;
    this.rules = compileRules(options.rules, options.caseInsensitivePaths);
    this.#views = new Views(options.headers, this.rules);
    this.identityNames = this.#views.names;
    this.strip = new HeaderStrip(
      // Nobody but the gateway asserts an identity, also where the application does not ask for it.
      [...this.identityNames, assertionHeader],
      [...hopByHop, 'host', 'expect', 'cookie', ...(options.forwardAuthorization ? [] : ['authorization'])],
    );
    this.upstream = upstream;
    this.acceptsSession = options.credentials.includes('session');
    this.acceptsBasic = options.credentials.includes('basic');
    this.acceptsNegotiate = options.credentials.includes('negotiate');
    this.#methods = withHead(options.methods);
    const groupsOf = assertedGroups(options.headers);
    this.#assertions =
      signing === undefined || !options.headers.assertion
        ? undefined
        : new Assertions(signing.signer, signing.logger, (principal) => ({
            audience: options.name,
            ...groupsOf(principal),
          }));
  }

  /** Hot path: `bench/forward-auth.ts`. `preset`: with the header names of another preset than the application's. */
  view(principal: Principal | undefined, preset?: HeadersOptions['preset']): View {
    if (preset === undefined || preset === this.options.headers.preset) return this.#views.of(principal);
    const views = this.#otherViews.get(preset) ?? new Views({ ...this.options.headers, preset }, this.rules);
    this.#otherViews.set(preset, views);
    return views.of(principal);
  }

  /**
   * Hot path: `bench/forward-auth.ts`. The view as an allowed request carries it on, with the assertion where it is
   * on: at once, except for the first request of a person.
   */
  completed(view: View, principal: Principal | undefined, nowMs: number): View | Promise<View> {
    if (this.#assertions === undefined || principal === undefined) return view;
    return this.#assertions.complete(view, principal, nowMs);
  }

  /** Hot path: `bench/forward-auth.ts`. */
  decide(request: JudgedRequest & { readonly hasEncodedSlash: boolean }, view: View): Decision {
    if (!this.#methods.has(request.method)) return methodNotAllowed;
    if (request.hasEncodedSlash && this.options.encodedSlash === 'refuse') return encodedSlash;
    return this.rules.decide(request, view.holds);
  }

  /** The strictest decision over every method the application takes: for proxies that do not say which one it is. */
  decideAnyMethod(
    request: Omit<JudgedRequest, 'method'> & { readonly hasEncodedSlash: boolean },
    view: View,
  ): Decision {
    const decisions = [...this.#methods].map((method) => this.decide({ ...request, method }, view));
    const strictest = (['deny', 'challenge'] as const)
      .map((kind) => decisions.find((decision) => decision.kind === kind))
      .find((decision) => decision !== undefined);
    return strictest ?? decisions[0] ?? methodNotAllowed;
  }
}
