/** Options of applications, their rules, and the mapping rules that grant roles. */
import { z } from 'zod';
import { headersOptions } from '../headers/options.ts';
import { accessLevels } from '../identity/principal.ts';

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
const method = z.string().regex(/^[A-Z]{3,20}$/, 'expected a method in upper case');
const network = z
  .string()
  .regex(/^[0-9a-fA-F:.]+(\/\d{1,3})?$/, 'expected an address or network such as 10.0.0.0/8');

const conditions = z
  .strictObject({
    users: z.array(z.string().min(1)).min(1).optional().describe('name or provider:name'),
    groups: z.array(z.string().min(1)).min(1).optional().describe('name, directory:name or DN'),
    roles: z.array(z.string().min(1)).min(1).optional(),
    providers: z.array(z.string().min(1)).min(1).optional(),
    accessLevel: z
      .enum(accessLevels)
      .optional()
      .describe('at least this level: user < auditor < administrator'),
  })
  .refine(
    (access) => Object.keys(access).length > 0,
    'names no condition; write "authenticated" for everyone who is signed in',
  );

export const accessOption = z.union([z.enum(['public', 'authenticated', 'deny']), conditions]);
export type AccessOption = z.output<typeof accessOption>;
export type AccessConditions = z.output<typeof conditions>;

export const ruleOptions = z.strictObject({
  paths: z
    .array(z.string().regex(/^\/[^?#\s]*$/, 'expected a path that starts with "/" and has no query'))
    .min(1)
    .optional()
    .describe('globs on the normalised path: * one segment, ** any depth'),
  methods: z.array(method).min(1).optional(),
  networks: z.array(network).min(1).optional(),
  access: accessOption,
});
export type RuleOptions = z.output<typeof ruleOptions>;

const hostPattern = z
  .string()
  .regex(
    /^(\*\.)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$|^\[[0-9a-f:]+\]$/,
    'expected a host name in lower case without port, exact or *.example.com',
  );

const upstreamUrl = z
  .string()
  .regex(
    /^(whoami|https?:\/\/(\[[0-9a-f:]+\]|[A-Za-z0-9.-]+)(:\d{1,5})?)$/,
    'expected http://host[:port], https://host[:port] or whoami',
  );

export const applicationOptions = z.strictObject({
  name: z.string().regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected 1 to 32 lower-case letters, digits or "-"'),
  title: z.string().min(1).max(80).optional().describe('shown on the portal; omitted: the name'),
  hosts: z.array(hostPattern).min(1),
  pathPrefix: z
    .string()
    .regex(/^\/([A-Za-z0-9_.~-]+\/?)*$/, 'expected a path such as / or /wiki')
    .default('/')
    .describe('the longest prefix wins among the applications of a host'),
  upstream: upstreamUrl
    .optional()
    .describe('where requests are sent; whoami: the built-in echo page; omitted: forward-auth only'),
  methods: z
    .array(method)
    .min(1)
    .default([...methods]),
  stripPrefix: z.boolean().default(false),
  encodedSlash: z.enum(['refuse', 'allow']).default('refuse'),
  caseInsensitivePaths: z.boolean().default(false),
  forwardAuthorization: z
    .boolean()
    .default(false)
    .describe("the client's Authorization header reaches the upstream"),
  credentials: z
    .array(z.enum(['session']))
    .min(1)
    .default(['session']),
  headers: headersOptions.prefault({}),
  rules: z.array(ruleOptions).default([]).describe('the first rule that matches decides; none: denied'),
});
export type ApplicationOptions = z.output<typeof applicationOptions>;

export const roleOptions = z.strictObject({
  when: z.strictObject({
    provider: z.string().optional(),
    group: z.string().min(1).optional(),
    user: z.string().min(1).optional(),
  }),
  grant: z.strictObject({
    roles: z.array(z.string().min(1)).default([]),
    groups: z.array(z.string().min(1)).default([]),
    accessLevel: z.enum(accessLevels).optional(),
  }),
});
export type RoleOptions = z.output<typeof roleOptions>;
