/** Options of a directory. Defaults that depend on `kind` are in kinds.ts and filled in after parsing. */
import { z } from 'zod';
import { duration, existingFile, secret } from '../lib/option-types.ts';

const attributeName = z.string().regex(/^[A-Za-z][A-Za-z0-9-]*$/, 'expected an attribute name');
const filter = z.string().startsWith('(', 'expected an LDAP filter in parentheses');
const serverUrl = z
  .string()
  .regex(
    /^ldaps?:\/\/(\[[0-9a-fA-F:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?\/?$/,
    'expected ldap://host[:port] or ldaps://host[:port]',
  );

export const directoryOptions = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected 1 to 32 lower-case letters, digits or "-"'),
  kind: z.enum(['openLdap']).describe('sets the defaults for attributes, groups and lock rules'),
  servers: z.array(serverUrl).min(1).max(16).describe('in order of preference'),
  startTls: z.boolean().default(false).describe('upgrade ldap:// connections before anything is sent'),
  allowPlaintext: z
    .boolean()
    .default(false)
    .describe('passwords in clear text off loopback: for closed test networks only'),
  tls: z
    .strictObject({
      caFile: existingFile
        .optional()
        .describe('PEM file with the certificate authorities to trust; omitted: those of the system'),
      serverName: z
        .string()
        .optional()
        .describe('name the certificates must carry; omitted: the host of the URL'),
    })
    .prefault({}),
  bind: z
    .strictObject({ dn: z.string().min(1), password: secret })
    .optional()
    .describe('service account for searches; omitted: anonymous'),
  timeout: duration({ minMs: 100, maxMs: 60_000 }).prefault('5s').describe('limit of one LDAP operation'),
  users: z.strictObject({
    baseDn: z.string().min(1),
    filter: filter.refine((text) => text.includes('%USERNAME%'), 'must contain %USERNAME%').optional(),
    attributes: z
      .strictObject({
        username: attributeName.optional(),
        email: attributeName.optional(),
        givenName: attributeName.optional(),
        familyName: attributeName.optional(),
        displayName: attributeName.optional(),
      })
      .catchall(attributeName)
      .prefault({})
      .describe('LDAP attributes by their name here; further names are available as ${attributes.NAME}'),
  }),
  groups: z
    .strictObject({
      method: z.enum(['search', 'userAttribute']).optional(),
      baseDn: z.string().min(1).optional(),
      filter: filter
        .refine((text) => /%DN%|%USERNAME%/.test(text), 'must contain %DN% or %USERNAME%')
        .optional(),
      nameAttribute: attributeName.optional(),
      nested: z.boolean().default(true),
      userAttribute: attributeName.optional(),
    })
    .optional()
    .describe('omitted: no groups are read'),
  pool: z
    .strictObject({
      connections: z
        .int()
        .min(1)
        .max(64)
        .default(8)
        .describe('verification connections per server and worker'),
    })
    .prefault({}),
  cache: z
    .strictObject({
      ttl: duration({ maxMs: 3_600_000 })
        .prefault('5m')
        .describe('how long people and groups are remembered'),
      staleFor: duration()
        .prefault('1h')
        .describe('how long the last known answer serves while the directory is down'),
    })
    .prefault({}),
});

export type DirectoryOptions = z.output<typeof directoryOptions>;
