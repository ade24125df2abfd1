import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readConfig } from '#src/config/load.ts';
import { readLines, serverLine } from '#test/config/reading.ts';

const key = '6b7ead4bd425836e8cf0079cd6c1a05acc127acd07c8ee4b61023e19250e929c';
const domains = `domains: { example.com: { preauthKey: "${key}" } }`;
const provider = 'providers: [ { name: a, type: local, users: [ { username: b } ] } ]\n';
const mailbox = (rest: string): string =>
  `${serverLine}${provider}zimbra: [ { name: mail, url: "https://mail.example.com", ${rest} } ]\n`;

test('what the contract writes is accepted, and the key is a secret', () => {
  const yaml = mailbox(`title: Mail, account: "\${email}", by: name, ${domains}, expires: 0`);
  const { config, problems } = readConfig(yaml, { folder: '/nonexistent', env: {} });
  assert.deepEqual(problems, []);
  const [mail] = config?.zimbra ?? [];
  assert.equal(String(mail?.domains['example.com']?.preauthKey), '[secret]');
  assert.equal(mail?.domains['example.com']?.preauthKey.reveal(), key);
  assert.equal(mail?.interface, 'url');
  assert.equal(mail?.access, 'authenticated');
});

test('keys come from the environment as well, and a missing one is a problem at its place', () => {
  const yaml = mailbox('domains: { example.com: { preauthKey: { env: ZIMBRA_KEY } } }');
  assert.deepEqual(readLines(yaml, { ZIMBRA_KEY: key }).problems, []);
  assert.equal(readLines(yaml).problems.length, 1);
  assert.match(
    readLines(yaml).problems[0] ?? '',
    /preauthKey\.env: the environment variable ZIMBRA_KEY is not set$/,
  );
});

const refused: readonly (readonly [name: string, options: string, expect: RegExp])[] = [
  [
    'a key of 63 digits',
    `domains: { example.com: { preauthKey: "${key.slice(1)}" } }`,
    /preauthKey: expected the 64 hex/,
  ],
  [
    'a key that is no hex',
    `domains: { example.com: { preauthKey: "${'x'.repeat(64)}" } }`,
    /expected the 64 hexadecimal/,
  ],
  ['no domain', 'domains: {}', /domains: names no domain/],
  ['a domain in upper case', `domains: { Example.com: { preauthKey: "${key}" } }`, /lower case/],
  [
    'clear text',
    `${domains}, url: "http://mail.example.com"`,
    /would carry the sign-in in clear text; use https/,
  ],
  ['one mailbox for everybody', `${domains}, account: shared@example.com`, /same for everybody/],
  ['a list as the account', `${domains}, account: "\${groups}"`, /\$\{groups\} is no single fact/],
  ['an unknown fact', `${domains}, account: "\${mail}"`, /\$\{mail\} is no single fact/],
  [
    'everybody, signed in or not',
    `${domains}, access: public`,
    /nobody has a mailbox without being signed in/,
  ],
  [
    'an administration port for nobody',
    `${domains}, adminUrl: "https://mail.example.com:7071"`,
    /needs admin/,
  ],
  ['administrators without a port', `${domains}, admin: authenticated`, /needs adminUrl/],
  [
    'a deep link that chooses the account',
    `${domains}, deepLinks: [ { account: x } ]`,
    /is a parameter of preauth itself/,
  ],
  [
    'a deep link to anywhere',
    `${domains}, deepLinks: [ { redirectURL: x } ]`,
    /is a parameter of preauth itself/,
  ],
  [
    'a successor without an instant',
    `domains: { example.com: { preauthKey: "${key}", nextPreauthKey: "${key}" } }`,
    /needs nextKeyFrom, or interface: soap/,
  ],
  [
    'an instant without a successor',
    `domains: { example.com: { preauthKey: "${key}", nextKeyFrom: "2026-11-22T03:00:00Z" } }`,
    /nextKeyFrom without nextPreauthKey/,
  ],
  [
    'an instant without a zone',
    `domains: { example.com: { preauthKey: "${key}", nextPreauthKey: "${key}", nextKeyFrom: "2026-11-22T03:00:00" } }`,
    /expected an instant such as/,
  ],
  [
    'two domains that nothing tells apart',
    `by: id, domains: { a.com: { preauthKey: "${key}" }, b.com: { preauthKey: "${key}" } }`,
    /by: id does not say which of the domains' keys signs/,
  ],
];
for (const [name, options, expect] of refused) {
  test(`${name} is refused`, () => {
    const yaml = options.includes('url:')
      ? `${serverLine}${provider}zimbra: [ { name: mail, ${options} } ]\n`
      : mailbox(options);
    const { problems } = readLines(yaml);
    assert.ok(problems.length > 0, 'no problem');
    assert.ok(
      problems.some((line) => expect.test(line)),
      problems.join('\n'),
    );
  });
}

test('two mailboxes cannot share a name', () => {
  const one = `{ name: mail, url: "https://m.example.com", ${domains} }`;
  const { problems } = readLines(`${serverLine}${provider}zimbra: [ ${one}, ${one} ]\n`);
  assert.equal(problems.length, 1);
  assert.match(problems[0] ?? '', /zimbra\[1\]\.name: is the name of zimbra\[0\] already$/);
});
