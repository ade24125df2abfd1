/**
 * Which providers an account name belongs to, by its suffix or domain. A password goes to nobody else: what stands in
 * front of a stranger's suffix is the account name of another person.
 */
import {
  isClaimed,
  type NameClaims,
  noClaims,
  parseAccountName,
  toNameClaims,
} from '../identity/account-name.ts';
import type { ProviderOptions } from './options.ts';

export class AccountRouting {
  readonly #claims: ReadonlyMap<string, NameClaims>;

  /** By provider. */
  constructor(claims: ReadonlyMap<string, NameClaims> = new Map()) {
    this.#claims = claims;
  }

  /** `undefined`: the name does not say, every provider may know it as it stands. */
  owners(typed: string): ReadonlySet<string> | undefined {
    const account = parseAccountName(typed);
    if (account === undefined) return undefined;
    const owners = [...this.#claims].filter(([, claims]) => isClaimed(account, claims));
    return owners.length === 0 ? undefined : new Set(owners.map(([provider]) => provider));
  }

  /** What the account is called at a provider, as far as the name itself tells. */
  accountAt(provider: string, typed: string): string {
    const account = parseAccountName(typed);
    if (account === undefined || account.kind === 'plain') return typed;
    return isClaimed(account, this.#claims.get(provider) ?? noClaims) ? account.name : account.text;
  }
}

export function createAccountRouting(providers: readonly ProviderOptions[]): AccountRouting {
  return new AccountRouting(
    new Map(
      providers.flatMap((provider) =>
        provider.type === 'ldap' ? [[provider.name, toNameClaims(provider)] as const] : [],
      ),
    ),
  );
}
