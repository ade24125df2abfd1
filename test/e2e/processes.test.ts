import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { startUpstream } from '#test/servers/upstream.ts';
import { ask, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const app = ['Host', 'app.example.test'] as const;

function config(upstream: string, overrides: Record<string, unknown> = {}) {
  return {
    server: { publicUrl: 'http://gw.example.test', workers: 2, ...(overrides['server'] as object) },
    providers: [{ name: 'staff', type: 'local', users: [{ username: 'alice', groups: ['staff'] }] }],
    applications: [
      {
        name: 'app',
        hosts: ['app.example.test'],
        upstream,
        rules: [{ paths: ['/public/**'], access: 'public' }, { access: 'authenticated' }],
      },
    ],
  };
}

function workersOf(gateway: GatewayProcess): number[] {
  const children = readFileSync(
    `/proc/${gateway.child.pid}/task/${gateway.child.pid}/children`,
    'latin1',
  ).trim();
  return children === '' ? [] : children.split(' ').map(Number);
}

async function management(gateway: GatewayProcess, path: string): Promise<{ status: number; body: string }> {
  return await ask({ port: gateway.managementPort, path });
}

describe('the processes of the gateway', () => {
  let gateway: GatewayProcess;
  let upstream: Awaited<ReturnType<typeof startUpstream>>;
  before(async () => {
    upstream = await startUpstream();
    gateway = await startGatewayProcess(config(upstream.url));
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await upstream[Symbol.asyncDispose]();
  });

  test('share sessions: a sign-in at one worker is known to the other, and so is the sign-out', async () => {
    const visitor = new Visitor(gateway.port, [app]);
    assert.equal((await visitor.signIn('alice', await gateway.passwordOf('alice'))).status, 303);
    // Every request is a new connection, and connections go to the workers in turn.
    for (let i = 0; i < 6; i++) assert.equal((await visitor.ask('/_vratar/userinfo')).status, 200);
    const ticket = visitor.cookieHeader;
    assert.equal(
      (await visitor.submit('/_vratar/logout', { csrf: visitor.cookies.get('vratar-csrf') as string }))
        .status,
      303,
    );
    const endedAt = performance.now();
    await until(async () => {
      const answers = await Promise.all(
        Array.from(
          { length: 4 },
          async () =>
            await ask({ port: gateway.port, path: '/_vratar/userinfo', headers: [app, ['Cookie', ticket]] }),
        ),
      );
      return answers.every(({ status }) => status === 401);
    });
    assert.ok(performance.now() - endedAt < 1_000, 'a sign-out takes effect within a second');
  });

  test('tell their state and their metrics on the management listener alone', async () => {
    assert.deepEqual(await management(gateway, '/livez').then(({ status }) => status), 200);
    const ready = await management(gateway, '/readyz');
    assert.equal(ready.status, 200);
    assert.deepEqual(JSON.parse(ready.body), {
      status: 'ready',
      dependencies: [{ name: 'workers', status: 'available' }],
    });
    const { body } = await management(gateway, '/metrics');
    assert.match(body, /^vratar_build_info\{version="[^"]+",node="[^"]+"\} 1$/m);
    // Requests of both workers, added up.
    assert.match(body, /^vratar_http_requests_total\{listener="public",surface="portal",code="200"\} \d+$/m);
    assert.equal((await ask({ port: gateway.managementPort, path: '/metrics', method: 'POST' })).status, 405);
    assert.equal((await management(gateway, '/')).status, 404);
    assert.equal((await ask({ port: gateway.port, path: '/metrics', headers: [app] })).status, 401);
  });

  test('replace a worker that is killed, and nobody is signed out', async () => {
    const visitor = new Visitor(gateway.port, [app]);
    await visitor.signIn('alice', await gateway.passwordOf('alice'));
    const [victim] = workersOf(gateway);
    process.kill(victim as number, 'SIGKILL');
    await until(() => workersOf(gateway).length === 2 && !workersOf(gateway).includes(victim as number));
    await until(async () => (await management(gateway, '/readyz')).status === 200);
    for (let i = 0; i < 6; i++) assert.equal((await visitor.ask('/_vratar/userinfo')).status, 200);
    assert.ok(gateway.logs.some(({ event, signal }) => event === 'worker.died' && signal === 'SIGKILL'));
  });
});

describe('a drain', () => {
  test('lets requests in flight end, takes no new ones, and exits with 0', async () => {
    const held = Promise.withResolvers<void>();
    await using upstream = await startUpstream((_request, response) => {
      void held.promise.then(() => response.end('done'));
    });
    await using gateway = await startGatewayProcess(config(upstream.url));
    const answer = Promise.withResolvers<{ status: number; body: string; connection: string | undefined }>();
    const sent = request(
      { port: gateway.port, host: '127.0.0.1', path: '/public/slow', headers: { Host: app[1] } },
      (response) => {
        let body = '';
        response.setEncoding('utf8').on('data', (text: string) => (body += text));
        response.on('end', () =>
          answer.resolve({
            status: response.statusCode as number,
            body,
            connection: response.headers.connection,
          }),
        );
      },
    );
    sent.on('error', answer.reject);
    sent.end();
    await until(() => upstream.started === 1);
    const exit = gateway.stop('SIGTERM');
    await until(() => gateway.logs.some(({ event }) => event === 'draining'));
    await until(
      async () =>
        await ask({ port: gateway.port, path: '/_vratar/userinfo', headers: [app] }).then(
          () => false,
          () => true,
        ),
    );
    held.resolve();
    assert.deepEqual(await answer.promise, { status: 200, body: 'done', connection: 'close' });
    assert.equal(await exit, 0);
  });

  test('cuts what does not end within the drain time', async () => {
    await using upstream = await startUpstream(() => {});
    await using gateway = await startGatewayProcess(
      config(upstream.url, { server: { drainTimeout: '200ms' } }),
    );
    const cut = ask({ port: gateway.port, path: '/public/slow', headers: [app] }).then(
      () => 'answered',
      () => 'cut',
    );
    await until(() => upstream.started === 1);
    assert.equal(await gateway.stop('SIGTERM'), 0);
    assert.equal(await cut, 'cut');
  });

  test('is over at once at the second signal', async () => {
    await using upstream = await startUpstream(() => {});
    await using gateway = await startGatewayProcess(config(upstream.url));
    void ask({ port: gateway.port, path: '/public/slow', headers: [app] }).catch(() => 'cut');
    await until(() => upstream.started === 1);
    const exit = gateway.stop('SIGTERM');
    await until(() => gateway.logs.some(({ event }) => event === 'draining'));
    gateway.child.kill('SIGTERM');
    assert.equal(await exit, 1);
  });
});

test('people stay signed in over a restart, also after a crash', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vratar-restart-'));
  try {
    const first = await startGatewayProcess(config('http://127.0.0.1:1'), folder);
    const visitor = new Visitor(first.port, [app]);
    await visitor.signIn('alice', await first.passwordOf('alice'));
    const { cookieHeader } = visitor;
    await first.stop('SIGKILL');
    await using second = await startGatewayProcess(config('http://127.0.0.1:1'), folder);
    assert.equal(
      (await ask({ port: second.port, path: '/_vratar/userinfo', headers: [app, ['Cookie', cookieHeader]] }))
        .status,
      200,
    );
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('an invalid configuration ends with 78 and names every problem with its place', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vratar-invalid-'));
  try {
    const file = join(folder, 'vratar.yaml');
    writeFileSync(
      file,
      'server:\n  publicUrl: ftp://x\n  nonsense: 1\nproviders:\n  - { name: corp, type: ldap, directory: missing }\n',
    );
    const launcher = fileURLToPath(new URL('../../src/launcher.mjs', import.meta.url));
    const child = spawn(process.execPath, [launcher, 'serve', '--config', file], {
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    let errors = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => (errors += text));
    const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
    assert.equal(code, 78);
    for (const place of [
      'vratar.yaml:2:14 server.publicUrl: ',
      'vratar.yaml:3:3 server.nonsense: ',
      'vratar.yaml:5:42 providers[0].directory: ',
    ]) {
      assert.ok(errors.includes(place), `${place} is not in\n${errors}`);
    }
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});

test('several workers share a unix socket, and one that is replaced finds it again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vratar-unix-'));
  const socketPath = join(folder, 'public.sock');
  try {
    // As a killed gateway leaves it behind.
    writeFileSync(socketPath, '');
    await using gateway = await startGatewayProcess(
      config('http://127.0.0.1:1', { server: { listen: `unix:${socketPath}` } }),
      folder,
    );
    const status = async (): Promise<number | undefined> =>
      await new Promise((resolve, reject) => {
        request({ socketPath, path: '/_vratar/login', headers: { Host: app[1] } }, (response) => {
          response.resume();
          resolve(response.statusCode);
        })
          .once('error', reject)
          .end();
      });
    for (let i = 0; i < 4; i++) assert.equal(await status(), 200);
    const [victim] = workersOf(gateway);
    process.kill(victim as number, 'SIGKILL');
    await until(() => workersOf(gateway).length === 2 && !workersOf(gateway).includes(victim as number));
    await until(async () => (await management(gateway, '/readyz')).status === 200);
    for (let i = 0; i < 4; i++) assert.equal(await status(), 200);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
});
