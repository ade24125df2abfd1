import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { directoryConfig, type Slapd, startSlapd } from '#test/servers/slapd.ts';
import type { PersonEntry } from '#test/servers/slapd-data.ts';
import { peopleBase, personDn, service } from '#test/servers/slapd-data.ts';
import { type Received, startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { ManualClock } from '#test/support/clock.ts';
import { type Answer, ask, csrfOf, Visitor } from '#test/support/http-client.ts';

const wiki = ['Host', 'wiki.example.test'] as const;

/** Two companies under one roof: one alice in each, and one person with an address that is nobody's own suffix. */
const people: Readonly<Record<'north' | 'south', readonly PersonEntry[]>> = {
  north: [
    { uid: 'alice', password: 'north-alice', mail: 'alice@north.test' },
    { uid: 'nora', password: 'north-nora', mail: 'nora@post.test' },
  ],
  south: [
    { uid: 'alice', password: 'south-alice', mail: 'alice@south.test' },
    { uid: 'sven', password: 'south-sven', mail: 'sven@post.test' },
  ],
};

function config(north: Slapd, south: Slapd, upstream: string): Record<string, unknown> {
  const application = (name: string, access: unknown): unknown => ({
    name,
    hosts: [`${name}.example.test`],
    upstream,
    // biome-ignore lint/suspicious/noTemplateCurlyInString: a placeholder of the configuration
    headers: { set: { 'X-Provider': '${provider}', 'X-Subject': '${subject}' } },
    credentials: ['session', 'basic'],
    rules: [{ access }],
  });
  return {
    server: { publicUrl: 'http://login.example.test' },
    session: { cookie: { domain: 'example.test' } },
    throttle: { account: { failures: 3 }, address: { failures: 10_000 } },
    directories: [
      directoryConfig([north.url], { name: 'north' }),
      directoryConfig([south.url], { name: 'south' }),
    ],
    providers: [
      {
        name: 'north',
        type: 'ldap',
        title: 'Company North',
        directory: 'north',
        suffixes: ['north.test'],
        domains: ['NORTH'],
      },
      {
        name: 'south',
        type: 'ldap',
        title: 'Company South',
        directory: 'south',
        suffixes: ['south.test'],
        domains: ['SOUTH'],
      },
    ],
    applications: [application('wiki', 'authenticated'), application('ledger', { users: ['south:alice'] })],
  };
}

describe('two directories in one gateway:', () => {
  const clock = new ManualClock();
  let north: Slapd;
  let south: Slapd;
  let application: TestUpstream;
  let gateway: TestGateway;
  before(async () => {
    [north, south] = await Promise.all([
      startSlapd({ people: people.north, onlyThese: true }),
      startSlapd({ people: people.south, onlyThese: true }),
    ]);
    application = await startUpstream();
    gateway = await startGateway({ config: config(north, south, application.url), clock });
  });
  after(async () => {
    for (const each of [gateway, application, south, north]) await each[Symbol.asyncDispose]();
  });
  beforeEach(async () => {
    // Failures, locks, and what was remembered of unknown names are over.
    clock.advance(3_600_000);
    await Promise.all([north.clearOperations(), south.clearOperations()]);
  });

  const signIn = async (
    username: string,
    password: string,
    fields: Record<string, string> = {},
  ): Promise<{ visitor: Visitor; answer: Answer }> => {
    const visitor = new Visitor(gateway.port, [wiki]);
    return { visitor, answer: await visitor.signIn(username, password, fields) };
  };
  /** Provider, account and subject, as the application was told. */
  const told = (answer: Answer): readonly string[] => {
    assert.equal(answer.status, 200, answer.body);
    const { headers } = JSON.parse(answer.body) as Received;
    return ['x-provider', 'remote-user', 'x-subject'].map((name) => valuesOf(headers, name).join());
  };
  /** What a directory was asked about people: searches below ou=people, and binds of anybody but the gateway. */
  const askedOf = async (server: Slapd): Promise<readonly string[]> =>
    (await server.operations())
      .filter(
        ({ kind, dn }) => (kind === 'search' && dn === peopleBase) || (kind === 'bind' && dn !== service.dn),
      )
      .map(({ kind, dn, filter }) => `${kind} ${kind === 'bind' ? dn : filter}`);

  const accepted: readonly {
    readonly username: string;
    readonly password: string;
    readonly provider?: string;
    readonly expect: readonly [provider: string, account: string];
  }[] = [
    { username: 'alice', password: 'north-alice', expect: ['north', 'alice'] },
    { username: 'alice', password: 'north-alice', provider: '', expect: ['north', 'alice'] },
    { username: 'alice', password: 'south-alice', provider: 'south', expect: ['south', 'alice'] },
    { username: 'alice@north.test', password: 'north-alice', expect: ['north', 'alice'] },
    { username: 'ALICE＠South．test', password: 'south-alice', expect: ['south', 'alice'] },
    { username: 'south\\Alice', password: 'south-alice', provider: '', expect: ['south', 'alice'] },
    // The name decides, as at the sign-in of Windows.
    { username: 'SOUTH\\alice', password: 'south-alice', provider: 'north', expect: ['south', 'alice'] },
    { username: 'alice@south.test', password: 'south-alice', provider: 'north', expect: ['south', 'alice'] },
    // Nothing in the name says which.
    { username: 'sven', password: 'south-sven', expect: ['south', 'sven'] },
    { username: 'sven@post.test', password: 'south-sven', expect: ['south', 'sven'] },
    { username: 'nora@post.test', password: 'north-nora', provider: 'north', expect: ['north', 'nora'] },
  ];
  for (const { username, password, provider, expect } of accepted) {
    const chosen = provider === undefined ? '' : `, with "${provider}" chosen,`;
    test(`${username}${chosen} is ${expect[1]} of ${expect[0]}`, async () => {
      const { visitor, answer } = await signIn(
        username,
        password,
        provider === undefined ? {} : { provider },
      );
      assert.equal(answer.status, 303, gateway.logText);
      assert.deepEqual(told(await visitor.ask('/')).slice(0, 2), expect);
    });
  }

  const foreign: readonly {
    readonly username: string;
    readonly provider?: string;
    readonly asked: 'north' | 'south';
  }[] = [
    { username: 'alice@south.test', asked: 'south' },
    { username: 'alice@south.test', provider: 'north', asked: 'south' },
    { username: 'SOUTH\\alice', provider: 'north', asked: 'south' },
    { username: 'nobody@south.test', asked: 'south' },
    { username: 'alice@north.test', provider: 'south', asked: 'north' },
    { username: 'NORTH\\sven', asked: 'north' },
  ];
  for (const { username, provider, asked } of foreign) {
    test(`${username}${provider === undefined ? '' : `, with ${provider} chosen,`} is known to ${asked} alone`, async () => {
      const { answer } = await signIn(username, 'a-password', provider === undefined ? {} : { provider });
      assert.equal(answer.status, 401);
      const servers = { north, south };
      assert.ok((await askedOf(servers[asked])).length > 0);
      assert.deepEqual(await askedOf(servers[asked === 'north' ? 'south' : 'north']), []);
    });
  }

  test('a suffix or domain that nobody claims never meets the account name in front of it', async () => {
    for (const username of [
      'alice@elsewhere.test',
      'ELSEWHERE\\alice',
      'alice@sub.north.test',
      'alice@xnorth.test',
    ]) {
      for (const password of ['north-alice', 'south-alice']) {
        assert.equal((await signIn(username, password)).answer.status, 401, username);
      }
    }
    for (const server of [north, south]) {
      const asked = await askedOf(server);
      assert.deepEqual(
        asked.filter((line) => line.startsWith('bind') || line.includes('(uid=alice)')),
        [],
      );
    }
  });

  test('a plain name that the first directory knows is not tried on a namesake', async () => {
    const { answer } = await signIn('alice', 'south-alice');
    assert.equal(answer.status, 401);
    assert.ok((await askedOf(north)).includes(`bind ${personDn('alice')}`));
    assert.deepEqual(await askedOf(south), []);
  });

  test('two people of one name have sessions, subjects and rules of their own', async () => {
    const one = (await signIn('alice@north.test', 'north-alice')).visitor;
    const other = (await signIn('alice@south.test', 'south-alice')).visitor;
    const [, , subject] = told(await one.ask('/'));
    const [, , otherSubject] = told(await other.ask('/'));
    assert.notEqual(subject, otherSubject);
    const ledger = async (visitor: Visitor): Promise<number> =>
      (
        await ask({
          port: gateway.port,
          headers: [
            ['Host', 'ledger.example.test'],
            ['Cookie', visitor.cookieHeader],
          ],
        })
      ).status;
    assert.deepEqual([await ledger(one), await ledger(other)], [403, 200]);
  });

  test('every spelling has one subject', async () => {
    const subjects = new Set<string>();
    for (const spelling of [
      'alice',
      'ALICE@NORTH.TEST',
      'north\\alice',
      'NORTH＼ａｌｉｃｅ',
      'ali\u00adce@north.test',
    ]) {
      const { visitor } = await signIn(spelling, 'north-alice');
      subjects.add(told(await visitor.ask('/')).join(' '));
    }
    assert.equal(subjects.size, 1, [...subjects].join('\n'));
  });

  for (const account of ['alice', 'nobody']) {
    test(`every spelling of ${account} has one budget, which is not that of the namesake`, async () => {
      for (const spelling of [
        `${account}@north.test`,
        `NORTH\\${account}`,
        `${account.toUpperCase()}＠north.test`,
      ]) {
        assert.equal((await signIn(spelling, 'a-guess')).answer.status, 401, spelling);
      }
      const everySpelling = [`${account}@NORTH.test`, `north\\${account}`, account];
      for (const spelling of everySpelling) {
        const { answer } = await signIn(spelling, 'north-alice');
        assert.equal(answer.status, 429, spelling);
        assert.ok(Number(answer.headers['retry-after']) > 0);
      }
      const { answer } = await signIn(`${account}@south.test`, 'south-alice');
      assert.equal(answer.status, account === 'alice' ? 303 : 401);
    });
  }

  test('a namesake who signs in gives nobody further guesses', async () => {
    for (let guess = 0; guess < 2; guess++) {
      assert.equal((await signIn('alice@north.test', `guess-${guess}`)).answer.status, 401);
      assert.equal((await signIn('alice@south.test', 'south-alice')).answer.status, 303);
    }
    assert.equal((await signIn('alice@north.test', 'guess-2')).answer.status, 401);
    assert.equal((await signIn('alice@north.test', 'north-alice')).answer.status, 429);
  });

  test('a password on the request goes where its name says', async () => {
    const basic = async (username: string, password: string): Promise<Answer> =>
      await ask({
        port: gateway.port,
        headers: [
          wiki,
          ['Authorization', `Basic ${Buffer.from(`${username}:${password}`).toString('base64')}`],
        ],
      });
    assert.deepEqual(told(await basic('SOUTH\\alice', 'south-alice')).slice(0, 2), ['south', 'alice']);
    assert.deepEqual(told(await basic('alice@north.test', 'north-alice')).slice(0, 2), ['north', 'alice']);
    assert.equal((await basic('alice@north.test', 'south-alice')).status, 401);
  });

  test('a password is changed where its name says, or nowhere', async () => {
    const visitor = new Visitor(gateway.port, [wiki]);
    const page = await visitor.ask('/_vratar/login');
    const answer = await visitor.submit('/_vratar/password', {
      csrf: csrfOf(page.body),
      provider: 'north',
      username: 'alice@south.test',
      password: 'south-alice',
      newPassword: 'another-Passw0rd',
      newPasswordAgain: 'another-Passw0rd',
    });
    assert.equal(answer.status, 401, answer.body);
    assert.deepEqual(await askedOf(north), []);
  });

  test('the page offers the directories, none of them first, and keeps the choice after a refusal', async () => {
    const options = (page: string): readonly (readonly [value: string, isSelected: boolean])[] =>
      Array.from(page.matchAll(/<option value="([^"]*)"( selected)?>/g), ([, value = '', selected]) => [
        value,
        selected !== undefined,
      ]);
    const page = await new Visitor(gateway.port, [wiki]).ask('/_vratar/login');
    assert.deepEqual(options(page.body), [
      ['', false],
      ['north', false],
      ['south', false],
    ]);
    const { answer } = await signIn('alice', 'a-guess', { provider: 'south' });
    assert.deepEqual(options(answer.body).at(-1), ['south', true]);
    assert.match(answer.body, /name="username"[^>]* value="alice"/);
    const unknown = await signIn('alice', 'a-guess', { provider: 'east"><b>' });
    assert.equal(unknown.answer.status, 401);
    assert.ok(!unknown.answer.body.includes('east'));
  });
});
