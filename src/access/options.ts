/** Options of applications, their rules, and the mapping rules that grant roles. */
import { z } from 'zod';
import { headersOptions } from '../headers/options.ts';
import { accessLevels } from '../identity/principal.ts';
import { duration, hostNameSource, network } from '../lib/option-types.ts';
import { proxyOptions, upstreamOption } from '../proxy/options.ts';

const methods = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;
const method = z.string().regex(/^[A-Z]{3,20}$/, 'expected a method in upper case');

const conditions = z
  .strictObject({
    users: z.array(z.string().min(1)).min(1).optional().describe('name or provider:name'),
    groups: z.array(z.string().min(1)).min(1).optional().describe('name, directory:name or DN'),
    roles: z.array(z.string().min(1)).min(1).optional().describe('roles granted under roles'),
    providers: z.array(z.string().min(1)).min(1).optional().describe('who vouched for the person'),
    accessLevel: z
      .enum(accessLevels)
      .optional()
      .describe('at least this level: user < auditor < administrator'),
  })
  .refine(
    (access) => Object.keys(access).length > 0,
    'names no condition; write "authenticated" for everyone who is signed in',
  );

export const accessOption = z
  .union(
    [z.enum(['public', 'authenticated', 'deny']), conditions],
    'expected public, authenticated, deny or conditions (users, groups, roles, providers, accessLevel)',
  )
  .describe('who may; conditions must all hold, inside a list any entry is enough');
export type AccessOption = z.output<typeof accessOption>;
export type AccessConditions = z.output<typeof conditions>;

/** Paths are judged normalised, so a pattern that no normalised path can match would be a rule that silently never holds. */
const pathGlob = z
  .string()
  .regex(/^\/[^?#\s\p{Cc}]*$/u, 'expected a path that starts with "/" and has no query and no blanks')
  .refine(
    (glob) => !/\/\//.test(glob),
    'must not contain "//": paths are judged with repeated slashes collapsed',
  )
  .refine((glob) => !/\/\.{1,2}(\/|$)/.test(glob), 'must not contain "." or ".." segments')
  .refine((glob) => !glob.includes('\\'), 'must not contain a backslash')
  .refine(
    (glob) => glob.split('/').every((segment) => segment === '**' || !segment.includes('**')),
    '** stands for whole segments: write /x/** and not /x**',
  );

export const ruleOptions = z.strictObject({
  paths: z
    .array(pathGlob)
    .min(1)
    .optional()
    .describe('globs on the normalised path: * one segment, ** any depth'),
  methods: z.array(method).min(1).optional().describe('GET includes HEAD; omitted: every method'),
  networks: z.array(network).min(1).optional().describe('addresses of clients; omitted: from everywhere'),
  access: accessOption,
});
export type RuleOptions = z.output<typeof ruleOptions>;

const hostPattern = z
  .string()
  .regex(
    new RegExp(`^(\\*\\.)?${hostNameSource}$|^\\[[0-9a-f:.]+\\]$`),
    'expected a host name in lower case without port, exact or *.example.com',
  )
  .refine(
    (host) => host === host.toLowerCase() && host.length <= 253,
    'expected a host name in lower case without port, exact or *.example.com',
  );

export const applicationOptions = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected 1 to 32 lower-case letters, digits or "-"')
    .describe('what logs and metrics call it'),
  title: z.string().min(1).max(80).optional().describe('shown on the portal; omitted: the name'),
  hosts: z.array(hostPattern).min(1).describe('host names without port, exact or *.example.com'),
  pathPrefix: z
    .string()
    .regex(/^\/([A-Za-z0-9_.~-]+\/?)*$/, 'expected a path such as / or /wiki')
    .default('/')
    .describe('the longest prefix wins among the applications of a host'),
  upstream: upstreamOption
    .optional()
    .describe(
      'the server, or a list of servers, requests are sent to; whoami: the built-in echo page; omitted: forward-auth only',
    ),
  proxy: proxyOptions,
  methods: z
    .array(method)
    .min(1)
    .default([...methods])
    .describe('others are refused'),
  stripPrefix: z.boolean().default(false).describe('the upstream does not see pathPrefix'),
  encodedSlash: z.enum(['refuse', 'allow']).default('refuse').describe('what happens to %2F in paths'),
  caseInsensitivePaths: z
    .boolean()
    .default(false)
    .describe('rules compare paths without case, for upstreams that do'),
  forwardAuthorization: z
    .boolean()
    .default(false)
    .describe("the client's Authorization header reaches the upstream"),
  credentials: z
    .array(z.enum(['session', 'basic', 'negotiate']))
    .min(1)
    .default(['session'])
    .describe(
      'what may prove who the client is: a session, a password with every request (basic), a Kerberos ticket (negotiate)',
    ),
  challenge: z
    .enum(['signIn', 'direct'])
    .default('signIn')
    .describe(
      'signIn: people are led to the sign-in page, which asks for a ticket; direct: the application itself asks, for programs such as curl --negotiate',
    ),
  decisionCache: z
    .union(
      [z.literal('off'), duration({ minMs: 1_000, maxMs: 60_000 })],
      'expected off or a duration from 1s to 60s',
    )
    .default('off')
    .describe(
      'how long a front proxy may keep a decision: a sign-out takes effect that much later (up to 60s)',
    ),
  keepForms: z
    .boolean()
    .default(false)
    .describe(
      'a form sent after the session ended is kept for 5 minutes, and people may send it on after they signed in again',
    ),
  headers: headersOptions.prefault({}).describe('identity headers the application receives'),
  rules: z.array(ruleOptions).default([]).describe('the first rule that matches decides; none: denied'),
});
export type ApplicationOptions = z.output<typeof applicationOptions>;

export const roleOptions = z.strictObject({
  when: z
    .strictObject({
      provider: z.string().min(1).optional().describe('name of an entry of providers'),
      group: z.string().min(1).optional().describe('name, directory:name or DN'),
      user: z.string().min(1).optional().describe('name or provider:name'),
    })
    .refine((when) => Object.keys(when).length > 0, 'names no condition')
    .describe('all that is written must hold'),
  grant: z
    .strictObject({
      roles: z.array(z.string().min(1)).default([]).describe('roles for rules and headers'),
      groups: z.array(z.string().min(1)).default([]).describe('further groups, names or DNs'),
      accessLevel: z.enum(accessLevels).optional().describe('the highest granted level counts'),
    })
    .refine(
      (grant) => grant.roles.length + grant.groups.length > 0 || grant.accessLevel !== undefined,
      'grants nothing',
    )
    .describe('what they get in addition'),
});
export type RoleOptions = z.output<typeof roleOptions>;
