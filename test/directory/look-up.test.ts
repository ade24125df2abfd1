import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { GroupTable } from '#src/identity/group.ts';
import { type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { groupDn, personDn } from '#test/servers/slapd-data.ts';
import { ManualClock } from '#test/support/clock.ts';
import { until } from '#test/support/until.ts';
import { openDirectory, type TestDirectory } from './directories.ts';

const server = await startSlapd({
  people: ['renamed', 'leaver', 'joiner', 'reset', 'limited'].map((uid) => ({
    uid,
    password: `${uid}-password`,
  })),
});
after(async () => await server[Symbol.asyncDispose]());

const limit = () => AbortSignal.timeout(10_000);

async function signIn(corp: TestDirectory, username: string): Promise<{ id: string; username: string }> {
  const outcome = await corp.verify(username, `${username}-password`);
  assert.ok(outcome.kind === 'verified', `${username}: ${outcome.kind}`);
  return outcome.person;
}

async function searches(of: Slapd): Promise<string[]> {
  return (await of.operations()).filter(({ kind }) => kind === 'search').map(({ filter }) => filter);
}

test('a thousand look-ups of one person, cache cold: one search for the person and one group walk', async () => {
  await using corp = openDirectory({ servers: [server.url] });
  const clock = new ManualClock();
  await using cold = openDirectory({ servers: [server.url], clock });
  const alice = await signIn(corp, 'alice');
  await server.clearOperations();
  const outcomes = await Promise.all(
    Array.from({ length: 1_000 }, async () => await cold.directory.lookup(alice, limit())),
  );
  assert.ok(outcomes.every((outcome) => outcome.kind === 'found' && !outcome.stale));
  const found = await searches(server);
  assert.equal(found.filter((filter) => filter.includes('(uid=alice)')).length, 1);
  const groups = found.filter((filter) => filter.includes('groupOfNames'));
  assert.equal(groups.length, new Set(groups).size, 'a group was asked for twice');
  // alice, staff, admins, employees, everyone: one question each.
  assert.equal(groups.length, 5);
});

test('a thousand sign-ins of one person at once read the groups once', async () => {
  await using corp = openDirectory({ servers: [server.url] });
  await server.clearOperations();
  const outcomes = await Promise.all(
    Array.from({ length: 1_000 }, async () => await corp.judge('alice', 'alice-password')),
  );
  assert.deepEqual(new Set(outcomes), new Set(['verified']));
  const found = await searches(server);
  assert.equal(found.filter((filter) => filter.includes('(uid=alice)')).length, 1);
  assert.equal(found.filter((filter) => filter.includes('groupOfNames')).length, 5);
});

test('what was read a moment ago is not read again; later it is, and nested groups still come from the cache', async () => {
  const clock = new ManualClock();
  await using corp = openDirectory({ servers: [server.url], clock });
  const alice = await signIn(corp, 'alice');
  await server.clearOperations();
  await corp.directory.lookup(alice, limit());
  assert.deepEqual(await searches(server), []);
  clock.advance(2_001);
  await corp.directory.lookup(alice, limit());
  assert.equal((await searches(server)).length, 2, 'the person and the direct groups');
  await server.clearOperations();
  clock.advance(300_001);
  await corp.directory.lookup(alice, limit());
  assert.equal((await searches(server)).length, 6, 'everything');
  assert.equal(await corp.count('vratar_directory_cache_requests_total', { result: 'hit' }), 1);
  assert.equal(await corp.count('vratar_directory_cache_requests_total', { result: 'miss' }), 3);
});

test('a new sign-in sees a new group', async () => {
  const clock = new ManualClock();
  await using corp = openDirectory({ servers: [server.url], clock });
  const groups = async () => {
    const outcome = await corp.verify('joiner', 'joiner-password');
    return outcome.kind === 'verified' ? outcome.person.groups.map(({ name }) => name) : [];
  };
  assert.deepEqual(await groups(), []);
  await server.modify(
    `dn: ${groupDn('staff')}\nchangetype: modify\nadd: member\nmember: ${personDn('joiner')}\n`,
  );
  clock.advance(2_001);
  assert.deepEqual(await groups(), ['staff', 'employees', 'everyone']);
});

test('an unknown name is believed unknown for ten seconds', async () => {
  const clock = new ManualClock();
  await using corp = openDirectory({ servers: [server.url], clock });
  for (let attempt = 0; attempt < 5; attempt++)
    assert.equal(await corp.judge('ghost', 'x'), 'unknown-account');
  assert.equal(await corp.count('vratar_directory_cache_requests_total', { result: 'negative' }), 4);
  await server.clearOperations();
  clock.advance(10_001);
  assert.equal(await corp.judge('ghost', 'x'), 'unknown-account');
  assert.equal((await searches(server)).length, 1);
});

const endings: readonly { name: string; uid: string; ldif: string; reason: string }[] = [
  {
    name: 'deleted',
    uid: 'leaver',
    ldif: `dn: ${personDn('leaver')}\nchangetype: delete\n`,
    reason: 'unknown-account',
  },
  {
    name: 'locked by the administrator',
    uid: 'bob',
    ldif: `dn: ${personDn('bob')}\nchangetype: modify\nadd: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n`,
    reason: 'account-locked',
  },
  {
    name: 'told to change the password',
    uid: 'reset',
    ldif: `dn: ${personDn('reset')}\nchangetype: modify\nadd: pwdReset\npwdReset: TRUE\n`,
    reason: 'password-must-change',
  },
  {
    name: 'past the end of the account',
    uid: 'limited',
    ldif: `dn: ${personDn('limited')}\nchangetype: modify\nadd: pwdEndTime\npwdEndTime: 20200101000000Z\n`,
    reason: 'account-expired',
  },
];

for (const { name, uid, ldif, reason } of endings) {
  test(`somebody ${name} is ended at the next look-up: ${reason}`, async () => {
    const clock = new ManualClock();
    await using corp = openDirectory({ servers: [server.url], clock });
    const person = await signIn(corp, uid);
    await server.modify(ldif);
    clock.advance(2_001);
    assert.deepEqual(await corp.directory.lookup(person, limit()), { kind: 'ended', reason });
  });
}

test('a stranger who guesses at a person does not end that person’s session', async () => {
  const clock = new ManualClock();
  await using corp = openDirectory({ servers: [server.url], clock });
  const person = await signIn(corp, 'lockable');
  for (let attempt = 0; attempt < 3; attempt++) await corp.judge('lockable', 'guess');
  assert.equal(await corp.judge('lockable', 'lockable-password'), 'account-locked');
  clock.advance(2_001);
  assert.equal((await corp.directory.lookup(person, limit())).kind, 'found');
});

test('a renamed person is found by the stable id', async () => {
  const clock = new ManualClock();
  await using corp = openDirectory({ servers: [server.url], clock });
  const person = await signIn(corp, 'renamed');
  await server.modify(
    `dn: ${personDn('renamed')}\nchangetype: modrdn\nnewrdn: uid=married\ndeleteoldrdn: 1\n`,
  );
  clock.advance(2_001);
  const outcome = await corp.directory.lookup(person, limit());
  assert.ok(outcome.kind === 'found');
  assert.equal(outcome.person.username, 'married');
  assert.equal(outcome.person.id, person.id);
});

test('somebody the configured filter no longer finds is ended', async () => {
  const clock = new ManualClock();
  const users = (filter: string) => ({ users: { baseDn: 'ou=people,dc=example,dc=test', filter } });
  await using everybody = openDirectory({ servers: [server.url] });
  const ivan = await signIn(everybody, 'alice');
  await using some = openDirectory({
    servers: [server.url],
    clock,
    options: users('(&(uid=%USERNAME%)(!(mail=alice@example.test)))'),
  });
  assert.deepEqual(await some.directory.lookup(ivan, limit()), { kind: 'ended', reason: 'unknown-account' });
});

test('while the directory is away the last known answer serves, up to staleFor, and no sign-in is refused as wrong', async () => {
  await using own = await startSlapd();
  const clock = new ManualClock();
  const groupTable = new GroupTable();
  await using corp = openDirectory({
    servers: [own.url],
    clock,
    groupTable,
    options: { cache: { ttl: '5m', staleFor: '1h' } },
  });
  const alice = await signIn(corp, 'alice');
  const fresh = await corp.directory.lookup(alice, limit());
  await own.kill();
  clock.advance(3_599_000);
  const stale = await corp.directory.lookup(alice, limit());
  assert.ok(fresh.kind === 'found' && stale.kind === 'found');
  assert.ok(stale.stale);
  assert.deepEqual(stale.person, fresh.person);
  await assert.rejects(corp.verify('alice', 'alice-password'), { code: 'PROVIDER_UNAVAILABLE' });
  assert.ok((await corp.count('vratar_directory_cache_requests_total', { result: 'stale' })) > 0);
  // A failure is no answer: it was not remembered, and the age of the answer goes on from when it was read.
  clock.advance(2_000);
  await assert.rejects(corp.directory.lookup(alice, limit()), { code: 'PROVIDER_UNAVAILABLE' });
  await own.restart();
  await until(() => corp.directory.health().servers[0]?.available, { timeoutMs: 10_000 });
  const again = await corp.directory.lookup(alice, limit());
  assert.ok(again.kind === 'found' && !again.stale);
  assert.equal(again.person.groups[0], fresh.person.groups[0], 'groups are shared objects');
});

test('a directory that is away at the start is no obstacle to starting', async () => {
  await using own = await startSlapd();
  await own.kill();
  const startedAt = performance.now();
  await using corp = openDirectory({ servers: [own.url] });
  // Below the time for one connection.
  assert.ok(performance.now() - startedAt < 2_500);
  assert.equal(corp.directory.health().servers[0]?.available, false);
  await until(async () => (await corp.count('vratar_directory_breaker_open', { state: 'open' })) === 1);
  await own.restart();
  await until(() => corp.directory.health().servers[0]?.available, { timeoutMs: 10_000 });
  assert.equal(await corp.judge('alice', 'alice-password'), 'verified');
});
