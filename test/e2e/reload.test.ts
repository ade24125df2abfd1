import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type GatewayProcess, type LogLine, startGatewayProcess } from '#test/servers/gateway.ts';
import { ask, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const app = ['Host', 'app.example.test'] as const;

interface Variation {
  readonly access?: string;
  readonly users?: readonly object[];
  readonly server?: object;
  readonly session?: object;
  readonly management?: object;
}

function config({ access = 'authenticated', users, server, ...rest }: Variation = {}) {
  return {
    server: { publicUrl: 'http://gw.example.test', workers: 2, ...server },
    providers: [{ name: 'staff', type: 'local', users: users ?? [{ username: 'alice' }] }],
    applications: [
      {
        name: 'app',
        hosts: ['app.example.test'],
        upstream: 'whoami',
        rules: [{ paths: ['/public'], access: 'public' }, { access }],
      },
    ],
    ...rest,
  };
}

const outcomes = (gateway: GatewayProcess): LogLine[] =>
  gateway.logs.filter(({ event }) => event === 'config.reloaded' || event === 'config.refused');

/** Writes the configuration and waits until the gateway has said what becomes of it. */
async function reload(gateway: GatewayProcess, change: () => void): Promise<LogLine> {
  const before = outcomes(gateway).length;
  change();
  return await until(() => outcomes(gateway)[before], { timeoutMs: 30_000, what: 'the end of the reload' });
}

async function metric(gateway: GatewayProcess, pattern: RegExp): Promise<number> {
  const { body } = await ask({ port: gateway.managementPort, path: '/metrics' });
  return Number(pattern.exec(body)?.[1] ?? Number.NaN);
}

describe('an edited configuration', () => {
  let gateway: GatewayProcess;
  before(async () => {
    gateway = await startGatewayProcess(config());
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
  });
  const statusOf = async (path: string): Promise<number> =>
    (await ask({ port: gateway.port, path, headers: [app] })).status;

  test('is taken over without a signal, people stay signed in, passwords made for this run stay', async () => {
    const password = await gateway.passwordOf('alice');
    const visitor = new Visitor(gateway.port, [app]);
    assert.equal((await visitor.signIn('alice', password)).status, 303);
    assert.equal(await statusOf('/'), 401);
    const users = [{ username: 'alice' }, { username: 'bob' }];
    const outcome = await reload(gateway, () => gateway.configure(config({ access: 'deny', users })));
    assert.equal(outcome.event, 'config.reloaded');
    assert.equal((await visitor.ask('/_vratar/userinfo')).status, 200);
    assert.equal((await visitor.ask('/')).status, 403);
    const again = new Visitor(gateway.port, [app]);
    assert.equal((await again.signIn('alice', password)).status, 303);
    const other = new Visitor(gateway.port, [app]);
    assert.equal((await other.signIn('bob', await gateway.passwordOf('bob'))).status, 303);
    assert.equal(await metric(gateway, /^vratar_config_reloads_total\{result="success"\} (\d+)$/m), 1);
  });

  test('that is invalid changes nothing, and every problem is logged with its place', async () => {
    const outcome = await reload(gateway, () => gateway.configure(config({ access: 'everybody' })));
    assert.equal(outcome.event, 'config.refused');
    assert.match(String(outcome['problems']), /vratar\.yaml:\d+:\d+ applications\[0\]\.rules\[1\]\.access: /);
    assert.equal(await statusOf('/public'), 200);
    assert.equal(await metric(gateway, /^vratar_config_reloads_total\{result="refused"\} (\d+)$/m), 1);
  });

  test('that would need a restart says so and changes nothing', async () => {
    const management = { listen: '127.0.0.1:1' };
    const outcome = await reload(gateway, () => gateway.configure(config({ access: 'public', management })));
    assert.equal(outcome.event, 'config.refused');
    assert.match(String(outcome['problems']), /management: cannot change while the gateway runs: restart it/);
    assert.equal(await statusOf('/'), 403);
  });

  test('whose workers cannot start changes nothing', async () => {
    // The management listener has this port already.
    const server = { listen: `127.0.0.1:${gateway.managementPort}` };
    const outcome = await reload(gateway, () => gateway.configure(config({ access: 'public', server })));
    assert.equal(outcome.event, 'config.refused');
    assert.equal(await statusOf('/'), 403);
    const ready = await ask({ port: gateway.managementPort, path: '/readyz' });
    assert.equal(ready.status, 200);
  });

  test('costs no request, also none on a kept connection, and no counter falls', async () => {
    await reload(gateway, () => gateway.configure(config({ access: 'public' })));
    const agent = new Agent({ keepAlive: true, maxSockets: 4 });
    const counted = async (): Promise<number> =>
      await metric(
        gateway,
        /^vratar_decisions_total\{application="app",dialect="proxy",decision="allow",reason="public"\} (\d+)$/m,
      );
    let isOver = false;
    const statuses = new Map<number | string, number>();
    const client = async (): Promise<void> => {
      while (!isOver) {
        const status = await new Promise<number | string>((resolve) => {
          request(
            { port: gateway.port, host: '127.0.0.1', path: '/public', headers: { Host: app[1] }, agent },
            (response) => {
              response.resume().once('end', () => resolve(response.statusCode ?? 0));
            },
          )
            .once('error', (error) => resolve(String(error)))
            .end();
        });
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
      }
    };
    const startedWith = await counted();
    const clients = Array.from({ length: 4 }, client);
    for (const access of ['deny', 'authenticated']) {
      const outcome = await reload(gateway, () => gateway.configure(config({ access })));
      assert.equal(outcome.event, 'config.reloaded');
    }
    isOver = true;
    await Promise.all(clients);
    agent.destroy();
    assert.deepEqual([...statuses.keys()], [200]);
    // The replaced workers have told what they counted.
    await until(async () => (await counted()) === startedWith + (statuses.get(200) ?? 0), {
      timeoutMs: 30_000,
      what: 'all requests in the counter',
    });
  });
});

describe('a changed secret', () => {
  test('in a file of its own is taken over like a changed configuration', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'vratar-test-'));
    try {
      const secret = join(folder, 'bind.secret');
      writeFileSync(secret, 'one\n', { mode: 0o600 });
      await using gateway = await startGatewayProcess({
        ...config(),
        directories: [
          {
            name: 'corp',
            kind: 'openLdap',
            servers: ['ldap://127.0.0.1:1'],
            bind: { dn: 'cn=vratar,dc=example', password: { file: secret } },
            users: { baseDn: 'dc=example' },
            groups: { baseDn: 'dc=example' },
          },
        ],
      });
      const outcome = await reload(gateway, () => writeFileSync(secret, 'two\n'));
      assert.equal(outcome.event, 'config.reloaded');
      const broken = await reload(gateway, () => rmSync(secret));
      assert.equal(broken.event, 'config.refused');
      assert.match(String(broken['problems']), /bind\.secret does not exist/);
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
