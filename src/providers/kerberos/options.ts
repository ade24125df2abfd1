/** Options of a provider that accepts Kerberos tickets. What they mean for one ticket is in the files beside. */
import { z } from 'zod';
import { existingFile, liveFile } from '../../lib/option-types.ts';
import { challengeOptions } from '../challenge-options.ts';
import { providerName, providerTitle } from '../provider-name.ts';
import { canCollide, type RealmMapping } from './principal-name.ts';

/** What fits into the head of a request: Windows' largest ticket of 65,535 bytes is 87,380 characters. */
export const longestToken = 90_000;

const realmName = z
  .string()
  .regex(/^[^\s/\\@:]{1,255}$/, 'expected a realm such as EXAMPLE.COM')
  .describe('compared exactly, also in case');
const usernameTemplate = z
  .string()
  .max(256)
  .regex(/^(?:[^$]|\$\{(?:user|realm)\})*$/, 'the only placeholders are ${user} and ${realm}')
  .refine((text) => text.split('${user}').length === 2, 'must contain ${user} once');
const lowerCase = z.boolean();

const realm = z.union(
  [
    realmName,
    z.strictObject({
      name: realmName,
      username: usernameTemplate.optional().describe('as username of the provider, for this realm alone'),
      lowerCase: lowerCase.optional().describe('as lowerCase of the provider, for this realm alone'),
    }),
  ],
  'expected a realm, or { name, username, lowerCase }',
);

const servicePrincipal = z
  .string()
  .regex(
    /^[A-Za-z]+\/[A-Za-z0-9.-]{1,253}(@[^\s/\\@]{1,255})?$/,
    'expected HTTP/host.example.com or HTTP/host.example.com@REALM',
  );

const fields = z.strictObject({
  name: providerName,
  type: z.literal('kerberos').describe('accepts tickets by SPNEGO, without a password'),
  title: providerTitle,
  keytab: liveFile.describe(
    'keytab file with the keys of the HTTP services; a renewed one is used from the next ticket on',
  ),
  realms: z.array(realm).min(1).max(64).describe('realms whose people may sign in'),
  username: usernameTemplate
    .default('${user}')
    .describe('account name of a principal ${user}@${realm}; what the directory is asked for'),
  lowerCase: lowerCase
    .default(false)
    .describe('account names in small letters: for Active Directory, which ignores case'),
  directory: z
    .string()
    .min(1)
    .optional()
    .describe('name of an entry of directories for attributes, groups and account status; omitted: none'),
  principals: z
    .array(servicePrincipal)
    .min(1)
    .optional()
    .describe('services whose tickets are accepted; omitted: every HTTP service of the keytab'),
  strictSpn: z
    .boolean()
    .default(true)
    .describe(
      'refuses a ticket that names another service before it is decrypted; false for clients that use aliases',
    ),
  challenge: challengeOptions
    .prefault({})
    .describe('whom to send Negotiate to; everybody else sees the sign-in page at once'),
  isolation: z
    .enum(['helper', 'none'])
    .default('helper')
    .describe('where tickets are decrypted: in a process of its own, or in the worker'),
  replay: z
    .enum(['on', 'off'])
    .default('on')
    .describe('whether a ticket that was presented before is refused; the record is kept in state.directory'),
  krb5Config: existingFile
    .optional()
    .describe(
      'krb5.conf for what differs from the defaults of the library, such as clockskew; omitted: none is read, also not that of the system',
    ),
  maxTokenLength: z
    .int()
    .min(1_024)
    .max(longestToken)
    .default(longestToken)
    .describe('longest token in characters of base64; longer ones are refused unread'),
});

/** What no single field can say: one account name must not stand for people of two realms. */
export const kerberosProviderOptions = fields.superRefine((options, context) => {
  const mappings = realmMappings(options);
  mappings.forEach((mapping, index) => {
    const rival = mappings.slice(0, index).find((before) => canCollide(before, mapping));
    if (rival === undefined) return;
    const message =
      rival.realm === mapping.realm
        ? 'is listed already'
        : `gives people the same account names as ${rival.realm}; use another username, such as \${user}@\${realm}`;
    context.addIssue({ code: 'custom', path: ['realms', index], message });
  });
});

export type KerberosProviderOptions = z.output<typeof kerberosProviderOptions>;

/** The mapping of every realm, with the provider's own values where the realm has none. */
export function realmMappings({
  realms,
  username,
  lowerCase: isLowerCase,
}: Pick<KerberosProviderOptions, 'realms' | 'username' | 'lowerCase'>): readonly RealmMapping[] {
  return realms.map((entry) =>
    typeof entry === 'string'
      ? { realm: entry, username, lowerCase: isLowerCase }
      : {
          realm: entry.name,
          username: entry.username ?? username,
          lowerCase: entry.lowerCase ?? isLowerCase,
        },
  );
}
