/** An entry as the configuration reads it: what is mapped from where, and what its status attributes mean. */
import type { RejectionReason } from '../identity/outcome.ts';
import { type LdapEntry, readValues } from './entry.ts';
import type { PeopleSettings } from './kinds.ts';
import { type StatusValue, statusValues } from './status-values.ts';

export interface EntryView {
  readonly dn: string;
  readonly attributes: readonly {
    readonly name: string;
    readonly attribute: string;
    readonly values: readonly string[];
  }[];
  readonly status: readonly StatusValue[];
  /** What that means: why the account may not sign in, whatever the password. */
  readonly state: RejectionReason | undefined;
}

export function viewEntry(entry: LdapEntry, settings: PeopleSettings, nowMs: number): EntryView {
  const { status } = settings;
  return {
    dn: entry.dn,
    attributes: [...Object.entries(settings.attributes), ...settings.furtherAttributes].map(
      ([name, attribute]) => ({ name, attribute, values: readValues(entry, attribute) }),
    ),
    status: statusValues(entry, status.attributes),
    state: status.readEntry(entry, nowMs) ?? status.readTemporaryLock?.(entry),
  };
}
