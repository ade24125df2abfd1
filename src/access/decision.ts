/** The verdict on one request, with the reason a machine and a person can read. */

/** Bounded: these are values of the metric label `reason`. */
export type DecisionReason =
  | 'public'
  | 'authenticated'
  | 'conditions-met'
  | 'sign-in-required'
  | 'conditions-not-met'
  | 'rule-denies'
  | 'no-rule'
  | 'method-not-allowed'
  | 'encoded-slash';

export interface Decision {
  readonly kind: 'allow' | 'challenge' | 'deny';
  readonly reason: DecisionReason;
  /** Position of the deciding rule in the application's list; `undefined` when none matched. */
  readonly rule: number | undefined;
}
