/** Options of accounts kept in the configuration file. */
import { z } from 'zod';
import { providerName, providerTitle } from '../provider-name.ts';

const localAccount = z.strictObject({
  username: z.string().min(1).max(256).describe('account name; upper and lower case are the same'),
  passwordHash: z
    .string()
    .regex(
      /^\$argon2id\$v=19\$m=\d+,t=\d+,p=\d+\$[A-Za-z0-9+/]+\$[A-Za-z0-9+/]+$/,
      'expected an argon2id hash; make one with: vratar hash-password',
    )
    .optional()
    .describe('omitted: a one-time password is generated at start and printed on the terminal'),
  email: z.string().email().optional().describe('e-mail address'),
  displayName: z.string().optional().describe('the name shown to people'),
  groups: z.array(z.string().min(1)).default([]).describe('names of groups'),
});

export const localProviderOptions = z.strictObject({
  name: providerName,
  type: z.literal('local').describe('accounts of this file'),
  title: providerTitle,
  users: z.array(localAccount).min(1).describe('the accounts'),
});
export type LocalProviderOptions = z.output<typeof localProviderOptions>;
