/**
 * The self-check behind `vratar check --connect`: talks to every server of a directory once and says, in one sentence
 * each, what is wrong and what to do about it. Uses no pools and changes nothing.
 */
import { TLSSocket } from 'node:tls';
import { GatewayError } from '../errors.ts';
import { LdapConnection, type SearchRequest } from './connection.ts';
import { dial } from './dial.ts';
import { type Endpoint, toEndpoints } from './endpoint.ts';
import { type LdapEntry, readBytes, readValue, readValues } from './entry.ts';
import { errorCode, LdapFailure, resultCode } from './failures.ts';
import { isPresent } from './filter.ts';
import { type PeopleSettings, resolveSettings } from './kinds.ts';
import type { DirectoryOptions } from './options.ts';
import { hasStableId } from './stable-id.ts';
import { defaultTimings } from './timings.ts';

export interface DirectoryFinding {
  /** `problem`: sign-ins will fail; `warning`: they may, or will some day. */
  readonly level: 'problem' | 'warning';
  /** URL of the server, where the finding is about one. */
  readonly server: string | undefined;
  /** One sentence: what is wrong and what to do. */
  readonly message: string;
}

const expiryWarningDays = 30;
const passwordPolicyControl = '1.3.6.1.4.1.42.2.27.8.5.1';
const anything = isPresent('objectClass');

/** Empty: everything works. Problems are findings, never thrown; ends with `signal`. */
export async function checkDirectory(
  options: DirectoryOptions,
  signal: AbortSignal,
): Promise<readonly DirectoryFinding[]> {
  let endpoints: readonly Endpoint[];
  try {
    endpoints = toEndpoints(options);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    return [{ level: 'problem', server: undefined, message: `${error.message}; correct tls.caFile.` }];
  }
  const settings = resolveSettings(options);
  const findings = await Promise.all(
    endpoints.map(async (endpoint) => await checkServer(endpoint, options, settings, signal)),
  );
  return findings.flat();
}

async function checkServer(
  endpoint: Endpoint,
  options: DirectoryOptions,
  settings: PeopleSettings,
  signal: AbortSignal,
): Promise<DirectoryFinding[]> {
  const findings: DirectoryFinding[] = [];
  const add = (level: DirectoryFinding['level'], message: string): void => {
    findings.push({ level, server: endpoint.url, message });
  };
  let connection: LdapConnection | undefined;
  const end = (): void => connection?.destroy('the check was ended');
  signal.addEventListener('abort', end);
  try {
    const socket = await dial(endpoint, { timeoutMs: defaultTimings.connectMs, signal });
    if (socket instanceof TLSSocket) checkExpiry(socket, add);
    connection = new LdapConnection(socket, {
      connectTimeoutMs: defaultTimings.connectMs,
      operationTimeoutMs: options.timeout,
      slowAfterMs: options.timeout,
      maxBurstBytes: defaultTimings.maxBurstBytes,
      onSlow: () => undefined,
      onClose: () => undefined,
    });
    if (options.bind !== undefined) await connection.bindService(options.bind.dn, options.bind.password);
    await checkContent(connection, settings, add);
  } catch (error) {
    if (!(error instanceof LdapFailure)) throw error;
    add('problem', explainFailure(error, endpoint, options));
  } finally {
    signal.removeEventListener('abort', end);
    await connection?.close();
  }
  return findings;
}

type Add = (level: DirectoryFinding['level'], message: string) => void;

function checkExpiry(socket: TLSSocket, add: Add): void {
  const { valid_to: validTo } = socket.getPeerCertificate();
  const daysLeft = Math.floor((Date.parse(validTo) - Date.now()) / 86_400_000);
  if (daysLeft < expiryWarningDays) {
    add('warning', `The server's certificate expires in ${daysLeft} days; have it renewed.`);
  }
}

async function checkContent(connection: LdapConnection, settings: PeopleSettings, add: Add): Promise<void> {
  const root = await connection.search(request('', 'base', anything, ['supportedControl']));
  const controls = readValues(root[0] ?? { dn: '' }, 'supportedControl');
  if (settings.hasPolicyControl && !controls.includes(passwordPolicyControl)) {
    add(
      'warning',
      'The server does not announce the password policy control, so passwords that must be changed are taken as right; ' +
        'enable its password policy if accounts shall expire.',
    );
  }
  if (!(await exists(connection, settings.baseDn))) {
    add(
      'problem',
      `users.baseDn ${settings.baseDn} does not exist or is not readable; correct it or grant read access.`,
    );
    return;
  }
  const somebody = settings.filter.forAnyName.encode({});
  const [person] = await connection.search({
    ...request(settings.baseDn, 'sub', somebody, settings.requestedAttributes),
    sizeLimit: 1,
  });
  if (person === undefined) {
    add(
      'problem',
      'users.filter matches nobody; correct it, or let the service account read the attributes it compares.',
    );
  } else {
    checkPerson(person, settings, add);
  }
  await checkGroups(connection, person, settings, add);
}

function checkPerson(person: LdapEntry, settings: PeopleSettings, add: Add): void {
  const { username } = settings.attributes;
  if (readValue(person, username) === undefined) {
    add(
      'problem',
      `${person.dn} has no readable ${username}; correct users.attributes.username or grant read access.`,
    );
  }
  const { everyAccountHas } = settings.status;
  if (everyAccountHas !== undefined && readValue(person, everyAccountHas) === undefined) {
    add(
      'problem',
      `${person.dn} has no readable ${everyAccountHas}, so people disabled later keep their sessions; grant read access.`,
    );
  }
  if (!hasStableId(person, settings.idAttributes)) {
    add(
      'warning',
      `${person.dn} has no readable ${settings.idAttributes.join(' or ')}, so a renamed person counts as another one; grant read access.`,
    );
  }
}

async function checkGroups(
  connection: LdapConnection,
  person: LdapEntry | undefined,
  settings: PeopleSettings,
  add: Add,
): Promise<void> {
  const { groups } = settings;
  if (groups === undefined) return;
  const { baseDn } = groups;
  if (baseDn !== undefined && !(await exists(connection, baseDn))) {
    add(
      'problem',
      `groups.baseDn ${baseDn} does not exist or is not readable; correct it or grant read access.`,
    );
    return;
  }
  if (groups.method === 'tokenGroups') {
    if (person !== undefined) await checkTokenGroups(connection, person.dn, add);
    return;
  }
  if (groups.method === 'userAttribute') {
    if (person !== undefined && readValues(person, groups.userAttribute).length === 0) {
      add(
        'warning',
        `${person.dn} has no ${groups.userAttribute}; if nobody has, enable the server's memberOf overlay or use method search.`,
      );
    }
    return;
  }
  const named = isPresent(groups.nameAttribute);
  const [group] = await connection.search({
    ...request(baseDn ?? '', 'sub', named, [groups.nameAttribute]),
    sizeLimit: 1,
  });
  if (group === undefined) {
    add(
      'warning',
      `Nothing below groups.baseDn has a ${groups.nameAttribute}; correct groups.nameAttribute.`,
    );
  }
}

async function checkTokenGroups(connection: LdapConnection, dn: string, add: Add): Promise<void> {
  const [person] = await connection.search(request(dn, 'base', anything, ['tokenGroups']));
  // Everybody is in a primary group at least.
  if (person === undefined || readBytes(person, 'tokenGroups').length === 0) {
    add(
      'problem',
      `${dn} has no readable tokenGroups; add the service account to "Windows Authorization Access Group", or use method userAttribute.`,
    );
  }
}

function request(
  baseDn: string,
  scope: SearchRequest['scope'],
  filter: SearchRequest['filter'],
  attributes: readonly string[],
): SearchRequest {
  return { baseDn, scope, filter, attributes, sizeLimit: 1 };
}

async function exists(connection: LdapConnection, dn: string): Promise<boolean> {
  try {
    return (await connection.search(request(dn, 'base', anything, ['1.1']))).length === 1;
  } catch (error) {
    // A DN that is none, or nothing there.
    if (error instanceof LdapFailure && error.resultCode !== undefined && error.kind === 'config')
      return false;
    throw error;
  }
}

/** Advice by error code; whatever is not listed is told as it is. */
const advice: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: "The server's certificate has expired; have it renewed.",
  ECONNREFUSED: 'Nothing listens there; check host and port, and that the server runs.',
  ECONNRESET: 'The server closed the connection at once; ldap:// and ldaps:// use different ports.',
  ENOTFOUND: 'The host name is unknown; correct it in servers.',
  EAI_AGAIN: 'The host name could not be resolved; check the DNS of this machine.',
  ERR_TLS_CERT_ALTNAME_INVALID:
    "The server's certificate is for another name; use that name in servers, or set tls.serverName.",
};

function explainFailure(failure: LdapFailure, endpoint: Endpoint, options: DirectoryOptions): string {
  const code = errorCode(failure.cause);
  const known = code === undefined ? undefined : advice[code];
  if (known !== undefined) return known;
  if (failure.kind === 'config' && code !== undefined && failure.resultCode === undefined) {
    return `The server's certificate is not trusted (${code}); set tls.caFile to the authority that issued it.`;
  }
  if (failure.stage === 'connect' && failure.resultCode === resultCode.invalidCredentials) {
    return `The service account ${options.bind?.dn ?? ''} or its password is refused; correct bind.`;
  }
  if (failure.kind === 'protocol' && endpoint.transport === 'plain') {
    return 'The server does not speak LDAP there; a TLS port needs ldaps://.';
  }
  return `Failed: ${failure.message}${failure.resultCode === 13 ? '; use ldaps:// or startTls' : ''}.`;
}
