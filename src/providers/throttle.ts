/**
 * The throttle in front of password providers: one budget of failures per account and one per client address.
 * Knows neither whether an account exists nor what the password was; locked looks the same for every name.
 */
import { hash } from 'node:crypto';
import { isIP } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatewayError } from '../errors.ts';
import { foldAccount } from '../identity/account-name.ts';
import type { Metrics } from '../observability/metrics.ts';

type Scope = 'account' | 'address';

interface Key {
  readonly scope: Scope;
  readonly key: string;
}

/** The shared counters, as far as the throttle uses them. */
export interface FailureCounters {
  reserve(
    keys: readonly Key[],
  ): Promise<
    | { readonly kind: 'admitted' }
    | { readonly kind: 'locked'; readonly retryAfterMs: number; readonly scope: Scope }
    | { readonly kind: 'busy'; readonly scope: Scope }
  >;
  fail(keys: readonly Key[]): Promise<void>;
  release(keys: readonly Key[]): Promise<void>;
  clear(keys: readonly Key[]): Promise<void>;
}

export interface ThrottleOptions {
  readonly counters: FailureCounters;
  readonly metrics: Metrics;
}

/** Accounts of one name at two providers are two people with a budget each. */
export interface ThrottledAccount {
  readonly provider: string;
  readonly account: string;
}

/** One attempt, counted before the password is tried. Exactly one of the three endings is called. */
export interface ThrottledAttempt {
  /** Counts against this one too, unless it is counted already. Throws GatewayError THROTTLED. */
  admit(account: ThrottledAccount): Promise<void>;
  /**
   * The failures of the account there are forgotten. Those of the address are not, they may have been about other
   * accounts; nor are those of a namesake, at whom the person could go on guessing otherwise.
   */
  succeeded(provider: string): Promise<void>;
  failed(): Promise<void>;
  /** Nothing was learnt about the password: the attempt does not count. */
  released(): Promise<void>;
}

export interface Throttle {
  /**
   * `typed`: `undefined` for a credential that names none, which has the budget of its address alone.
   * Throws GatewayError THROTTLED with `retryAfterSeconds`, the same for accounts that exist and that do not, and
   * SESSION_STORE_UNAVAILABLE when the counters cannot be reached.
   */
  begin(
    typed: ThrottledAccount | undefined,
    clientAddress: string,
    signal: AbortSignal,
  ): Promise<ThrottledAttempt>;
}

/** How long an attempt waits for others of the same account or address before it is refused. */
const maxBusyMs = 5_000;
const busyPauseMs = 50;

export function createThrottle({ counters, metrics }: ThrottleOptions): Throttle {
  const reserve = async (keys: readonly Key[], signal: AbortSignal): Promise<void> => {
    const endAt = performance.now() + maxBusyMs;
    for (;;) {
      const reservation = await counters.reserve(keys);
      if (reservation.kind === 'admitted') return;
      const isLocked = reservation.kind === 'locked';
      // As many attempts are under way as failures are left: they may all succeed, so this one waits its turn.
      if (isLocked || performance.now() >= endAt || signal.aborted) {
        metrics.throttled.inc({ scope: reservation.scope });
        throw new GatewayError('THROTTLED', `too many attempts for this ${reservation.scope}`, {
          fields: { scope: reservation.scope },
          retryAfterSeconds: isLocked ? Math.max(1, Math.ceil(reservation.retryAfterMs / 1_000)) : 1,
        });
      }
      await sleep(busyPauseMs);
    }
  };

  return {
    begin: async (typed, clientAddress, signal) => {
      const address: Key = { scope: 'address', key: addressKey(clientAddress) };
      const accounts: AccountKey[] = typed === undefined ? [] : [toKey(typed)];
      await reserve([...accounts, address], signal);
      return {
        admit: async (account) => {
          const added = toKey(account);
          if (accounts.some(({ key }) => key === added.key)) return;
          await reserve([added], signal);
          accounts.push(added);
        },
        succeeded: async (provider) => {
          const own = accounts.filter((account) => account.provider === provider);
          await Promise.all([counters.release([...accounts, address]), counters.clear(own)]);
        },
        failed: async () => await counters.fail([...accounts, address]),
        released: async () => await counters.release([...accounts, address]),
      };
    },
  };
}

interface AccountKey extends Key {
  readonly provider: string;
}

function toKey({ provider, account }: ThrottledAccount): AccountKey {
  return { provider, scope: 'account', key: accountKey(provider, account) };
}

/** One key for every spelling of a name; hashed, for it may be a mistyped password. */
export function accountKey(provider: string, account: string): string {
  return hash('sha256', `${provider}\0${foldAccount(account)}`, 'base64url');
}

/**
 * IPv4 as it is, also when it comes mapped into IPv6; IPv6 by its /64, which is what one customer gets
 * (RFC 6177), so that a person with 2^64 addresses has one budget.
 */
export function addressKey(address: string): string {
  const plain = address.replace(/%.*$/, '');
  if (isIP(plain) !== 6) return plain.slice(0, 64);
  const groups = expandIpv6(plain);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  if (isMapped) {
    const [high = 0, low = 0] = groups.slice(6);
    return [high >> 8, high & 0xff, low >> 8, low & 0xff].join('.');
  }
  return `${groups
    .slice(0, 4)
    .map((group) => group.toString(16))
    .join(':')}::/64`;
}

/** The eight groups of a valid IPv6 address. */
function expandIpv6(address: string): number[] {
  const dotted = /^(.*:)(\d+)\.(\d+)\.(\d+)\.(\d+)$/.exec(address);
  if (dotted !== null) {
    const [a = 0, b = 0, c = 0, d = 0] = dotted.slice(2).map(Number);
    return expandIpv6(`${dotted[1]}${((a << 8) | b).toString(16)}:${((c << 8) | d).toString(16)}`);
  }
  const [head = '', tail] = address.split('::');
  const read = (part: string): number[] =>
    part === '' ? [] : part.split(':').map((group) => Number.parseInt(group, 16));
  const [left, right] = [read(head), read(tail ?? '')];
  return [...left, ...Array.from({ length: 8 - left.length - right.length }, () => 0), ...right];
}
