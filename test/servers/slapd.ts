/**
 * A real OpenLDAP server on free loopback ports in a temporary folder, filled from slapd-data.ts.
 * Runs as root and as an ordinary user, in the foreground, so that it can be killed, stopped and restarted.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePorts } from '#test/support/free-port.ts';
import { type Authority, type Certificate, createAuthority } from './certificates.ts';
import { type Daemon, runTool, startDaemon, startSomewhere } from './daemon.ts';
import {
  administrator,
  type Bulk,
  bulkEntries,
  defaultGroups,
  defaultPeople,
  type GroupEntry,
  groupsBase,
  type PersonEntry,
  peopleBase,
  policiesBase,
  service,
  suffix,
  toLdif,
} from './slapd-data.ts';

export interface SlapdOptions {
  /** Added to the default people and groups. */
  readonly people?: readonly PersonEntry[];
  readonly groups?: readonly GroupEntry[];
  /** Leaves the default people and groups out. */
  readonly onlyThese?: boolean;
  readonly bulk?: Bulk;
  /** ldaps and StartTLS: `true` makes an authority and a certificate for 127.0.0.1 and localhost. */
  readonly tls?: boolean | { readonly authority: Authority; readonly certificate?: Certificate };
  /** Seconds after which the server closes idle connections; 0 = never. */
  readonly idleTimeoutSeconds?: number;
  /** Off: no `operations()`, for benchmarks. */
  readonly statsLog?: boolean;
  /** `access` lines that win over those of this file. */
  readonly access?: readonly string[];
  /** Lines put before the database section, e.g. `security simple_bind=128`. */
  readonly globalLines?: readonly string[];
}

/** One operation as the server logged it. */
export interface ServerOperation {
  readonly connection: number;
  readonly kind: 'search' | 'bind' | 'unbind' | 'startTls';
  /** Base of a search, name of a bind. */
  readonly dn: string;
  readonly scope: 'base' | 'one' | 'sub' | '';
  readonly filter: string;
}

export interface Slapd extends AsyncDisposable {
  /** `ldap://127.0.0.1:PORT` */
  readonly url: string;
  /** `ldaps://127.0.0.1:PORT`; throws without `tls`. */
  readonly secureUrl: string;
  readonly port: number;
  readonly securePort: number;
  /** Certificate of the authority; throws without `tls`. */
  readonly caFile: string;
  /** SIGKILL; resolves when the process is gone. */
  kill(): Promise<void>;
  /** SIGTERM; resolves when the process is gone. */
  terminate(): Promise<void>;
  /** SIGSTOP: accepts connections (the kernel does) and answers nothing. */
  stop(): void;
  /** SIGCONT */
  cont(): void;
  /** Starts it again on the same ports with the same data, after `kill` or `terminate`. */
  restart(): Promise<void>;
  /** Applies LDIF change records as the administrator. */
  modify(ldif: string): Promise<void>;
  /** Searches and binds received since start or `clearOperations`, without this helper's own and without probes. */
  operations(): Promise<readonly ServerOperation[]>;
  clearOperations(): Promise<void>;
  /** Connections the server holds open now. */
  openConnections(): Promise<number>;
}

/** Whether the server is installed; tests that need it fail with this sentence otherwise. */
const slapdPath = ['/usr/sbin/slapd', '/usr/lib/openldap/slapd', '/usr/libexec/slapd'].find((path) =>
  existsSync(path),
);

/** The directory `corp` of a configuration, on servers of this file. */
export function directoryConfig(
  servers: readonly string[],
  more: Readonly<Record<string, unknown>> = {},
): Record<string, unknown> {
  return {
    name: 'corp',
    kind: 'openLdap',
    servers,
    bind: service,
    users: { baseDn: peopleBase },
    groups: { baseDn: groupsBase },
    ...more,
  };
}

export async function startSlapd(options: SlapdOptions = {}): Promise<Slapd> {
  if (slapdPath === undefined) throw new Error('slapd is missing: apt-get install slapd ldap-utils');
  const folder = await mkdtemp(join(tmpdir(), 'vratar-slapd-'));
  const ownAuthority = options.tls === true ? await createAuthority() : undefined;
  const authority = ownAuthority ?? (typeof options.tls === 'object' ? options.tls.authority : undefined);
  const certificate =
    (typeof options.tls === 'object' ? options.tls.certificate : undefined) ??
    (await authority?.issue({ hosts: ['127.0.0.1', 'localhost'] }));
  const bulk = options.bulk === undefined ? { people: [], groups: [] } : bulkEntries(options.bulk);
  const configFile = join(folder, 'slapd.conf');
  const logFile = join(folder, 'log');

  await mkdir(join(folder, 'db'));
  await writeFile(configFile, configuration(folder, options, authority, certificate));
  await writeFile(
    join(folder, 'data.ldif'),
    toLdif(
      [...(options.onlyThese === true ? [] : defaultPeople), ...(options.people ?? []), ...bulk.people],
      [...(options.onlyThese === true ? [] : defaultGroups), ...(options.groups ?? []), ...bulk.groups],
    ),
  );
  await runTool(slapdPath, ['-T', 'add', '-q', '-f', configFile, '-l', join(folder, 'data.ldif')]);

  let server: Daemon | undefined;
  let port = 0;
  let securePort = 0;
  const launch = async (): Promise<void> => {
    const urls = `ldap://127.0.0.1:${port}${certificate === undefined ? '' : ` ldaps://127.0.0.1:${securePort}`}`;
    const level = options.statsLog === false ? '0' : 'stats';
    server = await startDaemon({
      command: slapdPath,
      args: ['-d', level, '-f', configFile, '-h', urls],
      logFile,
      host: '127.0.0.1',
      port,
    });
  };
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    const ended = server;
    server = undefined;
    ended?.signal('SIGCONT');
    await ended?.end(signal);
  };
  await startSomewhere(async () => {
    [port = 0, securePort = 0] = await freePorts(2);
    await launch();
  });

  return {
    url: `ldap://127.0.0.1:${port}`,
    port,
    get secureUrl() {
      if (certificate === undefined) throw new Error('startSlapd was called without tls');
      return `ldaps://127.0.0.1:${securePort}`;
    },
    securePort,
    get caFile() {
      if (authority === undefined) throw new Error('startSlapd was called without tls');
      return authority.caFile;
    },
    kill: async () => await end('SIGKILL'),
    terminate: async () => await end('SIGTERM'),
    stop: () => {
      if (server === undefined) return;
      server.signal('SIGSTOP');
      waitUntilStopped(server.pid);
    },
    cont: () => server?.signal('SIGCONT'),
    restart: async () => {
      await end('SIGKILL');
      await launch();
    },
    modify: async (ldif) => {
      const args = [
        '-x',
        '-H',
        `ldap://127.0.0.1:${port}`,
        '-D',
        administrator.dn,
        '-w',
        administrator.password,
      ];
      await runTool('ldapmodify', args, { input: ldif });
    },
    operations: async () => parseLog(await readFile(logFile, 'utf8')),
    clearOperations: async () => await truncate(logFile, 0),
    openConnections: async () => countConnections(await readFile(logFile, 'utf8')),
    async [Symbol.asyncDispose]() {
      await end('SIGKILL');
      await rm(folder, { recursive: true, force: true });
      await ownAuthority?.[Symbol.asyncDispose]();
    },
  };
}

function configuration(
  folder: string,
  options: SlapdOptions,
  authority: Authority | undefined,
  certificate: Certificate | undefined,
): string {
  const schemas = ['/etc/ldap/schema', '/etc/openldap/schema'].find((path) =>
    existsSync(`${path}/core.schema`),
  );
  const lines = [
    ...['core', 'cosine', 'nis', 'inetorgperson'].map((name) => `include ${schemas}/${name}.schema`),
    ...['back_mdb', 'memberof', 'refint', 'ppolicy'].map((name) => `moduleload ${name}`),
    `pidfile ${folder}/pid`,
    `idletimeout ${options.idleTimeoutSeconds ?? 0}`,
    'threads 4',
  ];
  if (authority !== undefined && certificate !== undefined) {
    lines.push(
      `TLSCACertificateFile ${authority.caFile}`,
      `TLSCertificateFile ${certificate.certificateFile}`,
      `TLSCertificateKeyFile ${certificate.keyFile}`,
    );
  }
  lines.push(
    ...(options.globalLines ?? []),
    'access to dn.base="" by * read',
    'database mdb',
    `suffix ${suffix}`,
    `rootdn ${administrator.dn}`,
    `rootpw ${administrator.password}`,
    `directory ${folder}/db`,
    'maxsize 1073741824',
    'dbnosync',
    'index objectClass,uid,mail,member,memberOf,entryUUID eq',
    ...(options.access ?? []),
    'access to attrs=userPassword by self write by anonymous auth by * none',
    // Anonymous sees nobody: a connection that lost its service bind must not pass for one that has it.
    `access to * by dn.exact="${service.dn}" read by users read by * auth`,
    'overlay memberof',
    'overlay refint',
    'refint_attributes member memberOf',
    'overlay ppolicy',
    `ppolicy_default cn=default,${policiesBase}`,
    'ppolicy_use_lockout',
  );
  return `${lines.join('\n')}\n`;
}

const scopes: Readonly<Record<string, ServerOperation['scope']>> = { '0': 'base', '1': 'one', '2': 'sub' };

function parseLog(log: string): ServerOperation[] {
  const found: ServerOperation[] = [];
  for (const line of log.split('\n')) {
    const start = /conn=(\d+) op=\d+ (BIND|SRCH|UNBIND|STARTTLS)(.*)$/.exec(line);
    if (start === null) continue;
    const [, connection, word, rest = ''] = start;
    const make = (
      kind: ServerOperation['kind'],
      dn = '',
      scope: ServerOperation['scope'] = '',
      filter = '',
    ) => {
      found.push({ connection: Number(connection), kind, dn, scope, filter });
    };
    if (word === 'UNBIND') make('unbind');
    if (word === 'STARTTLS') make('startTls');
    // The second BIND line of a success has mech= instead of method=.
    const bind = word === 'BIND' ? / dn="(.*)" method=/.exec(rest) : null;
    if (bind !== null && bind[1] !== administrator.dn) make('bind', bind[1]);
    const search = word === 'SRCH' ? / base="(.*)" scope=(\d) deref=\d filter="(.*)"$/.exec(rest) : null;
    if (search !== null && search[1] !== '')
      make('search', search[1], scopes[search[2] ?? ''] ?? '', search[3]);
  }
  return found;
}

/**
 * Two threads write about one connection: its end may be there before its beginning. Numbers begin anew with the
 * server.
 */
function countConnections(log: string): number {
  const sinceStart = log.slice(Math.max(0, log.lastIndexOf('slapd starting')));
  const numbers = (event: string): Set<string> =>
    new Set(
      [...sinceStart.matchAll(new RegExp(`conn=(\\d+) fd=\\d+ ${event}`, 'g'))].map(
        ([, number = '']) => number,
      ),
    );
  const closed = numbers('closed');
  return [...numbers('ACCEPT')].filter((number) => !closed.has(number)).length;
}

/** The signal takes effect thread by thread: one that runs may answer a question still. */
function waitUntilStopped(pid: number): void {
  const endAt = performance.now() + 5_000;
  const isStopped = (thread: string): boolean => {
    const text = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'latin1');
    return text.slice(text.lastIndexOf(')') + 2).startsWith('T');
  };
  while (!readdirSync(`/proc/${pid}/task`).every(isStopped)) {
    if (performance.now() > endAt) throw new Error('slapd did not stop');
  }
}
