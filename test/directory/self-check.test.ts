import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import type { DirectoryHealth } from '#src/directory/directory.ts';
import { DirectorySelfCheck, type SelfCheckTimings } from '#src/directory/self-check.ts';
import { systemClock } from '#src/lib/clock.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { groupDn, groupsBase, personDn, service, suffix } from '#test/servers/slapd-data.ts';
import { collectLog, type LogLines } from '#test/support/log-lines.ts';
import { until as untilSoon } from '#test/support/until.ts';
import { parseOptions } from './directories.ts';

const until: typeof untilSoon = async (condition, options) =>
  await untilSoon(condition, { timeoutMs: 30_000, ...options });

const slapd = await startSlapd();
after(async () => await slapd[Symbol.asyncDispose]());

const quick: Partial<SelfCheckTimings> = {
  settleEveryMs: 5,
  problemsMs: [20],
  warningsMs: 20,
  nothingMs: 20,
};

function start(servers: () => DirectoryHealth['servers'], timings = quick): [DirectorySelfCheck, LogLines] {
  const log = collectLog();
  const check = new DirectorySelfCheck({
    health: async () => await Promise.resolve([{ name: 'corp', servers: servers() }]),
    logger: log.logger,
    clock: systemClock,
    timings,
  });
  return [check, log];
}

const available = (): DirectoryHealth['servers'] => [{ url: slapd.url, available: true }];
const baseSearches = async (dn: string): Promise<number> =>
  (await slapd.operations()).filter((operation) => operation.dn === dn).length;

test('a finding is told once, stays on the readiness page as long as it holds, and its end is told', async () => {
  const late = `ou=late,${suffix}`;
  const [check, log] = start(available);
  await using _ = check;
  check.restart([parseOptions([slapd.url], { groups: { baseDn: late } })]);
  await until(() => log.of('directory.finding').length > 0);
  await until(async () => (await baseSearches(late)) >= 3, { what: 'three rounds' });

  const [line, ...more] = log.of('directory.finding');
  assert.equal(more.length, 0);
  assert.deepEqual(
    { ...line, time: 0 },
    {
      time: 0,
      level: 'warn',
      event: 'directory.finding',
      directory: 'corp',
      server: slapd.url,
      finding: 'groups-base-missing',
      severity: 'problem',
      message: `groups.baseDn ${late} does not exist or is not readable; correct it or grant read access.`,
    },
  );
  assert.deepEqual([...check.problems], [['corp', ['groups.baseDn is not there or not readable']]]);

  await slapd.modify(
    `dn: ${late}\nchangetype: add\nobjectClass: organizationalUnit\nou: late\n\n` +
      `dn: cn=first,${late}\nchangetype: add\nobjectClass: groupOfNames\ncn: first\nmember: ${personDn('bob')}\n`,
  );
  const resolved = await until(() => log.of('directory.finding-resolved')[0]);
  assert.equal(resolved['finding'], 'groups-base-missing');
  assert.equal(check.problems.size, 0);
});

test('a service account that the workers were refused with is not tried once more', async () => {
  await slapd.clearOperations();
  const [check, log] = start(() => [{ url: slapd.url, available: false, reason: 'refused', refusal: 49 }]);
  await using _ = check;
  check.restart([parseOptions([slapd.url])]);
  const line = await until(() => log.of('directory.finding')[0]);
  assert.equal(line['finding'], 'service-account-refused');
  // The farewell of an earlier connection may be logged late; it asks nothing.
  assert.deepEqual(
    (await slapd.operations()).filter(({ kind }) => kind !== 'unbind'),
    [],
  );
});

test('it waits until the workers know whether the account is refused', async () => {
  await slapd.clearOperations();
  let servers: DirectoryHealth['servers'] = [
    { url: slapd.url, available: false, reason: 'not reached yet', isPending: true },
  ];
  let looks = 0;
  const [check] = start(() => {
    looks++;
    return servers;
  });
  await using _ = check;
  check.restart([parseOptions([slapd.url])]);
  await until(() => looks > 3);
  // The farewell of an earlier connection may be logged late; it asks nothing.
  assert.deepEqual(
    (await slapd.operations()).filter(({ kind }) => kind !== 'unbind'),
    [],
  );
  servers = available();
  await until(async () => (await baseSearches(service.dn)) > 0);
});

test('what is a warning only leaves the readiness page alone', async () => {
  const [check, log] = start(available);
  await using _ = check;
  check.restart([parseOptions([slapd.url], { groups: { baseDn: groupDn('staff'), nameAttribute: 'sn' } })]);
  const line = await until(() => log.of('directory.finding')[0]);
  assert.equal(line['finding'], 'group-name-unreadable');
  assert.equal(check.problems.size, 0);
});

test('a directory that is no longer configured is forgotten, and a new one is checked', async () => {
  const [check, log] = start(available, { ...quick, problemsMs: [60_000] });
  await using _ = check;
  check.restart([parseOptions([slapd.url], { users: { baseDn: 'ou=x' } })]);
  await until(() => check.problems.size > 0);
  check.restart([]);
  assert.equal(check.problems.size, 0);
  check.restart([parseOptions([slapd.url], { groups: { baseDn: `ou=y,${groupsBase}` } })]);
  await until(() => log.of('directory.finding').some(({ finding }) => finding === 'groups-base-missing'));
});
