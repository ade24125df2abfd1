/** Options of a directory. Defaults that depend on `kind` are in kinds.ts and filled in after parsing. */
import { z } from 'zod';
import { GatewayError } from '../errors.ts';
import { duration, existingFile, hostNameSource, secret } from '../lib/option-types.ts';
import type { Secret } from '../lib/secret.ts';
import { parseServerUrl } from './endpoint.ts';
import { compileFilter } from './filter.ts';
import { directoryKinds, groupMethodOf, groupMethods } from './group-method.ts';
import { whyNoPasswordChange } from './password-requirements.ts';
import { discoveryScheme, serviceNameOf } from './service-discovery.ts';

const attributeName = z
  .string()
  .regex(/^[A-Za-z][A-Za-z0-9-]*$/, 'expected an attribute name')
  .refine((name) => name.toLowerCase() !== 'dn', 'the DN is no attribute');
const filter = z.string().superRefine((text, context) => {
  try {
    compileFilter(text);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    context.addIssue({ code: 'custom', message: error.message });
  }
});
const serverUrl = z
  .string()
  .regex(new RegExp(`^ldaps?://(\\[[0-9a-fA-F:.]+\\]|${hostNameSource})(:\\d{1,5})?/?$`), {
    message: 'expected ldap://host[:port] or ldaps://host[:port]',
    abort: true,
  })
  .refine((text) => URL.canParse(text), {
    message: 'expected a URL that names a possible host and port',
    abort: true,
  });

/** Labels may begin with an underscore: `dc._msdcs.example.com`. */
const discoveryDomain = z
  .string()
  .regex(
    /^_?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\._?[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*$/,
    'expected a domain such as example.com',
  );

function toDiscovery(servers: 'srv' | { readonly srv: string }): string {
  return `${discoveryScheme}${servers === 'srv' ? '' : servers.srv}`;
}

const fields = z.strictObject({
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'expected 1 to 32 lower-case letters, digits or "-"')
    .describe('what providers and rules call it'),
  kind: z
    .enum(directoryKinds)
    .describe(
      'sets the defaults for attributes, groups and lock rules; freeIpa: also ALD Pro and other 389-ds',
    ),
  servers: z
    .union(
      [
        z.array(serverUrl).min(1).max(16),
        z.literal('srv').describe('what DNS names for the domain of users.baseDn'),
        z.strictObject({ srv: discoveryDomain.describe('what DNS names for this domain') }),
      ],
      'expected a list of ldap:// and ldaps:// URLs, srv, or { srv: example.com }',
    )
    .transform((servers) => (Array.isArray(servers) ? servers : [toDiscovery(servers)]))
    .describe(
      'in order of preference; srv: as DNS says in _ldaps._tcp of the domain, with startTls in _ldap._tcp, always over TLS',
    ),
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
      certificateFile: existingFile
        .optional()
        .describe('PEM file with the certificate shown to the servers; read again when it changes'),
      keyFile: existingFile
        .optional()
        .describe('PEM file with its key, readable by the gateway alone; read again when it changes'),
      serverName: z
        .string()
        .optional()
        .describe('name the certificates must carry; omitted: the host of the URL'),
    })
    .prefault({})
    .describe('how certificates are verified; verification is always on'),
  bind: z
    .strictObject({
      method: z
        .enum(['simple', 'external'])
        .default('simple')
        .describe('simple: dn and password; external: as whom the server takes tls.certificateFile for'),
      dn: z
        .string()
        .min(1)
        .refine((dn) => /^[A-Za-z0-9.-]+ *=/.test(dn), 'expected a DN such as cn=vratar,dc=example,dc=com')
        .optional()
        .describe('DN of the service account'),
      password: secret.optional().describe('its password'),
    })
    .transform(({ method, dn, password }, context): ServiceBind => {
      if (method === 'external') {
        for (const key of ['dn', 'password'] as const) {
          if ({ dn, password }[key] === undefined) continue;
          context.addIssue({ code: 'custom', path: [key], message: 'not with method external' });
        }
        return { method };
      }
      if (dn !== undefined && password !== undefined) return { method, dn, password };
      const missing = dn === undefined ? 'dn' : 'password';
      context.addIssue({ code: 'custom', path: [missing], message: 'needed for a service account' });
      return z.NEVER;
    })
    .optional()
    .describe('service account for searches; omitted: anonymous'),
  timeout: duration({ minMs: 100, maxMs: 60_000 }).prefault('5s').describe('limit of one LDAP operation'),
  users: z
    .strictObject({
      baseDn: z.string().min(1).describe('where people are searched'),
      filter: filter
        .refine((text) => /%USERNAME%|%ADDRESS%/.test(text), 'must contain %USERNAME% or %ADDRESS%')
        .optional()
        .describe(
          'finds one person; %USERNAME% is the escaped account name, %ADDRESS% name@suffix where one was typed; omitted: as kind says',
        ),
      dnTemplate: z
        .string()
        .regex(
          /^[A-Za-z][A-Za-z0-9.-]*=[^,]*%USERNAME%[^,]*(,.+)?$/,
          'expected a DN such as uid=%USERNAME%,ou=people,dc=example,dc=com',
        )
        .optional()
        .describe('DN of a person, for directories that may not be searched; omitted: people are searched'),
      attributes: z
        .strictObject({
          username: attributeName.optional().describe('the canonical account name'),
          email: attributeName.optional().describe('the e-mail address'),
          givenName: attributeName.optional().describe('the given name'),
          familyName: attributeName.optional().describe('the family name'),
          displayName: attributeName.optional().describe('the name shown to people'),
        })
        .catchall(attributeName)
        .prefault({})
        .describe('LDAP attributes by their name here; further names are available as ${attributes.NAME}'),
      idAttribute: attributeName
        .optional()
        .describe('what somebody is known by for good, also when renamed; omitted: as kind says'),
      status: z
        .enum([...directoryKinds, 'bindOnly'])
        .optional()
        .describe(
          'whose attributes tell disabled, locked and expired accounts; bindOnly: only the answer to the password; omitted: kind',
        ),
    })
    .describe('how people are found'),
  groups: z
    .strictObject({
      method: z
        .enum(groupMethods)
        .optional()
        .describe(
          'search for groups, read them from an attribute of the person, or let Active Directory compute them; omitted: as kind says',
        ),
      baseDn: z.string().min(1).optional().describe('where groups are searched'),
      filter: filter
        .refine((text) => /%DN%|%USERNAME%/.test(text), 'must contain %DN% or %USERNAME%')
        .optional()
        .describe('finds the groups of a person; %DN% and %USERNAME% are escaped'),
      nameAttribute: attributeName.optional().describe('the short name of a group'),
      nested: z.boolean().default(true).describe('groups of groups count as well'),
      userAttribute: attributeName
        .optional()
        .describe('for method userAttribute: the attribute that names the groups'),
    })
    .optional()
    .describe('omitted: no groups are read'),
  passwordChange: z
    .enum(['directory', 'off'])
    .optional()
    .describe(
      'whether people whose password has expired change it on the sign-in page; omitted: directory, where connections are encrypted (openLdap: also on loopback) and, for activeDirectory, there is a bind',
    ),
  passwordChangeUrl: z
    .url({ protocol: /^https$/, error: 'expected an https:// URL' })
    .optional()
    .describe('page where people change their password, linked where the sign-in page cannot do it'),
  pool: z
    .strictObject({
      connections: z
        .int()
        .min(1)
        .max(64)
        .default(8)
        .describe('verification connections per server and worker'),
    })
    .prefault({})
    .describe('connections; two for searches come on top per server and worker'),
  cache: z
    .strictObject({
      ttl: duration({ maxMs: 3_600_000 })
        .prefault('5m')
        .describe('how long people and groups are remembered'),
      staleFor: duration()
        .prefault('1h')
        .describe('how long the last known answer serves while the directory is down'),
    })
    .prefault({})
    .describe('how long answers of the directory are remembered'),
});

/** What no single field can say. That passwords stay off the wire in clear text is a check of the whole configuration. */
export const directoryOptions = fields.superRefine((parsed, context) => {
  const options = Array.isArray(parsed.servers) ? parsed : { ...parsed, servers: [] };
  options.servers.forEach((url, index) => {
    const issue = (message: string): void =>
      context.addIssue({ code: 'custom', path: ['servers', index], message });
    // Refinements run although a field was refused; that problem is reported by itself.
    if (!serverUrl.safeParse(url).success) return;
    if (url.startsWith(discoveryScheme)) return;
    const { port, isSecure } = parseServerUrl(url);
    if (port < 1 || port > 65_535) issue('expected a port between 1 and 65535');
    if (isSecure && options.startTls) {
      issue('startTls is for ldap:// servers; this one is encrypted from the start');
    }
  });
  // What it reads may be of any type as long as something was refused.
  if (context.issues.length === 0) {
    refineEncryption(options, (path, message) =>
      context.addIssue({ code: 'custom', path: [...path], message }),
    );
  }
  const { groups, kind } = options;
  const obstacle = options.passwordChange === 'directory' ? whyNoPasswordChange(options) : undefined;
  if (obstacle !== undefined) {
    context.addIssue({ code: 'custom', path: ['passwordChange'], message: obstacle });
  }
  if (groups === undefined) return;
  const method = groupMethodOf(kind, groups);
  if (method === 'search' && groups.baseDn === undefined) {
    context.addIssue({ code: 'custom', path: ['groups', 'baseDn'], message: 'needed for method search' });
  }
  if (!groups.nested && method === 'tokenGroups') {
    const message = 'method tokenGroups cannot leave nested groups out; use userAttribute';
    context.addIssue({ code: 'custom', path: ['groups', 'nested'], message });
  }
});

export type DirectoryOptions = z.output<typeof directoryOptions>;

function refineEncryption(
  options: z.output<typeof fields>,
  issue: (path: readonly string[], message: string) => void,
): void {
  const { servers, startTls, tls, bind } = options;
  if (serviceNameOf(options)?.domain === '') {
    issue(['servers'], 'users.baseDn names no domain (dc=…); write { srv: example.com }');
  }
  if ((tls.certificateFile === undefined) !== (tls.keyFile === undefined)) {
    const missing = tls.keyFile === undefined ? 'keyFile' : 'certificateFile';
    issue(['tls', missing], 'certificateFile and keyFile belong together');
  }
  if (bind?.method !== 'external') return;
  if (tls.certificateFile === undefined) issue(['tls', 'certificateFile'], 'needed for bind.method external');
  if (!startTls && servers.some((url) => url.startsWith('ldap:'))) {
    issue(['bind', 'method'], 'external needs ldaps:// or startTls: true');
  }
}

export type ServiceBind =
  | { readonly method: 'simple'; readonly dn: string; readonly password: Secret }
  | { readonly method: 'external'; readonly dn?: undefined; readonly password?: undefined };

/** `undefined`: the service has no password of its own. */
export function serviceAccountOf({
  bind,
}: DirectoryOptions): { readonly dn: string; readonly password: Secret } | undefined {
  return bind?.method === 'simple' ? bind : undefined;
}

export function bindsByCertificate({ bind }: DirectoryOptions): boolean {
  return bind?.method === 'external';
}
