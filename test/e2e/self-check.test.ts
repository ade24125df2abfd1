/** The running gateway tells by itself what is wrong with its directories. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { directoryConfig, startSlapd } from '#test/servers/slapd.ts';
import { groupsBase, service } from '#test/servers/slapd-data.ts';
import { ask } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const slapd = await startSlapd();
after(async () => await slapd[Symbol.asyncDispose]());

interface Entry {
  readonly name: string;
  readonly status: string;
  readonly reason?: string;
}

async function start(options: Record<string, unknown>): Promise<GatewayProcess> {
  return await startGatewayProcess({
    server: { workers: 1 },
    directories: [directoryConfig([slapd.url], options)],
    providers: [{ name: 'corp', type: 'ldap', directory: 'corp' }],
  });
}

async function readiness({ managementPort }: GatewayProcess): Promise<{ status: string; corp: Entry }> {
  const { status, body } = await ask({ port: managementPort, path: '/readyz' });
  assert.equal(status, 200);
  const { status: word, dependencies } = JSON.parse(body) as { status: string; dependencies: Entry[] };
  const corp = dependencies.find(({ name }) => name === 'directory:corp');
  return { status: word, corp: corp ?? assert.fail(body) };
}

const wait = { timeoutMs: 30_000 };

test('a directory that answers but has no such base degrades the gateway, which says so without its DN', async () => {
  await using gateway = await start({ groups: { baseDn: `ou=nowhere,${groupsBase}` } });
  const { corp } = await until(async () => {
    const state = await readiness(gateway);
    const { reason = '' } = state.corp;
    // On a busy machine the worker's first attempt may come too late, and the second one a moment later.
    return reason.includes('--connect') && !reason.includes('does not answer') ? state : undefined;
  }, wait);
  assert.equal(corp.status, 'degraded');
  assert.equal(corp.reason, 'vratar check --connect tells more: groups.baseDn is not there or not readable');
  const told = await until(() => {
    const lines = gateway.logs.filter(({ event }) => event === 'directory.finding');
    return lines.length > 0 ? lines : undefined;
  }, wait);
  assert.equal(told.length, 1);
  assert.match(String(told[0]?.['message']), /groups\.baseDn ou=nowhere/);
});

test('a refused service account is named, and was tried by the worker alone', async () => {
  await slapd.clearOperations();
  await using gateway = await start({ bind: { ...service, password: 'not-it' } });
  const { corp } = await until(async () => {
    const state = await readiness(gateway);
    return state.corp.reason?.includes('--connect') === true ? state : undefined;
  }, wait);
  assert.equal(corp.status, 'unavailable');
  assert.match(corp.reason ?? '', /^does not answer: ldap:\S+; .*: the service account is refused$/);
  const binds = (await slapd.operations()).filter(({ kind }) => kind === 'bind');
  const { body } = await ask({ port: gateway.managementPort, path: '/metrics' });
  const counted = [...body.matchAll(/^vratar_directory_operations_total\{.*operation="bind".*\} (\d+)$/gm)];
  const byWorkers = counted.reduce((sum, [, times]) => sum + Number(times), 0);
  assert.ok(byWorkers > 0);
  // A worker that got no answer in time, on a busy machine, does not know of the refusal.
  const isTold = !/^vratar_directory_operations_total\{.*result="unavailable"/m.test(body);
  assert.ok(binds.length - byWorkers <= (isTold ? 0 : 1), JSON.stringify(binds));
});

test('nothing is said of a directory with nothing wrong', async () => {
  await slapd.clearOperations();
  await using gateway = await start({});
  // The last thing a check asks for.
  await until(
    async () => (await slapd.operations()).filter(({ filter }) => filter.includes('(member=*)')).length >= 2,
    wait,
  );
  const { corp } = await until(async () => {
    const state = await readiness(gateway);
    return state.status === 'ready' ? state : undefined;
  }, wait);
  assert.deepEqual(corp, { name: 'directory:corp', status: 'available' });
  assert.deepEqual(
    gateway.logs.filter(({ event }) => event === 'directory.finding'),
    [],
  );
});
