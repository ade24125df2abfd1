/** Options of a provider that verifies passwords in a directory. */
import { z } from 'zod';
import { parseAccountName } from '../../identity/account-name.ts';
import { providerName, providerTitle } from '../provider-name.ts';

const suffix = z
  .string()
  .refine(
    (text) => text.trim() === text && parseAccountName(`x@${text}`)?.kind === 'suffixed',
    'expected what follows "@", such as example.com',
  );
const domain = z
  .string()
  .refine(
    (text) => text.trim() === text && parseAccountName(`${text}\\x`)?.kind === 'qualified',
    'expected a domain such as CORP',
  );

export const ldapProviderOptions = z.strictObject({
  name: providerName,
  type: z.literal('ldap').describe('verifies passwords in a directory'),
  title: providerTitle,
  directory: z.string().min(1).describe('name of an entry of directories'),
  suffixes: z
    .array(suffix)
    .max(64)
    .optional()
    .describe(
      'what follows "@" in account names of this directory: such a name is looked for nowhere else, with and without its suffix',
    ),
  domains: z
    .array(domain)
    .max(64)
    .optional()
    .describe(
      'what stands before "\\" in account names of this directory: such a name is looked for nowhere else',
    ),
});
export type LdapProviderOptions = z.output<typeof ldapProviderOptions>;
