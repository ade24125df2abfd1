/**
 * Where the operator's contract says otherwise than the rows. Whole groups with one reason each; no row is changed
 * anywhere else.
 */
import type { AttackRow } from './attack-rows.ts';
import { defaultTarget } from './rig.ts';

interface Difference {
  readonly reason: string;
  readonly applies: (row: AttackRow) => boolean;
  /** Keys that are expected instead; `undefined` takes a key away. */
  readonly instead: Readonly<Record<string, unknown>>;
}

const expects = (key: string, value: unknown) => (row: AttackRow) => row.expect[key] === value;

export const differences: readonly Difference[] = [
  {
    reason: 'a refused return target becomes the portal',
    applies: (row) =>
      expects('location', '/')(row) && row.input.kind === 'redirect' && row.input.value !== '/',
    instead: { location: defaultTarget },
  },
  {
    reason: 'a refused return target becomes the portal',
    applies: expects('form_redirect_value', '/'),
    instead: { form_redirect_value: defaultTarget },
  },
  {
    reason: 'signing out leads to the sign-in page',
    applies: (row) => row.input.target?.startsWith('{logout}') === true && row.expect['location'] === '/',
    instead: { location: '/_vratar/login' },
  },
  {
    reason: 'a form that is not urlencoded is 415, whatever is in it',
    applies: (row) =>
      row.input.target === '{login}' &&
      row.input.headers?.some(([, value]) => value === 'application/json') === true,
    instead: { status: 415 },
  },
  {
    reason: 'an invalid configuration ends with 78',
    applies: expects('check_exit_code', 2),
    instead: { check_exit_code: 78 },
  },
  {
    reason: 'the file is read at start; reading it again while running comes later',
    applies: (row) => row.expect['reload'] !== undefined,
    instead: { reload: undefined, old_config: undefined },
  },
  {
    reason: 'timeout is the limit of one operation, and a bind that got no answer is sent once more',
    applies: expects('within_ms', 'ldap.timeout+500'),
    instead: { within_ms: '2*ldap.timeout+500' },
  },
  {
    reason: 'no rule means denied, for everybody alike: signing in would not help',
    applies: (row) => row.expect['request_without_session'] !== undefined,
    instead: { request_without_session: 403 },
  },
  {
    reason: 'the list of metrics is closed and has none of these',
    applies: (row) =>
      row.class !== 'preauth' &&
      (row.expect['metric_increases'] !== undefined || row.expect['metric_nonzero'] !== undefined),
    instead: { metric_increases: undefined, metric_nonzero: undefined },
  },
  {
    reason: 'metrics of requests have no label for the method, so none can hold an unknown one',
    applies: (row) => row.expect['metrics_has_label'] !== undefined,
    instead: { metrics_has_label: undefined },
  },
  {
    reason: 'what is away with tickets is counted and logged; readiness names directories and stores',
    applies: (row) => row.class === 'kerberos' && row.expect['readiness'] !== undefined,
    instead: { readiness: undefined },
  },
];

/** The row as the contract has it. */
export function asContractSays(row: AttackRow): AttackRow {
  const expect = differences
    .filter((difference) => difference.applies(row))
    .reduce<Record<string, unknown>>((all, { instead }) => ({ ...all, ...instead }), { ...row.expect });
  const kept = Object.fromEntries(Object.entries(expect).filter(([, value]) => value !== undefined));
  return { ...row, expect: kept };
}
