/**
 * The preauth signature and the link that carries it. Knows the order of the values and the key, not who may have one.
 * A link is as good as a password for five minutes: it is made at the moment it is sent, and never kept or logged.
 */
import { createHmac, type KeyObject } from 'node:crypto';
import { GatewayError } from '../errors.ts';
import { type AccountKind, isSignable } from './signed-value.ts';

export interface SignedValues {
  readonly account: string;
  readonly by: AccountKind;
  /** Milliseconds since the epoch at which the mail session ends; 0: as the account is configured. */
  readonly expires: number;
  /** Milliseconds since the epoch. */
  readonly timestamp: number;
  readonly isAdmin: boolean;
}

/**
 * Lower-case hex HMAC-SHA1 of the values in the alphabetical order of their names. The key is the text of its 64
 * hexadecimal digits, not the bytes they stand for. Throws RangeError for a value that could be read as two.
 */
export function preauthMac(
  { account, by, expires, timestamp, isAdmin }: SignedValues,
  key: KeyObject,
): string {
  if (!isSignable(account)) throw new RangeError('the account is not signable');
  if (!Number.isSafeInteger(expires) || expires < 0) throw new RangeError('expires is no instant');
  if (!Number.isSafeInteger(timestamp) || timestamp <= 0) throw new RangeError('timestamp is no instant');
  const message = `${account}${isAdmin ? '|1' : ''}|${by}|${expires}|${timestamp}`;
  return createHmac('sha1', key).update(message, 'utf8').digest('hex');
}

/** Path and query of the preauth link. The signature covers the plain account, the query its percent-encoded form. */
export function preauthTarget(values: SignedValues, mac: string, deepLink: string): string {
  const { account, by, expires, timestamp, isAdmin } = values;
  return (
    `/service/preauth?account=${encodeURIComponent(account)}&by=${by}&timestamp=${timestamp}&expires=${expires}` +
    `${isAdmin ? '&admin=1' : ''}${deepLink}&preauth=${mac}`
  );
}

/** How far the timestamps of one account may run ahead: so many links in a second no person clicks. */
const maxAheadMs = 1_000;

/** Timestamps that no two links of an account share: equal links would make a replay invisible in Zimbra's log. */
export class Timestamps {
  readonly #last = new Map<string, number>();
  #newest = 0;

  /** Throws GatewayError THROTTLED beyond a thousand a second. */
  next(account: string, nowMs: number): number {
    // Nobody's last one can be met again, or the clock was set back: what is remembered is bounded by one second's clicks.
    if (nowMs > this.#newest || nowMs < this.#newest - maxAheadMs) {
      this.#last.clear();
      this.#newest = nowMs;
    }
    const timestamp = Math.max(nowMs, (this.#last.get(account) ?? 0) + 1);
    if (timestamp - nowMs > maxAheadMs) {
      throw new GatewayError('THROTTLED', 'too many links for one account', { retryAfterSeconds: 1 });
    }
    this.#last.set(account, timestamp);
    this.#newest = Math.max(this.#newest, timestamp);
    return timestamp;
  }
}
