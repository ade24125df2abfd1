/** Rotation of the assertion keys on a running gateway with two workers, by the commands an operator types. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { keys } from '#src/cli/keys.ts';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { type CommandRun, runCommand } from '#test/support/command-run.ts';
import { ask, askAsNginx, Visitor } from '#test/support/http-client.ts';

const folder = mkdtempSync(join(tmpdir(), 'vratar-rotation-'));
const configFile = join(folder, 'vratar.yaml');
const host = ['Host', 'app.example.test'] as const;
let gateway: GatewayProcess;
let alice: Visitor;
before(async () => {
  gateway = await startGatewayProcess(
    {
      server: { publicUrl: 'http://app.example.test', workers: 2 },
      providers: [{ name: 'staff', type: 'local', users: [{ username: 'alice' }] }],
      applications: [
        {
          name: 'app',
          hosts: ['app.example.test'],
          upstream: 'whoami',
          headers: { assertion: true },
          rules: [{ access: 'authenticated' }],
        },
      ],
    },
    folder,
  );
  alice = new Visitor(gateway.port, [host]);
  const answer = await alice.signIn('alice', await gateway.passwordOf('alice'));
  assert.equal(answer.status, 303);
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function command(...argv: string[]): Promise<CommandRun> {
  return await runCommand(keys, argv, { env: { VRATAR_CONFIG: configFile } });
}

/** Each request on a connection of its own: with two workers both answer some. */
async function assertions(count = 12): Promise<readonly string[]> {
  const answers = await Promise.all(
    Array.from(
      { length: count },
      async () =>
        await askAsNginx(gateway.port, 'http://app.example.test/', [['Cookie', alice.cookieHeader]]),
    ),
  );
  return answers.map(({ headers }) => String(headers['x-vratar-assertion']));
}

async function published(): Promise<JSONWebKeySet> {
  const { body } = await ask({ port: gateway.port, path: '/_vratar/jwks.json', headers: [host] });
  return JSON.parse(body) as JSONWebKeySet;
}

const kidsIn = ({ keys: set }: JSONWebKeySet): readonly string[] => set.map(({ kid }) => String(kid));
const signersOf = (tokens: readonly string[]): Set<string | undefined> =>
  new Set(tokens.map((token) => decodeProtectedHeader(token).kid));
const accept = async (token: string, set: JSONWebKeySet): Promise<unknown> =>
  await jwtVerify(token, createLocalJWKSet(set), { issuer: 'http://app.example.test', audience: 'app' });

test('a rotation is refused by nobody: old assertions and old key sets stay good', async () => {
  const knownBefore = await published();
  const tokensBefore = await assertions();
  assert.deepEqual([...signersOf(tokensBefore)], [kidsIn(knownBefore)[0]]);

  const { code, out } = await command('rotate');
  assert.equal(code, 0);
  const signing = /signed with key (\S+) from now on/.exec(out)?.[1];
  assert.notEqual(signing, kidsIn(knownBefore)[0]);

  // No wait: the command answers when every worker signs with the new key.
  const tokensAfter = await assertions();
  assert.deepEqual([...signersOf(tokensAfter)], [signing]);
  const knownAfter = await published();
  for (const token of tokensBefore) await accept(token, knownAfter);
  for (const token of tokensAfter) await accept(token, knownBefore);
});

test('after a leak nothing signed with an old key is accepted', async () => {
  const [token] = await assertions(1);
  const before = kidsIn(await published());
  const { code } = await command('rotate', '--compromised');
  assert.equal(code, 0);
  const set = await published();
  for (const kid of kidsIn(set)) assert.ok(!before.includes(kid));
  await assert.rejects(accept(token as string, set), { code: 'ERR_JWKS_NO_MATCHING_KEY' });
  for (const fresh of await assertions()) await accept(fresh, set);
});

test('the keys and the socket are for the account of the gateway alone, and a rotation is audited', () => {
  for (const name of ['keys.json', 'admin.sock']) {
    assert.equal(statSync(join(folder, 'data', name)).mode & 0o777, 0o600, name);
  }
  const audited = gateway.logs.filter(({ event }) => event === 'admin.command');
  assert.deepEqual(audited.map(({ command: name, audit }) => [name, audit]).at(-1), ['keys/rotate', true]);
});

test('the socket knows its commands only, and only when they are posted', async () => {
  const socketPath = join(folder, 'data', 'admin.sock');
  const { request } = await import('node:http');
  const statusOf = async (method: string, path: string): Promise<number | undefined> =>
    await new Promise((resolve, reject) => {
      request({ socketPath, method, path, agent: false }, (response) => {
        response.resume();
        resolve(response.statusCode);
      })
        .once('error', reject)
        .end();
    });
  assert.equal(await statusOf('GET', '/keys/rotate'), 405);
  assert.equal(await statusOf('POST', '/constructor'), 404);
  assert.equal(await statusOf('POST', '/keys/rotate/x'), 404);
});

test('exits 64 for anything but rotate, 69 when the gateway does not run', async () => {
  assert.equal((await command()).code, 64);
  assert.equal((await command('rotat')).code, 64);
  chmodSync(join(folder, 'data'), 0o700);
  assert.equal(await gateway.stop(), 0);
  const { code, err } = await command('rotate');
  assert.equal(code, 69);
  assert.match(err, /the gateway does not run/);
});
