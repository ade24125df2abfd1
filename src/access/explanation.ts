/** Why a rule set decides as it does, rule by rule and reading by reading. For people; requests never wait for it. */
import type { Principal } from '../identity/principal.ts';
import type { Decision } from './decision.ts';
import type { AccessConditions } from './options.ts';
import { type CompiledRule, type JudgedRequest, mismatchOf, type RuleSet, slashTwin } from './rules.ts';

export interface RuleExplanation {
  /** Position in the application's list. */
  readonly rule: number;
  /** `decides`, the criterion that the request does not meet, or `not-reached` behind the deciding rule. */
  readonly result: 'decides' | 'methods' | 'paths' | 'networks' | 'not-reached';
  /** Of the deciding rule: the first condition that the person does not meet. */
  readonly failing: keyof AccessConditions | undefined;
}

export interface ReadingExplanation {
  /** The path as this reader sees it; in lower case where the application compares without case. */
  readonly path: string;
  readonly rules: readonly RuleExplanation[];
  readonly decision: Decision;
}

/** One entry per path that `RuleSet.decide` judges, in its order: the strictest of their decisions is the verdict. */
export function explainReadings(
  ruleSet: RuleSet,
  request: JudgedRequest,
  principal: Principal | undefined,
  caseInsensitive: boolean,
): readonly ReadingExplanation[] {
  const holds = principal === undefined ? undefined : ruleSet.conditionsHeld(principal);
  return request.readings
    .map((reading) => (caseInsensitive ? reading.toLowerCase() : reading))
    .flatMap((reading) => (ruleSet.judgesPaths ? [reading, slashTwin(reading)] : [reading]))
    .filter((path) => path !== '')
    .map((path) => ({
      path,
      rules: explainRules(ruleSet.rules, request, path, principal),
      decision: ruleSet.decideReading(request, path, holds),
    }));
}

function explainRules(
  rules: readonly CompiledRule[],
  request: JudgedRequest,
  path: string,
  principal: Principal | undefined,
): readonly RuleExplanation[] {
  let isDecided = false;
  return rules.map((rule, index): RuleExplanation => {
    if (isDecided) return { rule: index, result: 'not-reached', failing: undefined };
    const mismatch = mismatchOf(rule, request, path);
    if (mismatch !== undefined) return { rule: index, result: mismatch, failing: undefined };
    isDecided = true;
    const failing = principal === undefined ? undefined : rule.conditions?.failing(principal);
    return { rule: index, result: 'decides', failing };
  });
}
