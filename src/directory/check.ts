/**
 * Asks every server of a directory once whether it works as configured, for `vratar check --connect` and for the running
 * gateway: what is wrong, in one sentence each, and what to do about it. Uses no pools and changes nothing.
 */
import { Resolver } from 'node:dns';
import { TLSSocket } from 'node:tls';
import { GatewayError } from '../errors.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { checkGroups } from './check-groups.ts';
import { baseSearch, checkPeople, type PeopleCheck } from './check-people.ts';
import {
  certificateUnknown,
  checkExpiry,
  count,
  explainFailure,
  refusalOfService,
  serviceRefused,
} from './check-transport.ts';
import { LdapConnection } from './connection.ts';
import { dial } from './dial.ts';
import { type Endpoint, toEndpoints } from './endpoint.ts';
import { type LdapEntry, readValue, readValues } from './entry.ts';
import { dialAsExternal } from './external-bind.ts';
import { LdapFailure } from './failures.ts';
import type { DirectoryFinding, Report } from './finding.ts';
import type { DirectoryKindName } from './group-method.ts';
import { type PeopleSettings, resolveSettings } from './kinds.ts';
import { bindsByCertificate, type DirectoryOptions, serviceAccountOf } from './options.ts';
import { resolveService, serviceNameOf, toServers } from './service-discovery.ts';
import { parseGeneralizedTime } from './times.ts';
import { defaultTimings } from './timings.ts';

export interface CheckOptions {
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /** Asked for the servers where DNS names them; omitted: the servers of the system. */
  readonly resolver?: Resolver;
  /**
   * Whether the service account may be tried on the server; default: yes. Where it was refused just now, once more would
   * bring it closer to being locked.
   */
  readonly mayBind?: (url: string) => boolean;
  /** Given the first few people that a server names. */
  readonly onPeople?: (url: string, people: readonly LdapEntry[]) => void;
}

const passwordPolicyControl = '1.3.6.1.4.1.42.2.27.8.5.1';
const clockToleranceMs = 60_000;

/** Where a server tells its time. */
const clocks: Readonly<Record<DirectoryKindName, { readonly dn: string; readonly attribute: string }>> = {
  activeDirectory: { dn: '', attribute: 'currentTime' },
  freeIpa: { dn: 'cn=monitor', attribute: 'currentTime' },
  openLdap: { dn: 'cn=Current,cn=Time,cn=Monitor', attribute: 'monitorTimestamp' },
};

/** Empty: everything works. Problems are findings, never thrown; ends with the signal. */
export async function checkDirectory(
  options: DirectoryOptions,
  check: CheckOptions,
): Promise<readonly DirectoryFinding[]> {
  let endpoints: readonly Endpoint[];
  try {
    const servers = await serversOf(options, check);
    if (typeof servers === 'string') {
      const message = `${servers}; correct servers, or the records in DNS.`;
      return [{ code: 'unreachable', level: 'problem', server: undefined, path: ['servers'], message }];
    }
    endpoints = toEndpoints({ ...options, servers });
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const option = String(error.fields['option']);
    const message = `${error.message}; correct tls.${option}.`;
    return [
      { code: 'certificate-refused', level: 'problem', server: undefined, path: ['tls', option], message },
    ];
  }
  const settings = resolveSettings(options);
  const findings = await Promise.all(
    endpoints.map(async (endpoint) => await checkServer(endpoint, options, settings, check)),
  );
  return findings.flat();
}

/** What is configured or what DNS names now; a sentence where DNS names none. */
async function serversOf(
  options: DirectoryOptions,
  { signal, resolver = new Resolver({ timeout: defaultTimings.connectMs, tries: 2 }) }: CheckOptions,
): Promise<readonly string[] | string> {
  const service = serviceNameOf(options);
  if (service === undefined) return options.servers;
  const cancel = (): void => resolver.cancel();
  signal.addEventListener('abort', cancel);
  const records = await resolveService(resolver, service.record);
  signal.removeEventListener('abort', cancel);
  if (typeof records === 'string') return records;
  const { urls, foreign } = toServers(records, service, {
    trustsAnyTarget: options.tls.serverName !== undefined,
  });
  if (urls.length > 0) return urls;
  return foreign.length === 0
    ? `${service.record} names no server`
    : `${service.record} names no server below ${service.domain}, but ${foreign.join(', ')}`;
}

async function checkServer(
  endpoint: Endpoint,
  options: DirectoryOptions,
  settings: PeopleSettings,
  { signal, clock = systemClock, mayBind = () => true, onPeople }: CheckOptions,
): Promise<DirectoryFinding[]> {
  const findings: DirectoryFinding[] = [];
  const report: Report = (finding) => findings.push({ ...finding, server: endpoint.url });
  let connection: LdapConnection | undefined;
  const end = (): void => connection?.destroy('the check was ended');
  signal.addEventListener('abort', end);
  try {
    const reach = bindsByCertificate(options) ? dialAsExternal : dial;
    const wire = await reach(endpoint, { timeoutMs: defaultTimings.connectMs, signal });
    if (wire.socket instanceof TLSSocket) checkExpiry(wire.socket, clock.now(), report);
    connection = new LdapConnection(wire, {
      operationTimeoutMs: options.timeout,
      slowAfterMs: options.timeout,
      maxBurstBytes: defaultTimings.maxBurstBytes,
      onSlow: () => undefined,
      onClose: () => undefined,
    });
    const account = serviceAccountOf(options);
    if (account !== undefined && !mayBind(endpoint.url)) {
      report(serviceRefused('wrong-password', account.dn));
      return findings;
    }
    const refusal = await refusalOfService(connection, account, settings);
    const show = onPeople === undefined ? undefined : onPeople.bind(undefined, endpoint.url);
    const content = { clock, report, onPeople: show };
    if (refusal === undefined) await checkContent(connection, options.kind, settings, content);
    else report(serviceRefused(refusal, account?.dn ?? ''));
  } catch (error) {
    if (!(error instanceof LdapFailure)) throw error;
    const isStranger = bindsByCertificate(options) && error.stage === 'connect' && error.isAnswered;
    report(isStranger ? certificateUnknown(error) : explainFailure(error, endpoint));
  } finally {
    signal.removeEventListener('abort', end);
    await connection?.close();
  }
  return findings;
}

async function checkContent(
  connection: LdapConnection,
  kind: DirectoryKindName,
  settings: PeopleSettings,
  { clock, report, onPeople }: Pick<PeopleCheck, 'report' | 'onPeople'> & { readonly clock: Clock },
): Promise<void> {
  await checkClock(connection, kind, clock, report);
  const [root] = await connection.search(baseSearch('', ['supportedControl']));
  const controls = root === undefined ? [] : readValues(root, 'supportedControl');
  const hasPolicy = !settings.hasPolicyControl || controls.includes(passwordPolicyControl);
  if (!hasPolicy) {
    report({
      code: 'policy-control-missing',
      level: 'warning',
      path: [],
      message:
        'The server does not announce the password policy control, so passwords that must be changed are taken as right; ' +
        'enable its password policy if accounts shall expire.',
    });
  }
  const person = await checkPeople(connection, settings, { report, hasPolicy, onPeople });
  await checkGroups(connection, person, settings, report);
}

/** Expiry is judged by our clock and locks by theirs; Kerberos tolerates five minutes. */
async function checkClock(
  connection: LdapConnection,
  kind: DirectoryKindName,
  clock: Clock,
  report: Report,
): Promise<void> {
  const { dn, attribute } = clocks[kind];
  const theirs = parseGeneralizedTime(await readOptional(connection, dn, attribute));
  if (theirs === undefined) return;
  const differenceMs = theirs - clock.now();
  if (Math.abs(differenceMs) < clockToleranceMs) return;
  const amount = count(Math.round(Math.abs(differenceMs) / 60_000), 'minute');
  report({
    code: 'clock-differs',
    level: 'warning',
    path: [],
    message: `The server's clock is ${amount} ${differenceMs < 0 ? 'behind' : 'ahead of'} this machine's; synchronise both (NTP).`,
  });
}

/** Few servers let us read it; that is no finding. */
async function readOptional(
  connection: LdapConnection,
  dn: string,
  attribute: string,
): Promise<string | undefined> {
  try {
    const [entry] = await connection.search(baseSearch(dn, [attribute]));
    return entry === undefined ? undefined : readValue(entry, attribute);
  } catch (error) {
    if (error instanceof LdapFailure && error.isAnswered) return undefined;
    throw error;
  }
}
