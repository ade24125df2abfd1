import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { Secret } from '#src/lib/secret.ts';
import { createLdapProvider } from '#src/providers/ldap/ldap-provider.ts';
import type { Attempt } from '#src/providers/provider.ts';
import { providerContract } from '#test/contract/provider-contract.ts';
import { openDirectory } from '#test/directory/directories.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { personDn } from '#test/servers/slapd-data.ts';
import { ManualClock } from '#test/support/clock.ts';

const server = await startSlapd();
const clock = new ManualClock();
const corp = openDirectory({ servers: [server.url], clock });
const provider = createLdapProvider(
  { name: 'staff', type: 'ldap', title: undefined, directory: 'corp' },
  corp.directory,
);
after(async () => {
  await provider[Symbol.asyncDispose]();
  await corp[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const attempt = (): Attempt => ({
  clientAddress: '192.0.2.1',
  signal: AbortSignal.timeout(5_000),
  admit: async () => {},
});
const typed = (username: string, password: string, chosen?: string) => ({
  kind: 'password' as const,
  username,
  password: new Secret(password),
  provider: chosen,
});

test('the right password makes a principal with a stable subject, without roles', async () => {
  const outcome = await provider.authenticate(typed('IVAN', 'пароль-Ивана'), attempt());
  assert.ok(outcome.kind === 'authenticated');
  const { principal } = outcome;
  assert.match(principal.subject, /^[0-9a-f-]{36}$/);
  assert.deepEqual(
    [principal.provider, principal.username, principal.displayName, principal.accessLevel, principal.roles],
    ['staff', 'ivan', 'Иван Петров', 'user', []],
  );
  assert.deepEqual(
    principal.groups.map(({ name }) => name),
    ['staff', 'employees', 'everyone'],
  );
});

const rejections = [
  ['alice', 'wrong', 'wrong-password'],
  ['nobody', 'x', 'unknown-account'],
  ['locked', 'locked-password', 'account-locked'],
  ['alice', '', 'credentials-malformed'],
] as const;

for (const [username, password, reason] of rejections) {
  test(`${username} is rejected: ${reason}`, async () => {
    assert.deepEqual(await provider.authenticate(typed(username, password), attempt()), {
      kind: 'rejected',
      reason,
    });
  });
}

test('a password meant for another provider is not ours', async () => {
  assert.deepEqual(await provider.authenticate(typed('alice', 'alice-password', 'other'), attempt()), {
    kind: 'not-applicable',
  });
  const ours = await provider.authenticate(typed('alice', 'alice-password', 'staff'), attempt());
  assert.equal(ours.kind, 'authenticated');
});

test('a refresh reads the person again, and ends somebody who is gone', async () => {
  const outcome = await provider.authenticate(typed('bob', 'bob-password'), attempt());
  assert.ok(outcome.kind === 'authenticated');
  await server.modify(
    `dn: ${personDn('bob')}\nchangetype: modify\nreplace: mail\nmail: robert@example.test\n`,
  );
  clock.advance(2_001);
  const current = await provider.refresh(outcome.principal, AbortSignal.timeout(5_000));
  assert.ok(current.kind === 'current' && !current.stale);
  assert.equal(current.principal.email, 'robert@example.test');
  await server.modify(`dn: ${personDn('bob')}\nchangetype: delete\n`);
  clock.advance(2_001);
  assert.deepEqual(await provider.refresh(outcome.principal, AbortSignal.timeout(5_000)), {
    kind: 'ended',
    reason: 'unknown-account',
  });
});

providerContract('people of an LDAP directory', async () => {
  const fixture = openDirectory({ servers: [server.url] });
  return {
    provider: createLdapProvider(
      { name: 'staff', type: 'ldap', title: undefined, directory: 'corp' },
      fixture.directory,
    ),
    account: { username: 'alice', password: 'alice-password', spellings: ['ALICE', ' alice', 'ａｌｉｃｅ'] },
    [Symbol.asyncDispose]: async () => await fixture[Symbol.asyncDispose](),
  };
});
