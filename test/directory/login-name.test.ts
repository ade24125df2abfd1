import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isAcceptablePassword, toLoginName } from '#src/directory/login-name.ts';
import { isClaimed, parseAccountName, toNameClaims } from '#src/identity/account-name.ts';
import { Secret } from '#src/lib/secret.ts';

const claims = toNameClaims({ suffixes: ['corp.test'], domains: ['CORP'] });

const names: readonly { typed: string; usernames: readonly string[]; address?: string }[] = [
  { typed: 'alice', usernames: ['alice'] },
  { typed: 'CORP\\alice', usernames: ['alice'] },
  { typed: 'corp＼Alice', usernames: ['Alice'] },
  { typed: 'OTHER\\alice', usernames: ['OTHER\\alice'] },
  { typed: 'alice@corp.test', usernames: ['alice', 'alice@corp.test'], address: 'alice@corp.test' },
  { typed: 'alice＠CORP.test', usernames: ['alice', 'alice@CORP.test'], address: 'alice@CORP.test' },
  { typed: 'alice@other.test', usernames: ['alice@other.test'], address: 'alice@other.test' },
  { typed: 'alice@sub.corp.test', usernames: ['alice@sub.corp.test'], address: 'alice@sub.corp.test' },
];

for (const { typed, usernames, address } of names) {
  test(`${typed} is looked for as ${usernames.join(' or ')}`, () => {
    assert.deepEqual(toLoginName(typed, claims), { usernames, address });
  });
}

test('without claims nothing is taken off a name', () => {
  for (const typed of ['alice', 'CORP\\alice', 'alice@corp.test']) {
    assert.deepEqual(toLoginName(typed)?.usernames, [typed]);
  }
});

test('nobody else’s suffix or domain is ever taken off, whatever is typed', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'binary', maxLength: 80 }),
      fc.constantFrom('@', '\\', '＠', '＼'),
      (typed, separator) => {
        const account = parseAccountName(`${typed}${separator}corp.test`);
        const name = toLoginName(
          `${typed}${separator}corp.test`,
          toNameClaims({ suffixes: ['corp'], domains: ['c'] }),
        );
        assert.equal(name === undefined, account === undefined);
        if (account !== undefined && !isClaimed(account, claims))
          assert.ok(name?.usernames.includes(account.text));
        if (name !== undefined) assert.ok(!name.usernames.some((each) => each === '' || each.includes('\0')));
      },
    ),
  );
});

test('passwords are taken as they are, up to 1,024 bytes', () => {
  for (const password of ['x', ' ', 'a\0b', 'x'.repeat(1_024), 'я'.repeat(512)]) {
    assert.ok(isAcceptablePassword(new Secret(password)));
  }
  for (const password of ['', 'x'.repeat(1_025), 'я'.repeat(513), '\ud800']) {
    assert.ok(!isAcceptablePassword(new Secret(password)));
  }
});
