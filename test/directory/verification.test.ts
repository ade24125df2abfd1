import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import { toNameClaims } from '#src/identity/account-name.ts';
import { Secret } from '#src/lib/secret.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { personDn } from '#test/servers/slapd-data.ts';
import { until } from '#test/support/until.ts';
import { openDirectory } from './directories.ts';

const special = ['paren(s)*\\', 'comma, plus+ "quote" <x>;=', '#hash', 'юлия', 'zoë'];

const server = await startSlapd({
  people: [
    ...special.map((uid) => ({ uid, password: 'special-password' })),
    // Many directories let people write their own address.
    { uid: 'mallory', password: 'mallory-password', mail: 'alice' },
    { uid: 'alias', password: 'alias-password', mail: 'ivan@corp.test' },
  ],
});
const corp = openDirectory({ servers: [server.url] });
after(async () => {
  await corp[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
});

const answers: readonly { name: string; username: string; password: string; expect: string }[] = [
  { name: 'the right password', username: 'alice', password: 'alice-password', expect: 'verified' },
  { name: 'the right password in Cyrillic', username: 'ivan', password: 'пароль-Ивана', expect: 'verified' },
  { name: 'a wrong password', username: 'alice', password: 'Alice-password', expect: 'wrong-password' },
  { name: 'an unknown account', username: 'nobody', password: 'alice-password', expect: 'unknown-account' },
  {
    name: 'two entries of one name',
    username: 'twin',
    password: 'twin-password',
    expect: 'ambiguous-account',
  },
  { name: 'a locked account', username: 'locked', password: 'locked-password', expect: 'account-locked' },
  { name: 'a locked account, wrong password', username: 'locked', password: 'x', expect: 'account-locked' },
  {
    name: 'a password to be changed',
    username: 'mustchange',
    password: 'mustchange-password',
    expect: 'password-must-change',
  },
  {
    name: 'an expired password',
    username: 'expired',
    password: 'expired-password',
    expect: 'password-expired',
  },
  {
    name: 'an expired password with a grace sign-in left',
    username: 'grace',
    password: 'grace-password',
    expect: 'password-expired',
  },
  { name: 'the wildcard', username: '*', password: 'x', expect: 'unknown-account' },
  {
    name: 'a wildcard behind letters',
    username: 'al*',
    password: 'alice-password',
    expect: 'unknown-account',
  },
  {
    name: 'a filter in the name',
    username: 'alice)(objectClass=*',
    password: 'alice-password',
    expect: 'unknown-account',
  },
  {
    name: 'an escape in the name',
    username: 'alic\\65',
    password: 'alice-password',
    expect: 'unknown-account',
  },
  ...['EXTERNAL', 'PLAIN', 'DIGEST-MD5', 'SCRAM-SHA-1'].map((mechanism) => ({
    name: `the SASL mechanism ${mechanism}`,
    username: mechanism,
    password: 'dn:cn=admin,dc=example,dc=test',
    expect: 'unknown-account',
  })),
  ...special.map((uid) => ({
    name: `the special characters of ${uid}`,
    username: uid,
    password: 'special-password',
    expect: 'verified',
  })),
];

for (const { name, username, password, expect } of answers) {
  test(`${name}: ${expect}`, async () => {
    assert.equal(await corp.judge(username, password), expect);
  });
}

test('many spellings of one name are one person', async () => {
  const ids = new Set<string>();
  for (const spelling of ['alice', 'ALICE', ' alice ', '\u00a0alice', 'ａｌｉｃｅ']) {
    const outcome = await corp.verify(spelling, 'alice-password');
    assert.equal(outcome.kind, 'verified', spelling);
    if (outcome.kind === 'verified') ids.add(`${outcome.person.id} ${outcome.person.username}`);
  }
  assert.equal(ids.size, 1);
});

const corpTest = toNameClaims({ suffixes: ['corp.test'], domains: ['CORP'] });
const withSuffix: readonly { readonly typed: string; readonly password: string; readonly expect: string }[] =
  [
    { typed: 'alice', password: 'mallory-password', expect: 'wrong-password' },
    { typed: 'alice@corp.test', password: 'alice-password', expect: 'alice' },
    { typed: 'CORP\\alice', password: 'alice-password', expect: 'alice' },
    { typed: 'alice@example.test', password: 'alice-password', expect: 'alice' },
    { typed: 'alice@other.test', password: 'alice-password', expect: 'unknown-account' },
    { typed: 'OTHER\\alice', password: 'alice-password', expect: 'unknown-account' },
    // The name of one person and the address of another: never the first of them.
    { typed: 'ivan@corp.test', password: 'пароль-Ивана', expect: 'ambiguous-account' },
    { typed: 'ivan@corp.test', password: 'alias-password', expect: 'ambiguous-account' },
    { typed: 'ivan', password: 'пароль-Ивана', expect: 'ivan' },
    { typed: 'alias', password: 'alias-password', expect: 'alias' },
  ];
for (const { typed, password, expect } of withSuffix) {
  test(`${typed} where corp.test and CORP are its own: ${expect}`, async () => {
    const admitted: string[] = [];
    const outcome = await corp.directory.verify(typed, new Secret(password), {
      signal: AbortSignal.timeout(10_000),
      claims: corpTest,
      admit: async (account) => {
        admitted.push(account);
      },
    });
    assert.equal(outcome.kind === 'verified' ? outcome.person.username : outcome.reason, expect);
    // Whoever is known is counted by the one name, whatever was typed.
    if (outcome.kind === 'verified') assert.deepEqual(admitted, [outcome.person.username]);
  });
}

test('a decomposed name finds the composed one', async () => {
  assert.equal(await corp.judge('zoe\u0308', 'special-password'), 'verified');
});

test('a person comes with attributes, a stable id and the canonical name', async () => {
  await using more = openDirectory({
    servers: [server.url],
    options: {
      users: {
        baseDn: 'ou=people,dc=example,dc=test',
        filter: '(|(uid=%USERNAME%)(mail=%USERNAME%))',
        attributes: { department: 'DEPARTMENTNUMBER', phone: 'telephoneNumber', missing: 'l' },
      },
    },
  });
  const outcome = await more.verify('alice@example.test', 'alice-password');
  assert.ok(outcome.kind === 'verified');
  const { person } = outcome;
  assert.match(person.id, /^[0-9a-f]{8}-[0-9a-f-]{27}$/);
  assert.equal(person.dn, personDn('alice'));
  assert.deepEqual(
    [person.username, person.email, person.givenName, person.familyName, person.displayName],
    ['alice', 'alice@example.test', 'Alice', 'Adams', 'Alice Adams'],
  );
  assert.deepEqual(person.attributes['department']?.toSorted(), ['Archive', 'Research']);
  assert.deepEqual(person.attributes['phone'], ['+385 1 555 0100']);
  assert.deepEqual(person.attributes['missing'], []);
});

test('an account with several wrong passwords is locked, then unlocked by the administrator', async () => {
  for (let attempt = 0; attempt < 3; attempt++) {
    assert.equal(await corp.judge('lockable', `wrong-${attempt}`), 'wrong-password');
  }
  assert.equal(await corp.judge('lockable', 'lockable-password'), 'account-locked');
  await server.modify(`dn: ${personDn('lockable')}\nchangetype: modify\ndelete: pwdAccountLockedTime\n`);
  assert.equal(await corp.judge('lockable', 'lockable-password'), 'verified');
});

const malformed: readonly { name: string; username: string; password: string }[] = [
  { name: 'an empty name', username: '', password: 'x' },
  { name: 'a blank name', username: ' \u00a0 ', password: 'x' },
  { name: 'an empty password', username: 'alice', password: '' },
  { name: 'a name of 257 bytes', username: 'a'.repeat(257), password: 'x' },
  { name: 'a name of 129 two-byte letters', username: 'я'.repeat(129), password: 'x' },
  { name: 'a password of 1,025 bytes', username: 'alice', password: 'x'.repeat(1_025) },
  { name: 'a password of 513 two-byte letters', username: 'alice', password: 'я'.repeat(513) },
  { name: 'NUL in the name', username: 'alice\0', password: 'x' },
  { name: 'a line break in the name', username: 'alice\n', password: 'x' },
  { name: 'half a surrogate pair in the name', username: 'alice\ud800', password: 'x' },
  { name: 'half a surrogate pair in the password', username: 'alice', password: 'x\udc00' },
];

for (const { name, username, password } of malformed) {
  test(`${name} is refused and nothing is sent`, async () => {
    await server.clearOperations();
    const searches = await corp.count('vratar_directory_operations_total', { operation: 'search' });
    assert.equal(await corp.judge(username, password), 'credentials-malformed');
    assert.equal(await corp.count('vratar_directory_operations_total', { operation: 'search' }), searches);
    // The farewell of an earlier test's tool may be logged late; it asks nothing.
    const asked = (await server.operations()).filter(({ kind }) => kind !== 'unbind');
    assert.deepEqual(asked, []);
  });
}

test('an attempt is admitted by its canonical name before the password is tried, and not beyond a refusal', async () => {
  const admitted: string[] = [];
  await server.clearOperations();
  const attempt = corp.directory.verify(' ALICE', new Secret('alice-password'), {
    signal: AbortSignal.timeout(5_000),
    admit: async (account) => {
      admitted.push(account);
      throw new GatewayError('THROTTLED', 'too many');
    },
  });
  await assert.rejects(attempt, { code: 'THROTTLED' });
  assert.deepEqual(admitted, ['alice']);
  const binds = (await server.operations()).filter(
    ({ kind, dn }) => kind === 'bind' && dn === personDn('alice'),
  );
  assert.deepEqual(binds, []);
});

test('a caller that goes away ends its wait at once', async () => {
  const caller = new AbortController();
  caller.abort(new Error('the browser closed the connection'));
  const attempt = corp.directory.verify('alice', new Secret('alice-password'), {
    signal: caller.signal,
    admit: async () => assert.fail('nobody waits for this attempt'),
  });
  await assert.rejects(attempt, { code: 'PROVIDER_UNAVAILABLE' });
});

test('requests with one password at one moment share a bind, another password does not', async () => {
  await server.clearOperations();
  const outcomes = await Promise.all([
    ...Array.from({ length: 30 }, async () => await corp.judge('bob', 'bob-password')),
    corp.judge('bob', 'guess'),
  ]);
  assert.deepEqual(new Set(outcomes.slice(0, 30)), new Set(['verified']));
  assert.equal(outcomes[30], 'wrong-password');
  const binds = (await server.operations()).filter(
    ({ kind, dn }) => kind === 'bind' && dn === personDn('bob'),
  );
  assert.equal(binds.length, 2);
});

test('fifty people at once, first thing after start: everybody is answered over at most ten connections', async () => {
  await using many = await startSlapd({ bulk: { people: 50, teams: 5 } });
  await using cold = openDirectory({ servers: [many.url] });
  const outcomes = await Promise.all(
    Array.from({ length: 50 }, async (_, n) => {
      const number = String(n).padStart(6, '0');
      return await cold.judge(`u${number}`, n % 10 === 0 ? 'wrong' : `password-${number}`);
    }),
  );
  assert.equal(outcomes.filter((outcome) => outcome === 'verified').length, 45);
  assert.equal(outcomes.filter((outcome) => outcome === 'wrong-password').length, 5);
  // The server may still be closing that of its start.
  const what = 'at most ten open connections';
  await until(async () => (await many.openConnections()) <= 10, { timeoutMs: 30_000, what });
});

test('the service account refused is a matter of configuration, and is not tried again at once', async () => {
  await using wrong = openDirectory({
    servers: [server.url],
    options: { bind: { dn: 'cn=vratar,dc=example,dc=test', password: 'outdated' } },
  });
  await server.clearOperations();
  for (let attempt = 0; attempt < 5; attempt++) {
    await assert.rejects(wrong.verify('alice', 'alice-password'), { code: 'PROVIDER_MISCONFIGURED' });
  }
  const tried = (await server.operations()).filter(({ kind }) => kind === 'bind');
  assert.ok(tried.length <= 3, `the service account was tried ${tried.length} times`);
  assert.equal(wrong.log.of('directory-server-misconfigured').length, 1);
  assert.ok(!JSON.stringify(wrong.log.lines).includes('outdated'));
});

test('an empty service password, from an empty secret file, binds nowhere and is a matter of configuration', async () => {
  await using wrong = openDirectory({
    servers: [server.url],
    options: { bind: { dn: 'cn=vratar,dc=example,dc=test', password: new Secret('') } },
  });
  await assert.rejects(wrong.verify('alice', 'alice-password'), { code: 'PROVIDER_MISCONFIGURED' });
});

test('a base DN that does not exist is a matter of configuration, never an unknown account', async () => {
  await using wrong = openDirectory({
    servers: [server.url],
    options: { users: { baseDn: 'ou=nowhere,dc=example,dc=test' } },
  });
  await assert.rejects(wrong.verify('alice', 'alice-password'), { code: 'PROVIDER_MISCONFIGURED' });
});

test('after disposing no connection is open and nothing more is answered', async () => {
  const once = openDirectory({ servers: [server.url] });
  assert.equal(await once.judge('alice', 'alice-password'), 'verified');
  const before = await server.openConnections();
  await once[Symbol.asyncDispose]();
  await assert.rejects(once.verify('alice', 'alice-password'), { code: 'PROVIDER_UNAVAILABLE' });
  await until(async () => (await server.openConnections()) < before, { timeoutMs: 30_000 });
});
