/**
 * Asks every server of a directory once whether it works as configured, for `vratar check --connect` and for the running
 * gateway: what is wrong, in one sentence each, and what to do about it. Uses no pools and changes nothing.
 */
import { TLSSocket } from 'node:tls';
import { GatewayError } from '../errors.ts';
import { type Clock, systemClock } from '../lib/clock.ts';
import { checkGroups } from './check-groups.ts';
import { baseSearch, checkPeople } from './check-people.ts';
import { checkExpiry, count, explainFailure, refusalOfService, serviceRefused } from './check-transport.ts';
import { LdapConnection } from './connection.ts';
import { dial } from './dial.ts';
import { type Endpoint, toEndpoints } from './endpoint.ts';
import { readValue, readValues } from './entry.ts';
import { LdapFailure } from './failures.ts';
import type { DirectoryFinding, Report } from './finding.ts';
import type { DirectoryKindName } from './group-method.ts';
import { type PeopleSettings, resolveSettings } from './kinds.ts';
import type { DirectoryOptions } from './options.ts';
import { parseGeneralizedTime } from './times.ts';
import { defaultTimings } from './timings.ts';

export interface CheckOptions {
  readonly signal: AbortSignal;
  readonly clock?: Clock;
  /**
   * Whether the service account may be tried on the server; default: yes. Where it was refused just now, once more would
   * bring it closer to being locked.
   */
  readonly mayBind?: (url: string) => boolean;
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
    endpoints = toEndpoints(options);
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const message = `${error.message}; correct tls.caFile.`;
    return [
      { code: 'certificate-refused', level: 'problem', server: undefined, path: ['tls', 'caFile'], message },
    ];
  }
  const settings = resolveSettings(options);
  const findings = await Promise.all(
    endpoints.map(async (endpoint) => await checkServer(endpoint, options, settings, check)),
  );
  return findings.flat();
}

async function checkServer(
  endpoint: Endpoint,
  options: DirectoryOptions,
  settings: PeopleSettings,
  { signal, clock = systemClock, mayBind = () => true }: CheckOptions,
): Promise<DirectoryFinding[]> {
  const findings: DirectoryFinding[] = [];
  const report: Report = (finding) => findings.push({ ...finding, server: endpoint.url });
  let connection: LdapConnection | undefined;
  const end = (): void => connection?.destroy('the check was ended');
  signal.addEventListener('abort', end);
  try {
    const socket = await dial(endpoint, { timeoutMs: defaultTimings.connectMs, signal });
    if (socket instanceof TLSSocket) checkExpiry(socket, clock.now(), report);
    connection = new LdapConnection(socket, {
      connectTimeoutMs: defaultTimings.connectMs,
      operationTimeoutMs: options.timeout,
      slowAfterMs: options.timeout,
      maxBurstBytes: defaultTimings.maxBurstBytes,
      onSlow: () => undefined,
      onClose: () => undefined,
    });
    if (options.bind !== undefined && !mayBind(endpoint.url)) {
      report(serviceRefused('wrong-password', options.bind.dn));
      return findings;
    }
    const refusal = await refusalOfService(connection, options, settings);
    if (refusal === undefined) await checkContent(connection, options.kind, settings, { clock, report });
    else report(serviceRefused(refusal, options.bind?.dn ?? ''));
  } catch (error) {
    if (!(error instanceof LdapFailure)) throw error;
    report(explainFailure(error, endpoint));
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
  { clock, report }: { readonly clock: Clock; readonly report: Report },
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
  const person = await checkPeople(connection, settings, { report, hasPolicy });
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
