/** `vratar sessions list|revoke` against a running gateway with two workers, as an administrator types them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, test } from 'node:test';
import { sessions } from '#src/cli/sessions.ts';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { type CommandRun, runCommand } from '#test/support/command-run.ts';
import { Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const folder = mkdtempSync(join(tmpdir(), 'vratar-sessions-'));
const host = ['Host', 'app.example.test'] as const;
let gateway: GatewayProcess;
before(async () => {
  gateway = await startGatewayProcess(
    {
      server: { publicUrl: 'http://app.example.test', workers: 2 },
      providers: [{ name: 'staff', type: 'local', users: [{ username: 'alice' }, { username: 'bob' }] }],
      applications: [
        {
          name: 'app',
          hosts: ['app.example.test'],
          upstream: 'whoami',
          rules: [{ access: 'authenticated' }],
        },
      ],
    },
    folder,
  );
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function command(...argv: string[]): Promise<CommandRun> {
  return await runCommand(sessions, argv, { env: { VRATAR_CONFIG: join(folder, 'vratar.yaml') } });
}

async function signedIn(username: string): Promise<Visitor> {
  const visitor = new Visitor(gateway.port, [host]);
  assert.equal((await visitor.signIn(username, await gateway.passwordOf(username))).status, 303);
  return visitor;
}

/** Each request on a connection of its own, so that both workers answer some. */
async function statuses(visitor: Visitor): Promise<Set<number>> {
  const answers = await Promise.all(Array.from({ length: 8 }, async () => await visitor.ask('/')));
  return new Set(answers.map(({ status }) => status));
}

async function isOut(visitor: Visitor): Promise<void> {
  await until(async () => !(await statuses(visitor)).has(200), {
    what: 'the end of the session on both workers',
  });
}

beforeEach(async () => {
  await command('revoke', '--all');
});

test('says who is signed in, and shows no ticket', async () => {
  assert.equal((await command('list')).out, '0 sessions of 0 people\n');
  const visitors = [await signedIn('alice'), await signedIn('alice'), await signedIn('bob')];
  const { code, out, err } = await command('list');
  assert.deepEqual([code, err], [0, '']);
  const [summary, , head, ...rows] = out.split('\n');
  assert.equal(summary, '3 sessions of 2 people');
  assert.match(head ?? '', /^account +provider +sessions +since +last used$/);
  const instant = '\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ';
  for (const row of [`alice +staff +2 +${instant} +${instant}`, `bob +staff +1 +${instant} +${instant}`])
    assert.equal(rows.filter((line) => new RegExp(`^${row}$`).test(line)).length, 1, out);
  for (const { cookies } of visitors) assert.ok(!out.includes(cookies.get('vratar') as string));
  const cut = await command('list', '--limit', '1');
  assert.match(cut.out, /^3 sessions of 2 people\n[^]*and 1 more: raise --limit to see them\n$/);
});

test('ends the sessions of one account on every worker and leaves the others', async () => {
  const [alice, other, bob] = [await signedIn('alice'), await signedIn('alice'), await signedIn('bob')];
  for (const visitor of [alice, other, bob]) assert.deepEqual(await statuses(visitor), new Set([200]));
  assert.equal((await command('revoke', '--user', 'ghost:alice')).out, '0 sessions ended\n');
  assert.deepEqual(await statuses(alice), new Set([200]));
  const { code, out } = await command('revoke', '--user', 'staff:Alice');
  assert.deepEqual([code, out], [0, '2 sessions ended\n']);
  await isOut(alice);
  await isOut(other);
  assert.deepEqual(await statuses(bob), new Set([200]));
});

test('ends everybody’s sessions, and people may sign in again at once', async () => {
  const [alice, bob] = [await signedIn('alice'), await signedIn('bob')];
  assert.equal((await command('revoke', '--all')).out, '2 sessions ended\n');
  await isOut(alice);
  await isOut(bob);
  const again = await signedIn('alice');
  assert.deepEqual(await statuses(again), new Set([200]));
});

test('writes what it did to the audit trail', async () => {
  await signedIn('alice');
  await command('revoke', '--user', 'staff:alice');
  await command('revoke', '--all');
  await until(
    () => {
      const lines = gateway.logs.filter(({ event }) => event === 'sessions.revoked');
      const of = lines.find((line) => line['account'] === 'alice' && line['sessions'] === 1);
      return (
        of?.['audit'] === true &&
        of['provider'] === 'staff' &&
        lines.some((line) => line['everyone'] === true)
      );
    },
    { what: 'both lines of the audit trail' },
  );
});

for (const argv of [
  [],
  ['revoke'],
  ['revoke', '--user', ''],
  ['revoke', '--user', 'alice', '--all'],
  ['list', '--all'],
  ['revoke', '--all', '--limit', '5'],
  ['drop', '--all'],
  ['list', '--what'],
]) {
  test(`does nothing for ${JSON.stringify(argv.join(' '))}`, async () => {
    const { code, out } = await command(...argv);
    assert.deepEqual([code, out], [64, '']);
  });
}

test('says what is wrong with a limit, and that no gateway runs', async () => {
  const wrong = await command('list', '--limit', 'many');
  assert.deepEqual(
    [wrong.code, wrong.err],
    [69, 'vratar sessions list: the limit is a number from 1 to 10000\n'],
  );
  await gateway.stop();
  const gone = await command('list');
  assert.equal(gone.code, 69);
  assert.match(gone.err, /^vratar sessions list: the gateway does not run/);
});
