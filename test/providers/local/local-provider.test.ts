import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import { GroupTable } from '#src/identity/group.ts';
import { generatePassword, generatePasswords } from '#src/providers/local/generated-passwords.ts';
import { createLocalProvider } from '#src/providers/local/local-provider.ts';
import type { LocalProviderOptions } from '#src/providers/local/options.ts';
import { createPasswordHash } from '#src/providers/password-hash.ts';
import type { Provider } from '#src/providers/provider.ts';
import { passwordCredential, providerContract, recordAttempt } from '#test/contract/provider-contract.ts';

const passwordHash = await createPasswordHash('wonderland');
const alice = {
  username: 'Alice',
  passwordHash,
  email: 'alice@example.com',
  displayName: 'Alice Liddell',
  groups: ['admins', 'Čuvari'],
};

function createStaff(
  users: LocalProviderOptions['users'],
  generatedHashes: ReadonlyMap<string, string> = new Map(),
): Provider {
  return createLocalProvider(
    { name: 'staff', type: 'local', title: undefined, users },
    { groupTable: new GroupTable(), generatedHashes },
  );
}

providerContract('local accounts', async () => {
  const provider = createStaff([alice]);
  return {
    provider,
    account: { username: 'Alice', password: 'wonderland', spellings: ['alice', ' ALICE ', 'ａlice'] },
    [Symbol.asyncDispose]: async () => await provider[Symbol.asyncDispose](),
  };
});

describe('a local account', () => {
  test('is what the configuration says of it', async () => {
    const outcome = await createStaff([alice]).authenticate(
      passwordCredential('alice', 'wonderland'),
      recordAttempt(),
    );
    assert.equal(outcome.kind, 'authenticated');
    const { groups, ...person } = outcome.principal;
    assert.deepEqual(person, {
      provider: 'staff',
      subject: 'Alice',
      username: 'Alice',
      email: 'alice@example.com',
      displayName: 'Alice Liddell',
      givenName: undefined,
      familyName: undefined,
      roles: [],
      accessLevel: 'user',
      attributes: {},
    });
    assert.deepEqual(
      groups.map(({ name, dn, foldedName }) => ({ name, dn, foldedName })),
      [
        { name: 'admins', dn: undefined, foldedName: 'admins' },
        { name: 'Čuvari', dn: undefined, foldedName: 'čuvari' },
      ],
    );
  });

  test('that left the configuration ends its sessions', async () => {
    const before = createStaff([alice, { ...alice, username: 'bob' }]);
    const outcome = await before.authenticate(passwordCredential('bob', 'wonderland'), recordAttempt());
    assert.equal(outcome.kind, 'authenticated');
    const after = createStaff([alice]);
    assert.deepEqual(await after.refresh(outcome.principal, AbortSignal.timeout(1_000)), {
      kind: 'ended',
      reason: 'unknown-account',
    });
  });

  test('whose groups changed is confirmed with the new ones', async () => {
    const outcome = await createStaff([alice]).authenticate(
      passwordCredential('alice', 'wonderland'),
      recordAttempt(),
    );
    assert.equal(outcome.kind, 'authenticated');
    const refreshed = await createStaff([{ ...alice, groups: ['guests'] }]).refresh(
      outcome.principal,
      AbortSignal.timeout(1_000),
    );
    assert.equal(refreshed.kind, 'current');
    assert.deepEqual(
      refreshed.principal.groups.map(({ name }) => name),
      ['guests'],
    );
  });

  const invalid = [
    { name: 'without any hash', users: [{ username: 'bob', groups: [] }] },
    { name: 'whose name another has in other letters', users: [alice, { ...alice, username: 'ALICE' }] },
    {
      name: 'whose hash is out of bounds',
      users: [{ ...alice, passwordHash: passwordHash.replace('m=19456', 'm=99999999') }],
    },
  ];
  for (const { name, users } of invalid) {
    test(`${name} is refused at start`, () => {
      assert.throws(
        () => createStaff(users),
        (error) => error instanceof GatewayError && error.code === 'CONFIG_INVALID',
      );
    });
  }
});

describe('a generated password', () => {
  test('opens the account it was made for, and no other start knows it', async () => {
    const options: LocalProviderOptions = {
      name: 'staff',
      type: 'local',
      title: undefined,
      users: [{ username: 'demo', groups: [] }, alice],
    };
    const [first, second] = [await generatePasswords([options]), await generatePasswords([options])];
    assert.deepEqual([...first.passwords.keys()], ['staff:demo']);
    const password = first.passwords.get('staff:demo') ?? '';
    const kindOf = async (hashes: ReadonlyMap<string, string>): Promise<string> => {
      const provider = createStaff(options.users, hashes);
      return (await provider.authenticate(passwordCredential('demo', password), recordAttempt())).kind;
    };
    assert.equal(await kindOf(first.hashes), 'authenticated');
    assert.equal(await kindOf(second.hashes), 'rejected');
  });

  test('can be read aloud and has more than 80 bits', () => {
    const passwords = Array.from({ length: 500 }, generatePassword);
    assert.equal(new Set(passwords).size, 500);
    for (const password of passwords) assert.match(password, /^([a-hjkmnp-z2-9]{5}-){3}[a-hjkmnp-z2-9]{5}$/);
    const letters = new Set(passwords.join('').replaceAll('-', ''));
    assert.equal(letters.size, 31);
    assert.ok(20 * Math.log2(letters.size) > 80);
  });
});
