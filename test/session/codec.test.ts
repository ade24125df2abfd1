import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { GroupTable } from '#src/identity/group.ts';
import { SessionDecoder, toStoredPrincipal } from '#src/session/codec.ts';
import type { StoredPrincipal } from '#src/state/session-store.ts';

const person = (subject: string, more: Partial<StoredPrincipal> = {}): StoredPrincipal => ({
  provider: 'corp',
  subject,
  username: subject,
  groups: [{ name: 'staff', dn: 'cn=staff,dc=example', directory: 'corp' }, { name: 'local' }],
  roles: ['editor', 'reader'],
  accessLevel: 'user',
  attributes: { phone: ['1'] },
  ...more,
});

describe('principals that are read from the store', () => {
  test('come back as they were stored', () => {
    const decoder = new SessionDecoder(new GroupTable());
    const stored = person('alice', { email: 'alice@example.test', displayName: 'Алиса' });
    assert.deepEqual(toStoredPrincipal(decoder.toPrincipal(stored)), stored);
  });

  test('share their groups and roles, which are a handful for thousands of people', () => {
    const decoder = new SessionDecoder(new GroupTable());
    const [alice, bob] = [person('alice'), person('bob')].map((each) => decoder.toPrincipal(each));
    assert.equal(alice?.roles, bob?.roles);
    assert.equal(alice?.groups[0], bob?.groups[0]);
  });

  const lists: readonly (readonly [roles: readonly string[], others: readonly string[]])[] = [
    [['editor'], ['reader']],
    [['editor', 'reader'], ['editor']],
    [
      ['editor', 'reader'],
      ['reader', 'editor'],
    ],
    [['editor'], []],
    [['a,b'], ['a', 'b']],
  ];
  for (const [roles, others] of lists) {
    test(`with the roles ${JSON.stringify(roles)} get nothing of ${JSON.stringify(others)}`, () => {
      const decoder = new SessionDecoder(new GroupTable());
      assert.deepEqual(decoder.toPrincipal(person('alice', { roles })).roles, roles);
      assert.deepEqual(decoder.toPrincipal(person('bob', { roles: others })).roles, others);
      assert.deepEqual(decoder.toPrincipal(person('carol', { roles })).roles, roles);
    });
  }
});
