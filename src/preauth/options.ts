/** Options of the ways into Zimbra and Carbonio mailboxes. */
import { z } from 'zod';
import { accessOption } from '../access/options.ts';
import { duration, existingFile, hostNameSource, secret } from '../lib/option-types.ts';
import { reservedParameters } from './deep-links.ts';
import { accountKinds } from './signed-value.ts';

const origin = z
  .string()
  .regex(
    new RegExp(`^https?://(${hostNameSource}|\\[[0-9a-fA-F:.]+\\])(:\\d{1,5})?$`),
    'expected https://host[:port], without a path',
  )
  .refine((text) => URL.canParse(text), 'expected https://host[:port], without a path');

/** Empty stands for a reference that could not be read, which is a problem already. */
const preauthKey = secret.refine(
  (key) => key.isEmpty || /^[0-9A-Fa-f]{64}$/.test(key.reveal()),
  'expected the 64 hexadecimal digits that zmprov generateDomainPreAuthKey prints',
);

const domainOptions = z
  .strictObject({
    preauthKey: preauthKey.describe('the key of the domain, as zmprov gd DOMAIN zimbraPreAuthKey shows it'),
    nextPreauthKey: preauthKey.optional().describe('its successor while the key is being changed'),
    nextKeyFrom: z.iso
      .datetime({ offset: true, error: 'expected an instant such as 2026-11-22T03:00:00+01:00' })
      .transform((text) => Date.parse(text))
      .optional()
      .describe('when the successor counts; needed with interface: url, which learns nothing from Zimbra'),
  })
  .refine(
    ({ nextPreauthKey, nextKeyFrom }) => nextKeyFrom === undefined || nextPreauthKey !== undefined,
    'nextKeyFrom without nextPreauthKey',
  );

const deepLink = z
  .record(
    z
      .string()
      .regex(/^[A-Za-z][A-Za-z0-9_.-]{0,31}$/, 'expected the name of a parameter')
      .refine((name) => !reservedParameters.has(name.toLowerCase()), 'is a parameter of preauth itself'),
    z.string().regex(/^[\x20-\x7e]{1,200}$/, 'expected 1 to 200 printable ASCII characters'),
  )
  .refine((link) => Object.keys(link).length > 0, 'names no parameter');

const defaultDeepLinks = [
  { app: 'mail' },
  { app: 'mail', view: 'compose' },
  { app: 'calendar' },
  { app: 'contacts' },
  { app: 'tasks' },
  { app: 'briefcase' },
  { app: 'preferences' },
];

export const zimbraOptions = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected 1 to 32 lower-case letters, digits or "-"')
    .describe('part of the address /_vratar/zimbra/NAME, and what logs and metrics call it'),
  title: z.string().min(1).max(80).optional().describe('shown on the portal; omitted: the name'),
  url: origin.describe('where browsers and the gateway reach the mail server, https://host[:port]'),
  account: z
    .string()
    .min(1)
    .default('${email}')
    .describe('template of the identifier that is signed, for example ${email} or ${attributes.zimbraId}'),
  by: z.enum(accountKinds).default('name').describe('what kind of identifier account is'),
  domain: z
    .string()
    .min(1)
    .optional()
    .describe('template of the domain whose key signs when by is not name; omitted: the only one configured'),
  domains: z
    .record(
      z
        .string()
        .regex(new RegExp(`^${hostNameSource}$`), 'expected a domain name')
        .refine((name) => name === name.toLowerCase(), 'expected a domain name in lower case'),
      domainOptions,
    )
    .refine((domains) => Object.keys(domains).length > 0, 'names no domain')
    .describe('mail domains and their keys; nobody is let into a mailbox of another domain'),
  expires: duration({ maxMs: 30 * 24 * 3_600_000 })
    .default(0)
    .describe("how long the mail session may last; 0: as Zimbra's own settings say"),
  interface: z
    .enum(['url', 'soap'])
    .default('url')
    .describe(
      'url: the browser carries the signature; soap: the gateway signs in first and hands the browser a link for one use',
    ),
  access: accessOption
    .refine((access) => access !== 'public', 'nobody has a mailbox without being signed in')
    .default('authenticated'),
  adminUrl: origin.optional().describe('the administration port, for example https://mail.example.com:7071'),
  admin: accessOption
    .refine((access) => access !== 'public', 'the administration console is never public')
    .optional()
    .describe('who may open the administration console; needs adminUrl'),
  deepLinks: z
    .array(deepLink)
    .max(200)
    .default(defaultDeepLinks)
    .describe('parameters that may be passed on to the web client; each entry is one whole combination'),
  tls: z
    .strictObject({ caFile: existingFile.describe('PEM file of the authority that signed the certificate') })
    .optional()
    .describe('verification is always on'),
  timeout: duration({ minMs: 100, maxMs: 60_000 })
    .prefault('5s')
    .describe("limit of one of the gateway's own requests to the mail server"),
  healthInterval: duration({ maxMs: 3_600_000 })
    .prefault('1m')
    .describe('how often each worker asks whether the mail server is up and what its clock says; 0: never'),
  signOut: z
    .enum(['end', 'leave'])
    .default('end')
    .describe('whether signing out ends the mail sessions of a person who opened the mailbox from here'),
});
export type ZimbraOptions = z.output<typeof zimbraOptions>;
