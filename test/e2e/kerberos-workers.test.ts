/** Tickets in the real processes of a gateway: several workers, each with a helper of its own. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { startKdc } from '#test/servers/kdc.ts';
import { childProcesses, isAlive } from '#test/support/child-processes.ts';
import { ask, askAsNginx } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const kdc = await startKdc();
after(async () => await kdc[Symbol.asyncDispose]());

const start = async (workers: number): Promise<GatewayProcess> =>
  await startGatewayProcess({
    server: { publicUrl: 'http://gw.localhost', workers },
    providers: [{ name: 'sso', type: 'kerberos', keytab: kdc.keytab, realms: [kdc.realm] }],
    applications: [
      {
        name: 'api',
        hosts: ['gw.localhost'],
        credentials: ['negotiate'],
        challenge: 'direct',
        rules: [{ access: 'authenticated' }],
      },
    ],
  });

const present = async (gateway: GatewayProcess, token: string): Promise<number> => {
  const headers = [['Authorization', `Negotiate ${token}`]] as const;
  return (await askAsNginx(gateway.port, 'http://gw.localhost/', headers)).status;
};

const workersOf = (gateway: GatewayProcess): readonly number[] =>
  childProcesses('worker', gateway.child.pid as number);
const helpersOf = (gateway: GatewayProcess): readonly number[] =>
  workersOf(gateway).flatMap((worker) => childProcesses('helper-entry', worker));

/** Metrics of all workers together. */
async function acceptsOf(gateway: GatewayProcess): Promise<number> {
  const { body } = await ask({ port: gateway.managementPort, path: '/metrics' });
  const line = /^vratar_kerberos_accepts_total\{[^}]*result="accepted"[^}]*\} (\d+)$/m.exec(body);
  return Number(line?.[1] ?? 0);
}

test('one ticket serves the questions of one request, whichever worker they reach', async () => {
  await using gateway = await start(2);
  await until(() => helpersOf(gateway).length === 2, {
    timeoutMs: 60_000,
    what: 'a helper for every worker',
  });
  for (let round = 0; round < 6; round++) {
    const token = await kdc.token('alice');
    // Every question comes over a connection of its own, and so to any of the workers.
    const together = await Promise.all(Array.from({ length: 6 }, () => present(gateway, token)));
    const afterwards = [await present(gateway, token), await present(gateway, token)];
    assert.deepEqual(new Set([...together, ...afterwards]), new Set([200]));
    assert.equal(await acceptsOf(gateway), round + 1, 'each ticket was judged once');
  }
});

test('helpers that are killed are replaced, and none outlives its worker', async () => {
  await using gateway = await start(2);
  const everyWorkerHasOne = async (): Promise<void> => {
    const has = (): boolean => workersOf(gateway).length === 2 && helpersOf(gateway).length === 2;
    await until(has, { timeoutMs: 60_000, what: 'a helper for every worker' });
  };
  const signIns = async (): Promise<readonly number[]> =>
    await Promise.all(
      Array.from({ length: 8 }, async () => await present(gateway, await kdc.token('alice'))),
    );
  await everyWorkerHasOne();
  const killed = helpersOf(gateway);
  for (const helper of killed) process.kill(helper, 'SIGKILL');
  assert.deepEqual(new Set(await signIns()), new Set([200]));
  await everyWorkerHasOne();
  assert.ok(helpersOf(gateway).every((helper) => !killed.includes(helper)));

  const [worker] = workersOf(gateway);
  const [orphan] = childProcesses('helper-entry', worker);
  process.kill(worker as number, 'SIGKILL');
  await until(() => !isAlive(orphan as number), { timeoutMs: 60_000, what: 'the end of its helper' });
  await everyWorkerHasOne();
  assert.deepEqual(new Set(await signIns()), new Set([200]));
});

test('no helper is left when the gateway is told to end', async () => {
  const gateway = await start(1);
  await until(() => helpersOf(gateway).length === 1, { timeoutMs: 60_000, what: 'the helper' });
  const helpers = helpersOf(gateway);
  assert.equal(await gateway.stop('SIGTERM'), 0);
  await until(() => helpers.every((pid) => !isAlive(pid)), {
    timeoutMs: 60_000,
    what: 'the end of the helper',
  });
});
