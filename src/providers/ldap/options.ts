/** Options of a provider that verifies passwords in a directory. */
import { z } from 'zod';
import { providerName, providerTitle } from '../provider-name.ts';

export const ldapProviderOptions = z.strictObject({
  name: providerName,
  type: z.literal('ldap').describe('verifies passwords in a directory'),
  title: providerTitle,
  directory: z.string().min(1).describe('name of an entry of directories'),
});
export type LdapProviderOptions = z.output<typeof ldapProviderOptions>;
