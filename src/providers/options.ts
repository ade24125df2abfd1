/** Options of authentication providers, one row per type, and of the throttle in front of them. */
import { z } from 'zod';
import { duration } from '../lib/option-types.ts';
import { kerberosProviderOptions } from './kerberos/options.ts';
import { ldapProviderOptions } from './ldap/options.ts';
import { localProviderOptions } from './local/options.ts';

export const providerOptions = z.discriminatedUnion('type', [
  ldapProviderOptions,
  localProviderOptions,
  kerberosProviderOptions,
]);
export type ProviderOptions = z.output<typeof providerOptions>;

const limitFields = {
  window: duration({ minMs: 1_000 }).prefault('5m').describe('failures older than this are forgotten'),
  lockFor: duration({ minMs: 1_000 }).prefault('5m').describe('how long further attempts are refused'),
};
const failures = z.int().min(1).max(100_000).describe('failures within the window that lock');

export const throttleOptions = z.strictObject({
  account: z
    .strictObject({ failures: failures.default(5), ...limitFields })
    .prefault({})
    .describe('per account name, known or not'),
  address: z
    .strictObject({ failures: failures.default(50), ...limitFields })
    .prefault({})
    .describe('per client address'),
});
export type ThrottleOptions = z.output<typeof throttleOptions>;
