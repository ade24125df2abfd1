/** `vratar backup FILE` on a running gateway, and what a gateway does that starts with it. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { backup } from '#src/cli/backup.ts';
import { createPasswordHash } from '#src/providers/password-hash.ts';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { type CommandRun, runCommand } from '#test/support/command-run.ts';
import { ask, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'vratar-backup-'));
const site = join(folder, 'site');
const archive = join(folder, 'state.tar');
const host = ['Host', 'app.example.test'] as const;
const password = 'correct horse';
let config: Parameters<typeof startGatewayProcess>[0];
let gateway: GatewayProcess;
before(async () => {
  config = {
    server: { publicUrl: 'http://app.example.test', workers: 2 },
    providers: [
      {
        name: 'staff',
        type: 'local',
        users: [{ username: 'alice', passwordHash: await createPasswordHash(password) }],
      },
    ],
    applications: [
      { name: 'app', hosts: ['app.example.test'], upstream: 'whoami', rules: [{ access: 'authenticated' }] },
    ],
  };
  mkdirSync(site);
  gateway = await startGatewayProcess(config, site);
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function command(...argv: string[]): Promise<CommandRun> {
  return await runCommand(backup, argv, { env: { VRATAR_CONFIG: join(site, 'vratar.yaml') } });
}

async function signedIn(to: GatewayProcess): Promise<Visitor> {
  const visitor = new Visitor(to.port, [host]);
  assert.equal((await visitor.signIn('alice', password)).status, 303);
  return visitor;
}

async function statusOf(to: GatewayProcess, cookie: string): Promise<number> {
  return (await ask({ port: to.port, headers: [host, ['Cookie', cookie]] })).status;
}

async function published(from: GatewayProcess): Promise<string> {
  return (await ask({ port: from.port, path: '/_vratar/jwks.json', headers: [host] })).body;
}

/** Unpacks the archive as an operator does, for a gateway of its own. */
async function restore(name: string): Promise<string> {
  const restored = join(folder, name);
  mkdirSync(join(restored, 'data'), { recursive: true });
  await run('tar', ['-xpf', archive, '-C', join(restored, 'data')]);
  return restored;
}

describe('a backup', () => {
  test('is one private archive that tar reads, made while the gateway serves', async () => {
    const alice = await signedIn(gateway);
    // As long as the copy is made, people go on.
    const [{ code, out, err }, ...answers] = await Promise.all([
      command(archive),
      ...Array.from({ length: 10 }, async () => await alice.ask('/')),
    ]);
    assert.deepEqual([code, err], [0, '']);
    assert.match(out, /state\.tar: \d+ bytes \(backup\.json, keys\.json, sessions\.db, revocations\.db\)\n$/);
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(statSync(archive).mode & 0o777, 0o600);
    const { stdout } = await run('tar', ['-tvf', archive]);
    const listed = stdout.trim().split('\n');
    assert.equal(listed.length, 4);
    for (const line of listed)
      assert.match(line, /^-rw------- .* (backup\.json|keys\.json|sessions\.db|revocations\.db)$/);
    // Nothing is left beside the state.
    assert.deepEqual(
      readdirSync(join(site, 'data')).filter((name) => name.startsWith('backup')),
      [],
    );
    await until(
      () =>
        gateway.logs.some(
          (line) => line.event === 'admin.command' && line['command'] === 'backup' && line['audit'] === true,
        ),
      { what: 'the line of the audit trail' },
    );
  });

  test('replaces an older one as a whole, also one that others could read', async () => {
    writeFileSync(archive, 'an older one');
    chmodSync(archive, 0o644);
    assert.equal((await command(archive)).code, 0);
    assert.equal(statSync(archive).mode & 0o777, 0o600);
    assert.notEqual(readFileSync(archive, 'latin1').slice(0, 5), 'an ol');
  });

  test('that cannot be written says so and leaves nothing', async () => {
    const { code, out, err } = await command(join(folder, 'nowhere', 'state.tar'));
    assert.deepEqual([code, out], [69, '']);
    assert.match(err, /^vratar backup: .*nowhere\/state\.tar cannot be written: ENOENT/);
    assert.deepEqual(
      readdirSync(join(site, 'data')).filter((name) => name.startsWith('backup')),
      [],
    );
  });

  for (const argv of [[], ['a', 'b'], [''], ['a', '--what']]) {
    test(`is not made for ${JSON.stringify(argv.join(' '))}`, async () => {
      assert.equal((await command(...argv)).code, 64);
    });
  }
});

describe('a gateway that starts with a backup', () => {
  test('has the same keys, knows no session from before, and says how many it ended', async () => {
    const alice = await signedIn(gateway);
    const other = await signedIn(gateway);
    assert.equal((await command(archive)).code, 0);
    const keys = await published(gateway);
    const csrf = /name="csrf" value="([^"]+)"/.exec((await alice.ask('/_vratar/logout')).body)?.[1] ?? '';
    const endedCookie = alice.cookieHeader;
    await alice.submit('/_vratar/logout', { csrf });
    assert.equal(await statusOf(gateway, endedCookie), 401);

    const restored = await restore('restored');
    const again = await startGatewayProcess(config, restored);
    try {
      // Signed out after the backup was made; and still open, but nobody can tell the two apart.
      assert.equal(await statusOf(again, endedCookie), 401);
      assert.equal(await statusOf(again, other.cookieHeader), 401);
      assert.equal(await published(again), keys);
      const line = again.logs.find(({ event }) => event === 'state.restored');
      assert.equal(line?.['audit'], true);
      assert.ok(Number(line['sessionsEnded']) >= 2, JSON.stringify(line));

      const fresh = await signedIn(again);
      await again.stop();
      const later = await startGatewayProcess(config, restored);
      try {
        assert.equal(await statusOf(later, fresh.cookieHeader), 200);
        assert.ok(!later.logs.some(({ event }) => event === 'state.restored'));
      } finally {
        await later[Symbol.asyncDispose]();
      }
    } finally {
      await again[Symbol.asyncDispose]();
    }
  });

  test('ends the sessions also when it is killed right after', async () => {
    const alice = await signedIn(gateway);
    assert.equal((await command(archive)).code, 0);
    const restored = await restore('killed');
    const first = await startGatewayProcess(config, restored);
    await first.stop('SIGKILL');
    const second = await startGatewayProcess(config, restored);
    try {
      assert.equal(await statusOf(second, alice.cookieHeader), 401);
    } finally {
      await second[Symbol.asyncDispose]();
    }
  });
});
