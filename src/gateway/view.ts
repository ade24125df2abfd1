/** What a person means to an application, worked out once per person: which conditions hold, which headers are sent. */
import { LRUCache } from 'lru-cache';
import type { RuleSet } from '../access/rules.ts';
import { compileInjector } from '../headers/inject.ts';
import type { HeadersOptions } from '../headers/options.ts';
import type { Principal } from '../identity/principal.ts';

export interface View {
  /** Per rule, whether its conditions hold; `undefined` for the anonymous. */
  readonly holds: readonly boolean[] | undefined;
  /** Complete head of an allowing forward-auth answer, flat: every identity header, empty ones included. */
  readonly verdictHeaders: string[];
  /** Identity headers for the upstream, flat: only those that have a value. */
  readonly upstreamHeaders: readonly string[];
}

/** The end of `verdictHeaders`: what is no identity. */
export const verdictTail: readonly string[] = ['Cache-Control', 'no-store', 'Content-Length', '0'];

/** Principals that are remembered; the least recently seen are computed again. */
const maxViews = 16_384;

export class Views {
  /** Headers the application may receive from the gateway. */
  readonly names: readonly string[];
  readonly #rules: RuleSet;
  readonly #render: (principal: Principal | undefined) => readonly (readonly [string, string])[];
  /** Bounded by size, not by count: a count would allocate all its places for every application at once. */
  readonly #known = new LRUCache<Principal, View>({ maxSize: maxViews, sizeCalculation: () => 1 });
  readonly #anonymous: View;

  constructor(options: HeadersOptions, rules: RuleSet) {
    const injector = compileInjector(options);
    this.names = injector.names;
    this.#rules = rules;
    this.#render = (principal) => injector.render(principal);
    this.#anonymous = this.#compute(undefined);
  }

  /** Hot path: `bench/forward-auth.ts`. */
  of(principal: Principal | undefined): View {
    if (principal === undefined) return this.#anonymous;
    const known = this.#known.get(principal);
    if (known !== undefined) return known;
    const view = this.#compute(principal);
    this.#known.set(principal, view);
    return view;
  }

  #compute(principal: Principal | undefined): View {
    const headers = this.#render(principal);
    return {
      holds: principal === undefined ? undefined : this.#rules.conditionsHeld(principal),
      verdictHeaders: [...headers.flat(), ...verdictTail],
      upstreamHeaders: headers.filter(([, value]) => value !== '').flat(),
    };
  }
}
