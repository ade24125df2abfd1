/** The configuration the rows assume, and what a row's `setup` makes of it. */
import { createPasswordHash } from '#src/providers/password-hash.ts';
import { key } from '#test/preauth/site.ts';
import type { AttackRow, Setup } from './attack-rows.ts';
import { homeRealm } from './kerberos-realms.ts';
import { directoryOptions, megaGroup, rightPassword } from './people.ts';

export const hosts = {
  portal: 'gw.example.test',
  app: 'app.example.test',
  open: 'open.example.test',
  isolated: 'iso.example.test',
} as const;

export interface SiteServers {
  readonly upstream: string;
  readonly directories: readonly string[];
  /** Address of a mail server. */
  readonly mail?: string;
  readonly directoryOptions?: Readonly<Record<string, unknown>>;
  /** Where tickets are taken. */
  readonly keytab?: string | undefined;
}

interface Rule {
  readonly paths?: readonly string[];
  readonly methods?: readonly string[];
  readonly networks?: readonly string[];
  readonly access: string | { readonly groups: readonly string[] };
}

/** `/x/` and everything below; `/x` is the same resource as `/x/`. */
const below = (path: string): readonly string[] => [path, `${path}**`];

const group = (name: string) => ({ groups: [name] });

/** The first rule that matches decides, so the most specific ones come first. */
const rules: readonly Rule[] = [
  { paths: below('/public/'), access: 'public' },
  { paths: below('/admin/'), access: group('admins') },
  { paths: below('/api/'), methods: ['GET'], access: group('staff') },
  { paths: below('/api/'), access: group('editors') },
  { paths: ['/ws'], access: group('staff') },
  { paths: below('/any/'), access: 'authenticated' },
  { access: group('staff') },
];

/** The headers of the rows, under the names the rows use. */
const headers = {
  encoding: 'percent',
  set: {
    'X-Auth-User': '${username}',
    'X-Auth-Name': '${displayName}',
    'X-Auth-Email': '${email}',
    'X-Auth-Groups': '${groups}',
    'X-Auth-Roles': '${roles}',
  },
} as const;

let mirrorHash: Promise<string> | undefined;

/** Setup of rows whose subject the site as it is would hide. */
const ownSetups: Readonly<Record<string, Setup>> = {
  // `/public/` alone is configured: with `/public` beside it the row would ask nothing.
  'PA-023': { 'rule.public': 'below' },
  // Over http, so that the forged values differ from the true ones.
  'HS-016': { publicUrl: 'http' },
  // An IPv4 peer is written in its mapped form only on a dual-stack listener.
  'HS-028': { listen: 'dual-stack' },
  'LG-017': { directory: 'passes on what it records' },
  'LD-043': { 'throttle.account': '1' },
  'GR-005': { directory: 'twenty thousand groups' },
  'GR-004': { trustedProxies: ['192.0.2.10/32'] },
};

export function setupOf({ id, class: className, input }: AttackRow): Setup {
  const own = ownSetups[id] ?? (className === 'preauth' ? { mailbox: true } : {});
  return typeof input.setup === 'object' ? { ...input.setup, ...own } : own;
}

export async function siteConfig(
  { upstream, directories, mail, directoryOptions: ownOptions = {}, keytab }: SiteServers,
  setup: Setup,
): Promise<Record<string, unknown> & { server: Record<string, unknown> }> {
  mirrorHash ??= createPasswordHash(rightPassword);
  const passwordHash = await mirrorHash;
  const app = application('app', hosts.app, upstream, {
    headers: {
      ...headers,
      ...(setup['headers.onAlias'] === undefined ? {} : { onAlias: setup['headers.onAlias'] }),
      ...(setup['headers.encoding'] === undefined ? {} : { encoding: setup['headers.encoding'] }),
      ...(setup['route.groupFilter'] === undefined ? {} : { groups: setup['route.groupFilter'] }),
    },
    rules: rulesOf(setup),
    ...(setup['route.forwardAuthorization'] === undefined
      ? {}
      : { forwardAuthorization: setup['route.forwardAuthorization'] }),
    ...(setup['route.encodedSlash'] === undefined ? {} : { encodedSlash: setup['route.encodedSlash'] }),
    ...(setup['route.caseInsensitive'] === undefined
      ? {}
      : { caseInsensitivePaths: setup['route.caseInsensitive'] }),
    ...(setup['route.methods'] === undefined ? {} : { methods: setup['route.methods'] }),
    ...(setup['basic'] === true ? { credentials: ['session', 'basic'] } : {}),
    ...(keytab === undefined ? {} : { credentials: ['session', 'negotiate'], challenge: 'direct' }),
  });
  const prefix = setup['route.stripPrefix'];
  return {
    server: {
      publicUrl: `${setup['publicUrl'] === 'http' ? 'http' : 'https'}://${hosts.portal}`,
      trustedProxies: ((setup['trustedProxies'] ?? []) as readonly string[]).map(toLoopback),
      ...(setup['listen'] === 'dual-stack' ? { listen: '[::]:0' } : {}),
    },
    session: { cookie: { name: 'gw' } },
    throttle: {
      account: { failures: Number(setup['throttle.account'] ?? 100_000) },
      address: { failures: Number(setup['throttle.address'] ?? 100_000) },
    },
    directories: [withTemplate(directoryOptions(directories, ownOptions), setup['ldap.userDnTemplate'])],
    providers: [
      { name: 'corp', type: 'ldap', directory: 'corp', domains: ['EXAMPLE'] },
      {
        name: 'local',
        type: 'local',
        users: [
          { username: 'alice', passwordHash, groups: ['staff'] },
          { username: 'root1', passwordHash, groups: ['staff', 'admins'] },
        ],
      },
      ...(keytab === undefined
        ? []
        : [{ name: 'sso', type: 'kerberos', keytab, realms: [homeRealm], directory: 'corp' }]),
    ],
    ...(mail === undefined
      ? {}
      : { zimbra: [{ name: 'mail', url: mail, domains: { 'example.test': { preauthKey: key } } }] }),
    applications: [
      app,
      ...(typeof prefix === 'string'
        ? [{ ...app, name: 'stripped', pathPrefix: prefix, stripPrefix: true }]
        : []),
      application('open', hosts.open, upstream, { rules: [{ access: 'public' }] }),
      application('isolated', hosts.isolated, upstream, { rules: [{ access: 'authenticated' }] }),
    ],
  };
}

function withTemplate(directory: Record<string, unknown>, template: unknown): Record<string, unknown> {
  if (typeof template !== 'string') return directory;
  const dnTemplate = template.replace('{username}', '%USERNAME%');
  return { ...directory, users: { ...(directory['users'] as object), dnTemplate } };
}

/**
 * Documentation addresses become loopback aliases, from which a client of this machine can really connect:
 * the first byte is 127, the others stay.
 */
export function toLoopback(address: string): string {
  return address.replace(
    /^(?:192\.0\.2|198\.51\.100|203\.0\.113)(?=\.)/,
    (net) => `127.${net.split('.').slice(1).join('.')}`,
  );
}

function application(name: string, host: string, upstream: string, more: Record<string, unknown>) {
  return { name, hosts: [host], upstream, headers, ...more };
}

function rulesOf(setup: Setup): readonly Rule[] {
  const written = setup['rules'];
  if (written !== undefined) return (written as readonly string[]).map(readRule);
  if (setup['rule.public'] === 'below') {
    return [{ paths: ['/public/**'], access: 'public' }, ...rules.slice(1)];
  }
  const first = [
    ...(typeof setup['rule'] === 'string' ? [readRule(setup['rule'])] : []),
    // A preflight request carries no credentials: an operator who lets it pass says so in a rule.
    ...(setup['route.preflight'] === 'bypass'
      ? [{ paths: below('/api/'), methods: ['OPTIONS'], access: 'public' }]
      : []),
  ];
  return [...first, ...rules];
}

/** `/lan/ anonymous from 10.0.0.0/8`, `deny from NET`, `/x/ : group NAME`, `~ /x/.* : any user`. */
function readRule(text: string): Rule {
  const match =
    /^(?:(?<path>\/\S*) |~ (?<expression>\S+) )?(?:: )?(?<who>anonymous|deny|any user|group \S+)(?: from (?<network>\S+))?$/.exec(
      text,
    )?.groups;
  if (match === undefined) throw new Error(`unreadable rule: ${text}`);
  const { path, expression, who = '', network } = match;
  // Globs take the place of expressions; `.*` at the end is `**`.
  const paths =
    expression === undefined
      ? path === undefined || path === '/'
        ? undefined
        : below(path)
      : [expression.replace(/\.\*$/, '**')];
  return {
    ...(paths === undefined ? {} : { paths }),
    ...(network === undefined ? {} : { networks: [toLoopback(network)] }),
    access: accessOf(who),
  };
}

function accessOf(who: string): Rule['access'] {
  if (who === 'anonymous') return 'public';
  if (who === 'any user') return 'authenticated';
  if (who === 'deny') return 'deny';
  const name = who.slice('group '.length);
  const number = /^g(\d+)$/.exec(name)?.[1];
  return group(number === undefined ? name : megaGroup(Number(number)));
}
