/** Who a request acts for, as every part of the gateway sees it. Principals are immutable: a refresh makes a new one. */
import type { Group } from './group.ts';

/** Ordered: each level includes the ones before it. */
export const accessLevels = ['user', 'auditor', 'administrator'] as const;
export type AccessLevel = (typeof accessLevels)[number];

export interface Principal {
  /** Name of the provider that vouched for it. */
  readonly provider: string;
  /** Stable identifier within the provider (entryUUID, objectGUID, local account name): with `provider` the identity key. */
  readonly subject: string;
  /** Account name in its canonical spelling, as the directory returned it; never the typed text. */
  readonly username: string;
  readonly email: string | undefined;
  readonly displayName: string | undefined;
  readonly givenName: string | undefined;
  readonly familyName: string | undefined;
  /** Direct and nested, without duplicates, shared objects of one `GroupTable`. */
  readonly groups: readonly Group[];
  readonly roles: readonly string[];
  readonly accessLevel: AccessLevel;
  /** Further attributes for header templates, by configured name. */
  readonly attributes: Readonly<Record<string, readonly string[]>>;
}
