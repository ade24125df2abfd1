/**
 * What verifying a password in a directory costs: search, checks, bind and groups from the cache through the
 * directory engine over 8 connections, against a loop in C over libldap doing the same search and bind.
 * CPU of the client processes only, the same slapd, interleaved rounds.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startSlapd } from '#test/servers/slapd.ts';
import { groupsBase, peopleBase, service } from '#test/servers/slapd-data.ts';
import { median, printConditions, range, report } from './harness/report.ts';
import { compile, startToldProcess } from './harness/told-process.ts';

/** Few enough that each signs in again while the groups read last time are fresh: that is what is measured. */
const people = 100;
const connections = 8;
/** Twice the connections: while one half waits for the answer to a bind, the other half searches. */
const callers = 16;
/** Until the compiler has seen enough, which takes a number of sign-ins and not a time. */
const warmUpLogins = 40_000;
const maxWarmUpSeconds = 20;
const rounds = 6;
const roundSeconds = 2;
const ratioLimit = 1.6;
const attributes = [
  'uid',
  'mail',
  'givenName',
  'sn',
  'displayName',
  'entryUUID',
  'pwdAccountLockedTime',
  'pwdReset',
  'pwdStartTime',
  'pwdEndTime',
];

interface Round {
  readonly logins: number;
  readonly cpuUs: number;
}

export async function run(): Promise<boolean> {
  const folder = await mkdtemp(join(tmpdir(), 'vratar-bench-'));
  try {
    const yardstick = compile('ldap_login.c', folder, ['ldap', 'lber', 'pthread']);
    await using server = await startSlapd({ bulk: { people, teams: 50 }, statsLog: false });
    const common = [String(people), service.dn, service.password, peopleBase];
    using c = startToldProcess<Round>(yardstick, [server.url, String(connections), ...common, ...attributes]);
    const client = fileURLToPath(new URL('harness/ldap-login.ts', import.meta.url));
    using vratar = startToldProcess<Round>(process.execPath, [
      client,
      server.url,
      String(callers),
      ...common,
      groupsBase,
    ]);
    await c.tell('1');
    let warm = 0;
    for (let second = 0; second < maxWarmUpSeconds && warm < warmUpLogins; second++) {
      warm += (await vratar.tell('1')).logins;
    }
    const ratios: number[] = [];
    const figures: { c: Round; vratar: Round }[] = [];
    for (let round = 0; round < rounds; round++) {
      const isReversed = round % 2 === 1;
      const first = await (isReversed ? vratar : c).tell(String(roundSeconds));
      const second = await (isReversed ? c : vratar).tell(String(roundSeconds));
      const figure = isReversed ? { c: second, vratar: first } : { c: first, vratar: second };
      figures.push(figure);
      ratios.push(figure.vratar.cpuUs / figure.c.cpuUs);
    }
    const cost = (pick: (figure: { c: Round; vratar: Round }) => number) => median(figures.map(pick));
    return report({
      name: `LDAP sign-in over ${connections} connections, CPU against libldap`,
      value: median(ratios),
      limit: ratioLimit,
      unit: '×',
      detail:
        `rounds ${range(ratios)}; CPU per sign-in ${cost((f) => f.vratar.cpuUs).toFixed(1)} µs, libldap ` +
        `${cost((f) => f.c.cpuUs).toFixed(1)} µs; per second ` +
        `${Math.round(cost((f) => f.vratar.logins) / roundSeconds)}, libldap ` +
        `${Math.round(cost((f) => f.c.logins) / roundSeconds)}`,
    });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}
