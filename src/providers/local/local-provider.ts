/** Accounts of the configuration file. Knows their hashes; the throttle and the time of a refusal are the chain's. */
import { GatewayError } from '../../errors.ts';
import { foldAccount } from '../../identity/account-name.ts';
import type { Credential } from '../../identity/credential.ts';
import type { GroupTable } from '../../identity/group.ts';
import type { AuthenticationOutcome, RefreshOutcome } from '../../identity/outcome.ts';
import type { Principal } from '../../identity/principal.ts';
import { createDecoyHash, type PasswordHash, PasswordVerifier, parsePasswordHash } from '../password-hash.ts';
import type { Attempt, Provider } from '../provider.ts';
import { generatedAccount } from './generated-passwords.ts';
import type { LocalProviderOptions } from './options.ts';

export interface LocalProviderDependencies {
  readonly groupTable: GroupTable;
  /** Hashes of accounts without `passwordHash`, by `provider:username`. */
  readonly generatedHashes: ReadonlyMap<string, string>;
}

interface Account {
  readonly principal: Principal;
  readonly hash: PasswordHash;
}

/** Throws GatewayError CONFIG_INVALID for a hash out of bounds, an account without any, and two accounts of one name. */
export function createLocalProvider(
  options: LocalProviderOptions,
  dependencies: LocalProviderDependencies,
): Provider {
  return new LocalProvider(options, dependencies);
}

class LocalProvider implements Provider {
  readonly name: string;
  readonly type = 'local';
  readonly title: string;
  readonly #accounts: ReadonlyMap<string, Account>;
  readonly #decoy: PasswordHash;
  readonly #verifier = new PasswordVerifier();

  constructor(options: LocalProviderOptions, dependencies: LocalProviderDependencies) {
    this.name = options.name;
    this.title = options.title ?? options.name;
    this.#accounts = readAccounts(options, dependencies);
    const [first] = this.#accounts.values();
    if (first === undefined) throw invalid(options.name, 'has no users');
    this.#decoy = createDecoyHash(first.hash);
  }

  async authenticate(credential: Credential, attempt: Attempt): Promise<AuthenticationOutcome> {
    if (credential.kind !== 'password') return { kind: 'not-applicable' };
    if (credential.provider !== undefined && credential.provider !== this.name)
      return { kind: 'not-applicable' };
    const account = this.#accounts.get(foldAccount(credential.username));
    const password = credential.password.reveal();
    if (password === '') return { kind: 'rejected', reason: 'credentials-malformed' };
    await attempt.admit(account?.principal.username ?? credential.username);
    // The same work for a name nobody has: the time says nothing about who is listed.
    const isRight = await this.#verifier.verify(account?.hash ?? this.#decoy, password, attempt.signal);
    if (account === undefined) return { kind: 'rejected', reason: 'unknown-account' };
    if (!isRight) return { kind: 'rejected', reason: 'wrong-password' };
    return { kind: 'authenticated', principal: account.principal };
  }

  async refresh(principal: Principal): Promise<RefreshOutcome> {
    const account = this.#accounts.get(foldAccount(principal.username));
    if (account === undefined || account.principal.subject !== principal.subject) {
      return { kind: 'ended', reason: 'unknown-account' };
    }
    return { kind: 'current', principal: account.principal, stale: false };
  }

  async [Symbol.asyncDispose](): Promise<void> {}
}

function readAccounts(
  { name: provider, users }: LocalProviderOptions,
  { groupTable, generatedHashes }: LocalProviderDependencies,
): ReadonlyMap<string, Account> {
  const accounts = new Map<string, Account>();
  for (const { username, passwordHash, email, displayName, groups } of users) {
    const text = passwordHash ?? generatedHashes.get(generatedAccount(provider, username));
    if (text === undefined) throw invalid(provider, `user "${username}" has no password hash`);
    const hash = parsePasswordHash(text);
    if (hash === undefined) throw invalid(provider, `user "${username}" has a password hash out of bounds`);
    const key = foldAccount(username);
    if (accounts.has(key)) throw invalid(provider, `two users are called "${username}"`);
    const principal: Principal = {
      provider,
      subject: username,
      username,
      email,
      displayName,
      givenName: undefined,
      familyName: undefined,
      groups: groups.map((group) => groupTable.intern(group)),
      roles: [],
      accessLevel: 'user',
      attributes: {},
    };
    accounts.set(key, { principal, hash });
  }
  return accounts;
}

function invalid(provider: string, problem: string): GatewayError {
  return new GatewayError('CONFIG_INVALID', `provider ${provider}: ${problem}`, { fields: { provider } });
}
