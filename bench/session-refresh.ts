/**
 * A thousand requests at once on one session whose refresh is due, caches cold, one worker: what reaches the
 * directory, counted in slapd's own log, and whether anybody waits for it.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { startGatewayProcess } from '#test/servers/gateway.ts';
import { directoryConfig, type ServerOperation, type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { groupsBase, peopleBase } from '#test/servers/slapd-data.ts';
import { type Answer, askAsNginx, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';
import { printConditions, report } from './harness/report.ts';

const requests = 1_000;
/** Longer than the burst takes, so that one refresh falls due in it; the caches end before. */
const refreshIntervalMs = 15_000;
const cacheTtl = '10s';
const wiki = ['Host', 'wiki.example.test'] as const;

export async function run(): Promise<boolean> {
  await using slapd = await startSlapd({ statsLog: true });
  await using gateway = await startGatewayProcess({
    server: { workers: 1 },
    session: { refreshInterval: `${refreshIntervalMs}ms` },
    directories: [directoryConfig([slapd.url], { cache: { ttl: cacheTtl } })],
    providers: [{ name: 'corp', type: 'ldap', directory: 'corp' }],
    applications: [
      { name: 'wiki', hosts: ['wiki.example.test'], rules: [{ access: { groups: ['everyone'] } }] },
    ],
  });
  // The gateway's own look at its directories after the start searches too, on a connection of its own.
  const selfChecked = await settled(slapd);
  const visitor = new Visitor(gateway.port, [wiki]);
  await visitor.signIn('alice', 'alice-password');
  // What one cold walk costs: alice's groups, level by level, up to everyone.
  const searchesOfOneWalk =
    searchesIn(await slapd.operations(), groupsBase) - searchesIn(selfChecked, groupsBase);
  const decide = async (): Promise<Answer> =>
    await askAsNginx(gateway.port, 'https://wiki.example.test/', [['Cookie', visitor.cookieHeader]]);
  const signedInAt = performance.now();
  await until(() => performance.now() - signedInAt > refreshIntervalMs + 200, {
    timeoutMs: 2 * refreshIntervalMs,
  });

  const earlier = await slapd.operations();
  // Stopped: whoever waited for the directory would now wait for ever.
  slapd.stop();
  const answers = await Promise.all(Array.from({ length: requests }, async () => (await decide()).status));
  slapd.cont();
  const refused = answers.filter((status) => status !== 200).length;

  const before = searchesIn(earlier, groupsBase);
  let operations: readonly ServerOperation[] = [];
  await until(
    async () => {
      operations = await slapd.operations();
      return searchesIn(operations, groupsBase) >= before + searchesOfOneWalk;
    },
    { timeoutMs: 20_000, what: 'the refresh' },
  );
  const userSearches = searchesIn(operations, peopleBase) - searchesIn(earlier, peopleBase);
  const walks = (searchesIn(operations, groupsBase) - before) / searchesOfOneWalk;
  return [
    report({
      name: `${requests} requests at once on a session whose refresh is due: user searches`,
      value: userSearches,
      limit: 1,
      unit: 'searches',
      detail: 'counted in the log of slapd',
    }),
    report({
      name: 'the same: group walks',
      value: walks,
      limit: 1,
      unit: 'walks',
      detail: `one walk is ${searchesOfOneWalk} searches`,
    }),
    report({
      name: 'the same: requests not answered at once',
      value: refused,
      limit: 0,
      unit: 'requests',
      detail: 'slapd was stopped meanwhile',
    }),
  ].every(Boolean);
}

/** What slapd was asked once it has been asked nothing new for two seconds. */
async function settled(slapd: Slapd): Promise<readonly ServerOperation[]> {
  let operations = await slapd.operations();
  for (;;) {
    await sleep(2_000);
    const later = await slapd.operations();
    if (later.length === operations.length) return later;
    operations = later;
  }
}

function searchesIn(operations: readonly ServerOperation[], base: string): number {
  return operations.filter(({ kind, scope, dn }) => kind === 'search' && scope !== 'base' && dn === base)
    .length;
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}
