/**
 * For how long a front proxy may keep a verdict, and what it depends on. Never longer than the session is served
 * without asking anybody; challenges and failures are never kept.
 */
import type { Exchange, FlatHeaders } from '../../http/exchange.ts';
import type { ProtectedApplication } from '../application.ts';
import type { Identified } from '../credentials.ts';

/**
 * Whole seconds; 0: not at all. A rule sees method, host, path and client address and a person is found by the
 * cookie, so a verdict depends on nothing else: `deploy/nginx/vratar-cached-auth.conf` has all of them in its key.
 * A request with a password is asked about every time: no cache should hold its key.
 */
export function verdictMaxAge(
  { options: { decisionCache } }: ProtectedApplication,
  { head, startedAtMs }: Pick<Exchange, 'head' | 'startedAtMs'>,
  identified: Identified | undefined,
): number {
  if (decisionCache === 'off' || head.authorization !== undefined) return 0;
  const untilMs =
    identified === undefined
      ? Number.POSITIVE_INFINITY
      : Math.min(identified.servedUntilMs, identified.refreshDueAtMs);
  return Math.max(0, Math.floor(Math.min(decisionCache, untilMs - startedAtMs) / 1_000));
}

/** Replaces the `no-store` that every verdict is made with. */
export function withCacheHint(headers: FlatHeaders, maxAgeSeconds: number, vary: string): string[] {
  const hinted = [...headers, 'Vary', vary];
  hinted[hinted.indexOf('Cache-Control') + 1] = `max-age=${maxAgeSeconds}`;
  return hinted;
}
