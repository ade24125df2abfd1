/**
 * What an operator wants to know before people try: whether the keytab fits the hosts, its keys and mode, whether the
 * record of tickets can be written, and whether the library works here. Asks no KDC.
 */
import { execFileSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { isIP } from 'node:net';
import { dirname } from 'node:path';
import { loadLibrary } from './acceptor.ts';
import { type KeytabEntry, readKeytab } from './keytab.ts';
import type { KerberosProviderOptions } from './options.ts';

export interface TicketFinding {
  readonly level: 'problem' | 'warning' | 'note';
  /** Below the provider. */
  readonly path: readonly (string | number)[];
  readonly message: string;
}

export interface TicketSurroundings {
  /** Host names of the portal and the applications, without port; a wildcard as it is written. */
  readonly hosts: readonly string[];
  readonly stateDirectory: string;
  /** The program whose capabilities matter. Default: the running Node. */
  readonly program?: string;
}

/** RFC 3961 section 8 and RFC 8009; what is not here is called by its number. */
const encryptionNames: Readonly<Record<number, string>> = {
  1: 'des-cbc-crc',
  3: 'des-cbc-md5',
  16: 'des3-cbc-sha1',
  17: 'aes128',
  18: 'aes256',
  19: 'aes128-sha2',
  20: 'aes256-sha2',
  23: 'rc4',
  25: 'camellia128',
  26: 'camellia256',
};
/** Broken, deprecated (RFC 8429) or switched off in new versions of KDCs and libraries. */
const isWeak = (encryptionType: number): boolean => [1, 2, 3, 16, 23, 24].includes(encryptionType);

/** What the system says is a finding, never thrown. */
export async function checkTickets(
  options: KerberosProviderOptions,
  surroundings: TicketSurroundings,
): Promise<readonly TicketFinding[]> {
  return [
    ...(await checkLibrary()),
    ...checkCapabilities(surroundings.program ?? process.execPath),
    ...checkKeytabFile(options, surroundings.hosts),
    ...checkReplayFile(options, surroundings.stateDirectory),
  ];
}

async function checkLibrary(): Promise<readonly TicketFinding[]> {
  const fault = await loadLibrary();
  return fault === undefined ? [] : [{ level: 'problem', path: ['type'], message: fault.detail }];
}

/** With capabilities on the file, libkrb5 ignores the environment (secure_getenv) and looks for the system's keytab. */
function checkCapabilities(program: string): readonly TicketFinding[] {
  if (!isSecureExecution(readAuxiliaryVector()) && fileCapabilities(program) === '') return [];
  const message =
    `${program} has capabilities of its own, and libkrb5 then ignores the keytab of this provider; ` +
    `run setcap -r ${program} and give the service AmbientCapabilities or a port above 1023`;
  return [{ level: 'problem', path: ['keytab'], message }];
}

/** AT_SECURE of the kernel's auxiliary vector (getauxval(3)): pairs of machine words, type 23. */
export function isSecureExecution(vector: Buffer): boolean {
  for (let at = 0; at + 16 <= vector.length; at += 16) {
    if (vector.readBigUInt64LE(at) === 23n) return vector.readBigUInt64LE(at + 8) !== 0n;
  }
  return false;
}

function readAuxiliaryVector(): Buffer {
  const file = '/proc/self/auxv';
  return existsSync(file) ? readFileSync(file) : Buffer.alloc(0);
}

/** Empty also where nothing can tell: the vector of the running process says it then. */
function fileCapabilities(program: string): string {
  const tool = ['/usr/sbin/getcap', '/sbin/getcap'].find((path) => existsSync(path));
  return tool === undefined ? '' : execFileSync(tool, [program], { encoding: 'utf8', timeout: 5_000 }).trim();
}

function checkKeytabFile(
  { keytab, principals, challenge }: KerberosProviderOptions,
  hosts: readonly string[],
): readonly TicketFinding[] {
  const path = ['keytab'];
  let entries: readonly KeytabEntry[];
  try {
    entries = readKeytab(keytab);
  } catch (error) {
    return [{ level: 'problem', path, message: `${keytab}: ${(error as Error).message}` }];
  }
  const found: TicketFinding[] = [...checkMode(keytab, path)];
  for (const [principal, keys] of Map.groupBy(entries, (entry) => entry.principal)) {
    if (!keys.every(({ encryptionType }) => isWeak(encryptionType))) continue;
    const message = `${principal} has no AES key, only ${describeKeys(keys)}: KDCs and libraries refuse these more and more`;
    found.push({ level: 'warning', path, message });
  }
  principals?.forEach((wanted, index) => {
    const isHeld = entries.some(({ principal, service }) =>
      sameName(wanted, wanted.includes('@') ? principal : service),
    );
    if (isHeld) return;
    found.push({ level: 'problem', path: ['principals', index], message: `${keytab} has no key of it` });
  });
  return [...found, ...checkHosts(hostsAsked(hosts, challenge.hosts), entries, principals)];
}

function checkMode(file: string, path: TicketFinding['path']): readonly TicketFinding[] {
  const mode = statSync(file).mode & 0o777;
  // Reading for a group is how a keytab is shared with a service.
  if ((mode & 0o037) === 0) return [];
  const message = `${file} has mode ${mode.toString(8).padStart(4, '0')}: whoever reads it can sign in as anybody; make it 0600 or 0640`;
  return [{ level: 'warning', path, message }];
}

/** Of which a browser would ask for tickets. */
function hostsAsked(hosts: readonly string[], chosen: readonly string[] | undefined): readonly string[] {
  const isChosen = (host: string): boolean =>
    chosen === undefined ||
    chosen.some((pattern) => (pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern));
  return [...new Set(hosts)].filter(isChosen);
}

function checkHosts(
  hosts: readonly string[],
  entries: readonly KeytabEntry[],
  principals: readonly string[] | undefined,
): readonly TicketFinding[] {
  const path = ['keytab'];
  const findings = hosts.map((host): TicketFinding => {
    if (isIP(host.replace(/^\[|\]$/g, '')) !== 0) {
      return {
        level: 'warning',
        path,
        message: `browsers ask for no ticket for the address ${host}; use a name`,
      };
    }
    if (host.startsWith('*.')) {
      return { level: 'note', path, message: `${host}: each of these hosts needs a key of its own` };
    }
    const service = `HTTP/${host}`;
    const keys = entries.filter((entry) => sameName(entry.service, service));
    const [first] = keys;
    if (first === undefined) {
      return {
        level: 'warning',
        path,
        message: `browsers ask for ${service} on ${host}, and the keytab has no key of it`,
      };
    }
    const isAccepted =
      principals === undefined ||
      principals.some((wanted) => sameName(wanted, wanted.includes('@') ? first.principal : service));
    if (!isAccepted) {
      return {
        level: 'warning',
        path,
        message: `browsers ask for ${service} on ${host}, which is not in principals`,
      };
    }
    return {
      level: 'note',
      path,
      message: `browsers ask for ${first.principal} on ${host}: ${describeKeys(keys)}`,
    };
  });
  const isOpen = findings.some(({ level }) => level === 'note');
  if (isOpen || findings.length === 0) return findings;
  return [
    ...findings,
    { level: 'problem', path, message: 'the keytab has no key for any of the public hosts' },
  ];
}

/** `kvno 3 aes256 aes128, kvno 2 aes256` */
function describeKeys(keys: readonly KeytabEntry[]): string {
  const byVersion = [...Map.groupBy(keys, ({ keyVersion }) => keyVersion)].toSorted(([a], [b]) => b - a);
  return byVersion
    .map(([version, same]) => {
      const names = same.map(
        ({ encryptionType }) => encryptionNames[encryptionType] ?? `type ${encryptionType}`,
      );
      return `kvno ${version} ${[...new Set(names)].join(' ')}`;
    })
    .join(', ');
}

function checkReplayFile(
  { replay }: KerberosProviderOptions,
  stateDirectory: string,
): readonly TicketFinding[] {
  if (replay === 'off') {
    const message =
      'a ticket that was presented before is accepted again; only for several gateways behind one name';
    return [{ level: 'warning', path: ['replay'], message }];
  }
  // It is created at the start, within the nearest directory that is there.
  let existing = stateDirectory;
  while (!existsSync(existing) && dirname(existing) !== existing) existing = dirname(existing);
  try {
    if (!statSync(existing).isDirectory()) throw new Error(`${existing} is no directory`);
    accessSync(existing, constants.W_OK | constants.X_OK);
    return [];
  } catch (error) {
    const message = `the record of tickets cannot be kept in ${stateDirectory} (${(error as Error).message}): nobody could sign in by ticket`;
    return [{ level: 'problem', path: ['replay'], message }];
  }
}

function sameName(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}
