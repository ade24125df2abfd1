/** What the attributes that tell an account's state say, in words: for people who look for the reason, not for decisions. */
import { type LdapEntry, readValues } from './entry.ts';
import { parseFileTime, parseGeneralizedTime, parseShadowDays } from './times.ts';

export interface StatusValue {
  readonly attribute: string;
  readonly value: string;
  /** `undefined`: the value speaks for itself. */
  readonly meaning: string | undefined;
}

/** Bits of userAccountControl and msDS-User-Account-Control-Computed that people ask about (MS-ADTS section 2.2.16). */
const accountControlBits: readonly (readonly [bit: number, name: string])[] = [
  [0x2, 'disabled'],
  [0x10, 'locked out'],
  [0x20, 'needs no password'],
  [0x200, 'normal account'],
  [0x1_0000, 'password never expires'],
  [0x4_0000, 'smart card required'],
  [0x80_0000, 'password expired'],
];

function bits(value: string): string | undefined {
  const control = Number(value) | 0;
  const names = accountControlBits.filter(([bit]) => (control & bit) !== 0).map(([, name]) => name);
  return names.length === 0 ? undefined : names.join(', ');
}

const moment = (ms: number | undefined): string | undefined =>
  ms === undefined ? undefined : new Date(ms).toISOString().replace('.000Z', 'Z');

const fileTime = (value: string): string | undefined => moment(parseFileTime(value)) ?? 'never';

/** By attribute in lower case. */
const meanings: Readonly<Record<string, (value: string) => string | undefined>> = {
  useraccountcontrol: bits,
  'msds-user-account-control-computed': bits,
  accountexpires: fileTime,
  pwdlastset: (value) => (value === '0' ? 'must change the password' : fileTime(value)),
  pwdaccountlockedtime: (value) =>
    value === '000001010000Z' ? 'until an administrator unlocks it' : moment(parseGeneralizedTime(value)),
  pwdstarttime: (value) => moment(parseGeneralizedTime(value)),
  pwdendtime: (value) => moment(parseGeneralizedTime(value)),
  krbprincipalexpiration: (value) => moment(parseGeneralizedTime(value)),
  krbpasswordexpiration: (value) => moment(parseGeneralizedTime(value)),
  krblastpwdchange: (value) => moment(parseGeneralizedTime(value)),
  shadowexpire: (value) => moment(parseShadowDays(value)) ?? 'never',
};

/** Those of the attributes that the entry has, in their order. */
export function statusValues(entry: LdapEntry, attributes: readonly string[]): readonly StatusValue[] {
  return attributes.flatMap((attribute) =>
    readValues(entry, attribute).map((value) => ({
      attribute,
      value,
      meaning: meanings[attribute.toLowerCase()]?.(value),
    })),
  );
}
