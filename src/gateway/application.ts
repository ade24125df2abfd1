/** One protected application, compiled from its options: who may, what it is told, where it lives. */
import { LRUCache } from 'lru-cache';
import type { Routed } from '../access/applications.ts';
import type { Decision } from '../access/decision.ts';
import type { ApplicationOptions } from '../access/options.ts';
import { compileRules, type JudgedRequest, type RuleSet, withHead } from '../access/rules.ts';
import { compileInjector } from '../headers/inject.ts';
import { HeaderStrip } from '../headers/strip.ts';
import type { Principal } from '../identity/principal.ts';
import { hopByHop } from '../proxy/hop-by-hop.ts';
import type { Upstream } from '../proxy/upstream.ts';

/** What one principal means to one application: computed at the first request, remembered for the next ones. */
export interface View {
  /** Per rule, whether its conditions hold; `undefined` for the anonymous. */
  readonly holds: readonly boolean[] | undefined;
  /** Complete head of an allowing forward-auth answer, flat: every identity header, empty ones included. */
  readonly verdictHeaders: string[];
  /** Identity headers for the upstream, flat: only those that have a value. */
  readonly upstreamHeaders: readonly string[];
}

/** Principals an application remembers; the least recently seen are computed again. */
const maxViews = 16_384;

const methodNotAllowed: Decision = { kind: 'deny', reason: 'method-not-allowed', rule: undefined };
const encodedSlash: Decision = { kind: 'deny', reason: 'encoded-slash', rule: undefined };

export class ProtectedApplication implements Routed {
  readonly options: ApplicationOptions;
  readonly title: string;
  readonly rules: RuleSet;
  readonly strip: HeaderStrip;
  /** `whoami`: the built-in echo page; `undefined`: forward-auth only. */
  readonly upstream: Upstream | 'whoami' | undefined;
  /** Names of the headers this application receives from the gateway. */
  readonly identityNames: readonly string[];
  readonly #methods: ReadonlySet<string>;
  readonly #render: (principal: Principal | undefined) => readonly (readonly [string, string])[];
  readonly #views = new LRUCache<Principal, View>({ max: maxViews });
  readonly #anonymous: View;

  constructor(options: ApplicationOptions, upstream: Upstream | 'whoami' | undefined) {
    const injector = compileInjector(options.headers);
    this.options = options;
    this.title = options.title ?? options.name;
    this.rules = compileRules(options.rules, options.caseInsensitivePaths);
    this.identityNames = injector.names;
    this.strip = new HeaderStrip(injector.names, [
      ...hopByHop,
      'host',
      'expect',
      'cookie',
      ...(options.forwardAuthorization ? [] : ['authorization']),
    ]);
    this.upstream = upstream;
    this.#methods = withHead(options.methods);
    this.#render = (principal) => injector.render(principal);
    this.#anonymous = this.#compute(undefined);
  }

  /** Hot path: `bench/forward-auth.ts`. */
  view(principal: Principal | undefined): View {
    if (principal === undefined) return this.#anonymous;
    const known = this.#views.get(principal);
    if (known !== undefined) return known;
    const view = this.#compute(principal);
    this.#views.set(principal, view);
    return view;
  }

  /** Hot path: `bench/forward-auth.ts`. */
  decide(request: JudgedRequest & { readonly hasEncodedSlash: boolean }, view: View): Decision {
    if (!this.#methods.has(request.method)) return methodNotAllowed;
    if (request.hasEncodedSlash && this.options.encodedSlash === 'refuse') return encodedSlash;
    return this.rules.decide(request, view.holds);
  }

  #compute(principal: Principal | undefined): View {
    const headers = this.#render(principal);
    return {
      holds: principal === undefined ? undefined : this.rules.conditionsHeld(principal),
      verdictHeaders: [...headers.flat(), 'Cache-Control', 'no-store', 'Content-Length', '0'],
      upstreamHeaders: headers.filter(([, value]) => value !== '').flat(),
    };
  }
}
