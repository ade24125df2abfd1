/** Ordered rules of one application, compiled: the first that matches the request decides, none means denied. */
import type { Principal } from '../identity/principal.ts';
import { AddressSet } from '../lib/address-set.ts';
import { type CompiledConditions, compileConditions } from './conditions.ts';
import type { Decision } from './decision.ts';
import type { RuleOptions } from './options.ts';
import { compileGlob, type PathMatcher, slashEdges, withoutTrailingSlash } from './paths.ts';

/** What rules see of a request. */
export interface JudgedRequest {
  readonly method: string;
  /** Every reading of the path (http/target.ts); all must be allowed. */
  readonly readings: readonly string[];
  readonly clientAddress: string;
}

export interface RuleSet {
  /**
   * Hot path: `bench/forward-auth.ts`. `holds` says for each rule whether its conditions hold for the principal
   * (see `conditionsHeld`); `undefined` is an anonymous request.
   */
  decide(request: JudgedRequest, holds: readonly boolean[] | undefined): Decision;
  /** The verdict on one path alone, as `decide` finds it for each of its readings. */
  decideReading(request: JudgedRequest, path: string, holds: readonly boolean[] | undefined): Decision;
  /** Per rule, whether the principal meets its conditions. Computed once per principal, then remembered by the caller. */
  conditionsHeld(principal: Principal): readonly boolean[];
  readonly rules: readonly CompiledRule[];
  /** Whether any rule looks at the path; if so, each reading is judged with and without its trailing slash. */
  readonly judgesPaths: boolean;
}

export interface CompiledRule {
  readonly options: RuleOptions;
  readonly matchesPath: PathMatcher | undefined;
  readonly methods: ReadonlySet<string> | undefined;
  readonly networks: AddressSet | undefined;
  readonly conditions: CompiledConditions | undefined;
  /** The four decisions this rule can come to, made once. */
  readonly allow: Decision;
  readonly challenge: Decision;
  readonly deny: Decision;
}

const noRule: Decision = { kind: 'deny', reason: 'no-rule', rule: undefined };

export function compileRules(options: readonly RuleOptions[], caseInsensitive: boolean): RuleSet {
  const rules = options.map((rule, index) => compileRule(rule, index, caseInsensitive));
  const judgesPaths = rules.some((rule) => rule.matchesPath !== undefined);
  const edges = slashEdges(
    options.flatMap(({ paths = [] }) => paths),
    { caseInsensitive },
  );

  const decideReading = (
    request: JudgedRequest,
    path: string,
    holds: readonly boolean[] | undefined,
  ): Decision => {
    for (let i = 0; i < rules.length; i++) {
      const rule = rules[i] as CompiledRule;
      if (mismatchOf(rule, request, path) !== undefined) continue;
      return verdict(rule, i, holds);
    }
    return noRule;
  };

  return {
    rules,
    judgesPaths,
    decideReading,
    conditionsHeld: (principal) => rules.map((rule) => rule.conditions?.holds(principal) ?? true),
    decide: (request, holds) => {
      const { readings } = request;
      let strictest: Decision | undefined;
      for (let i = 0; i < readings.length; i++) {
        const reading = caseInsensitive ? (readings[i] as string).toLowerCase() : (readings[i] as string);
        const decision = decideReading(request, reading, holds);
        strictest = stricter(strictest, decision);
        // `/x` and `/x/` are one resource to many servers: both spellings must be allowed.
        const bare = withoutTrailingSlash(reading);
        if (bare === '' || (edges !== undefined && !edges.has(bare))) continue;
        const twin = bare.length < reading.length ? bare : `${reading}/`;
        strictest = stricter(strictest, decideReading(request, twin, holds));
      }
      return strictest ?? noRule;
    },
  };
}

/** Hot path: `bench/forward-auth.ts`. The first criterion of a rule that a request does not meet; `undefined`: it matches. */
export function mismatchOf(
  rule: CompiledRule,
  { method, clientAddress }: Omit<JudgedRequest, 'readings'>,
  path: string,
): 'methods' | 'paths' | 'networks' | undefined {
  if (rule.methods !== undefined && !rule.methods.has(method)) return 'methods';
  if (rule.matchesPath !== undefined && !rule.matchesPath(path)) return 'paths';
  if (rule.networks !== undefined && !rule.networks.has(clientAddress)) return 'networks';
  return undefined;
}

/** `/x` and `/x/` are one resource to many servers: both spellings must be allowed. `''` for the root. */
export function slashTwin(reading: string): string {
  return reading.endsWith('/') ? reading.slice(0, -1) : `${reading}/`;
}

function verdict(rule: CompiledRule, index: number, holds: readonly boolean[] | undefined): Decision {
  const { access } = rule.options;
  if (access === 'public') return rule.allow;
  if (access === 'deny') return rule.deny;
  if (holds === undefined) return rule.challenge;
  return holds[index] === true ? rule.allow : rule.deny;
}

const strictness = { allow: 0, challenge: 1, deny: 2 } as const;

function stricter(first: Decision | undefined, second: Decision): Decision {
  return first !== undefined && strictness[first.kind] >= strictness[second.kind] ? first : second;
}

function compileRule(options: RuleOptions, rule: number, caseInsensitive: boolean): CompiledRule {
  const { access } = options;
  const matchers = options.paths?.map((glob) => compileGlob(glob, { caseInsensitive }));
  const conditions = typeof access === 'object' ? compileConditions(access) : undefined;
  return {
    options,
    matchesPath: joinMatchers(matchers),
    methods: options.methods === undefined ? undefined : withHead(options.methods),
    networks: options.networks === undefined ? undefined : new AddressSet(options.networks),
    conditions,
    allow: {
      kind: 'allow',
      reason: access === 'public' ? 'public' : conditions === undefined ? 'authenticated' : 'conditions-met',
      rule,
    },
    challenge: { kind: 'challenge', reason: 'sign-in-required', rule },
    deny: { kind: 'deny', reason: access === 'deny' ? 'rule-denies' : 'conditions-not-met', rule },
  };
}

function joinMatchers(matchers: readonly PathMatcher[] | undefined): PathMatcher | undefined {
  if (matchers === undefined) return undefined;
  if (matchers.length === 1) return matchers[0];
  return (path) => matchers.some((matches) => matches(path));
}

/** `GET` includes `HEAD`: a server answers both from the same resource (RFC 9110 section 9.3.2). */
export function withHead(methods: readonly string[]): ReadonlySet<string> {
  return new Set(methods.includes('GET') ? [...methods, 'HEAD'] : methods);
}
