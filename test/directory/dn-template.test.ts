import assert from 'node:assert/strict';
import { after, beforeEach, test } from 'node:test';
import { toNameClaims } from '#src/identity/account-name.ts';
import { Secret } from '#src/lib/secret.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { peopleBase, personDn, policiesBase, service } from '#test/servers/slapd-data.ts';
import { ManualClock } from '#test/support/clock.ts';
import { openDirectory } from './directories.ts';

const special = ['comma, plus+ "quote" <x>;=', '#hash', 'юлия'];

/** Entries may be read by who knows their DN; nobody finds them. */
const server = await startSlapd({
  access: [`access to dn.exact="${peopleBase}" by dn.exact="${service.dn}" none by * break`],
  people: [
    ...special.map((uid) => ({ uid, password: 'special-password' })),
    { uid: 'leaver', password: 'leaver-password' },
    {
      uid: 'shut',
      password: 'shut-password',
      attributes: { pwdAccountLockedTime: '000001010000Z', pwdPolicySubentry: `cn=strict,${policiesBase}` },
    },
  ],
});
const users = { baseDn: peopleBase, dnTemplate: `uid=%USERNAME%,${peopleBase}` };
const clock = new ManualClock();
const corp = openDirectory({ servers: [server.url], options: { users, groups: undefined }, clock });
after(async () => {
  await corp[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});
beforeEach(() => clock.advance(60_000));

const rows: readonly { readonly name: string; readonly password: string; readonly expect: string }[] = [
  { name: 'alice', password: 'alice-password', expect: 'verified' },
  { name: ' ＡＬＩＣＥ', password: 'alice-password', expect: 'verified' },
  { name: 'alice', password: 'wrong', expect: 'wrong-password' },
  { name: 'shut', password: 'shut-password', expect: 'account-locked' },
  { name: 'nobody', password: 'x', expect: 'unknown-account' },
  { name: 'alice@example.test', password: 'alice-password', expect: 'unknown-account' },
  { name: 'alice,ou=people', password: 'alice-password', expect: 'unknown-account' },
  { name: 'alice+cn=alice', password: 'alice-password', expect: 'unknown-account' },
  ...special.map((name) => ({ name, password: 'special-password', expect: 'verified' })),
];
for (const { name, password, expect } of rows) {
  test(`${JSON.stringify(name)} is found by its DN alone: ${expect}`, async () => {
    assert.equal(await corp.judge(name, password), expect);
  });
}

test('the same people are not to be found by a search', async () => {
  await using searching = openDirectory({
    servers: [server.url],
    options: { users: { baseDn: peopleBase }, groups: undefined },
  });
  await assert.rejects(searching.judge('alice', 'alice-password'), { code: 'PROVIDER_MISCONFIGURED' });
});

test('nothing but the entry of the person is asked for', async () => {
  await server.clearOperations();
  assert.equal(await corp.judge('bob', 'bob-password'), 'verified');
  const searches = (await server.operations()).filter(
    ({ kind, dn }) => kind === 'search' && dn.endsWith(peopleBase),
  );
  assert.deepEqual(
    searches.map(({ dn, scope }) => [dn, scope]),
    [[personDn('bob'), 'base']],
  );
});

test('a suffix of this directory is taken off before the DN is filled', async () => {
  const admitted: string[] = [];
  const outcome = await corp.directory.verify('alice@corp.test', new Secret('alice-password'), {
    signal: AbortSignal.timeout(10_000),
    claims: toNameClaims({ suffixes: ['corp.test'] }),
    admit: async (account) => {
      admitted.push(account);
    },
  });
  assert.equal(outcome.kind, 'verified');
  assert.deepEqual(admitted, ['alice']);
});

test('somebody who is gone is ended at the next look-up', async () => {
  const outcome = await corp.verify('leaver', 'leaver-password');
  assert.ok(outcome.kind === 'verified');
  const found = await corp.directory.lookup(outcome.person, AbortSignal.timeout(10_000));
  assert.equal(found.kind, 'found');
  await server.modify(`dn: ${personDn('leaver')}\nchangetype: delete\n`);
  clock.advance(60_000);
  assert.deepEqual(await corp.directory.lookup(outcome.person, AbortSignal.timeout(10_000)), {
    kind: 'ended',
    reason: 'unknown-account',
  });
});
