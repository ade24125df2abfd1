import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mailbox } from '#src/gateway/mailbox/mailbox.ts';
import { systemClock } from '#src/lib/clock.ts';
import { createLogger } from '#src/observability/logger.ts';
import { Metrics } from '#src/observability/metrics.ts';
import { zimbraOptions } from '#src/preauth/options.ts';
import { aliceId, key } from '#test/preauth/site.ts';
import { principalOf } from '#test/support/principals.ts';

const surroundings = {
  clock: systemClock,
  logger: createLogger({ level: 'debug', sink: { write: () => {} } }),
  metrics: new Metrics(),
};

function mailboxWith(options: Readonly<Record<string, unknown>>): Mailbox {
  const domains = { 'example.test': { preauthKey: key }, 'other.test': { preauthKey: key } };
  const parsed = zimbraOptions.parse({
    name: 'mail',
    url: 'https://mail.example.test',
    domains,
    healthInterval: 0,
    ...options,
  });
  return new Mailbox(parsed, surroundings);
}

const cases: readonly (readonly [
  name: string,
  options: Readonly<Record<string, unknown>>,
  person: Parameters<typeof principalOf>[0],
  expected: { readonly account: string; readonly domain: string } | string,
])[] = [
  ['an address', {}, { email: 'a@other.test' }, { account: 'a@other.test', domain: 'other.test' }],
  ['no address', {}, { email: undefined }, 'account-missing'],
  ['an address with a control character', {}, { email: 'a\u0007@other.test' }, 'account-missing'],
  [
    'an attribute with one value, and a domain beside it',
    { by: 'id', account: '${attributes.zimbraId}', domain: '${attributes.mailDomain}' },
    { attributes: { zimbraId: [aliceId], mailDomain: ['other.test'] } },
    { account: aliceId, domain: 'other.test' },
  ],
  [
    'an attribute with two values: whose mailbox would that be',
    { account: '${attributes.mail}' },
    { attributes: { mail: ['a@other.test', 'b@other.test'] } },
    'account-missing',
  ],
  ['an attribute nobody has', { account: '${attributes.mail}' }, {}, 'account-missing'],
  [
    'a name that brings a domain of its own',
    { account: '${username}@example.test' },
    { username: 'a@evil.test' },
    'domain-unknown',
  ],
  [
    'a name that brings a bar',
    { account: '${username}@example.test' },
    { username: 'a|1' },
    'account-malformed',
  ],
];
for (const [name, options, person, expected] of cases) {
  test(`the account of a person with ${name}`, async () => {
    await using mailbox = mailboxWith(options);
    assert.deepEqual(mailbox.zimbra.accountOf(principalOf(person)), expected);
  });
}
