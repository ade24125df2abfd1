/** A Zimbra with two domains and a few accounts, and our way into it. */
import { randomBytes } from 'node:crypto';
import type { Clock } from '#src/lib/clock.ts';
import { systemClock } from '#src/lib/clock.ts';
import { zimbraOptions } from '#src/preauth/options.ts';
import { Zimbra } from '#src/preauth/zimbra.ts';
import { startZimbra, type TestZimbra, type ZimbraSetup } from '#test/servers/zimbra.ts';

export const key = '6b7ead4bd425836e8cf0079cd6c1a05acc127acd07c8ee4b61023e19250e929c';
export const otherKey = '9d8ad87fd726ba7d5fecf3d705621024b31cedb142310ec965f9263568fa0f27';
export const aliceId = '0eb1d29f-2c5b-4ba2-9e7a-91bd4b4bd6e4';

export const newKey = (): string => randomBytes(32).toString('hex');

export async function startMail(setup: Partial<ZimbraSetup> = {}): Promise<TestZimbra> {
  return await startZimbra({
    domains: { 'example.test': key, 'other.test': otherKey, 'keyless.test': undefined },
    accounts: [
      { name: 'alice@example.test', id: aliceId, foreignPrincipal: 'kerberos5:alice@EXAMPLE.TEST' },
      { name: 'root1@example.test', isAdmin: true },
      { name: 'o+l&g@other.test' },
      { name: 'gone@example.test', status: 'closed' },
      { name: 'away@example.test', status: 'maintenance' },
      { name: 'nokey@keyless.test' },
    ],
    ...setup,
  });
}

export interface WaySetup {
  readonly options?: Readonly<Record<string, unknown>>;
  readonly clock?: Clock;
}

/** Our side; `email` of the principal is the account. */
export function wayInto(
  zimbra: Pick<TestZimbra, 'url'>,
  { options = {}, clock = systemClock }: WaySetup = {},
): Zimbra {
  return new Zimbra({
    options: zimbraOptions.parse({
      name: 'mail',
      url: zimbra.url,
      domains: { 'example.test': { preauthKey: key }, 'other.test': { preauthKey: otherKey } },
      healthInterval: 0,
      ...options,
    }),
    accountOf: ({ email = '' }) => email,
    clock,
    onProbed: () => {},
  });
}
