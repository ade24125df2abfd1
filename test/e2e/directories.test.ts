import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { accounts, nestedGroups } from '#test/servers/accounts.ts';
import { kindsUnderTest, type RunningDirectory } from '#test/servers/directory-kinds.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { type Received, startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { ManualClock } from '#test/support/clock.ts';
import { type Answer, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const host = ['Host', 'wiki.example.test'] as const;

interface Row {
  readonly person: string;
  readonly username: string;
  /** Omitted: of accounts.ts. */
  readonly password?: string;
  /** Accepted: what the application is told. */
  readonly identity?: { readonly user: string; readonly name: string; readonly email: string };
  /** Refused: what the log says, where the kinds differ by kind. */
  readonly reason?: string | Readonly<Record<string, string>>;
  /** Directory whose people are known by an attribute of several values. */
  readonly provider?: 'aliases';
}

const anna = { user: 'anna', name: 'anna Test', email: 'anna@example.test' };
const maria = { user: 'maria', name: 'maria Test', email: 'maria@example.test' };
const lockedOrDisabled = {
  openLdap: 'account-locked',
  freeIpa: 'account-disabled',
  activeDirectory: 'account-disabled',
};

const rows: readonly Row[] = [
  { person: 'somebody', username: 'anna', identity: anna },
  { person: 'somebody in other letters', username: ' ANNA', identity: anna },
  {
    person: 'somebody with a Cyrillic password',
    username: 'fyodor',
    identity: { user: 'fyodor', name: 'Фёдор Петров', email: 'fyodor@example.test' },
  },
  {
    person: 'somebody with a Cyrillic account name',
    username: 'Юлия',
    identity: { user: 'юлия', name: 'Юлия Смирнова', email: 'yulia@example.test' },
  },
  {
    person: 'somebody with two names, by the first',
    username: 'maria',
    provider: 'aliases',
    identity: maria,
  },
  {
    person: 'somebody with two names, by the second',
    username: 'maria.old',
    provider: 'aliases',
    identity: maria,
  },
  { person: 'somebody disabled', username: 'disabled', reason: lockedOrDisabled },
  { person: 'somebody who must change the password', username: 'newcomer', reason: 'password-must-change' },
  { person: 'somebody with an old password', username: 'aged', reason: 'password-expired' },
  { person: 'somebody who has left', username: 'gone', reason: 'account-expired' },
  { person: 'a wrong password', username: 'anna', password: 'Wr0ng-password', reason: 'wrong-password' },
  { person: 'nobody', username: 'nobody', password: 'Wr0ng-password', reason: 'unknown-account' },
];

const passwordOf = (username: string): string =>
  accounts.find((account) => [account.username, account.alias].includes(username.trim().toLowerCase()))
    ?.password ?? '';

function config({ options }: RunningDirectory, upstream: string): Record<string, unknown> {
  const users = options['users'] as Record<string, unknown>;
  const byUid = {
    ...users,
    filter: '(&(objectClass=person)(uid=%USERNAME%))',
    attributes: { username: 'uid' },
  };
  return {
    server: { publicUrl: 'http://wiki.example.test' },
    directories: [
      { ...options, name: 'corp' },
      { ...options, name: 'aliases', users: byUid },
    ],
    providers: [
      { name: 'corp', type: 'ldap', title: 'Corporate account', directory: 'corp' },
      { name: 'aliases', type: 'ldap', title: 'Any of your names', directory: 'aliases' },
    ],
    throttle: { account: { failures: 100 }, address: { failures: 1_000 } },
    applications: [
      { name: 'wiki', hosts: ['wiki.example.test'], upstream, rules: [{ access: { groups: ['company'] } }] },
    ],
  };
}

for (const { kind, server, whyNot, start } of kindsUnderTest) {
  describe(`${kind} (${server}), from the sign-in page to the identity headers:`, {
    skip: whyNot ?? false,
  }, () => {
    const clock = new ManualClock();
    let running: RunningDirectory;
    let application: TestUpstream;
    let gateway: TestGateway;
    before(async () => {
      running = await start();
      application = await startUpstream();
      gateway = await startGateway({ config: config(running, application.url), clock });
    });
    after(async () => {
      for (const each of [gateway, application, running]) await each[Symbol.asyncDispose]();
    });

    const signIn = async (
      username: string,
      password: string,
      provider = 'corp',
    ): Promise<{ visitor: Visitor; answer: Answer }> => {
      const visitor = new Visitor(gateway.port, [host]);
      return { visitor, answer: await visitor.signIn(username, password, { provider }) };
    };
    /** Header values as the application received them. */
    const told = async (visitor: Visitor): Promise<(name: string) => string> => {
      const answer = await visitor.ask('/page');
      assert.equal(answer.status, 200, answer.body);
      const { headers } = JSON.parse(answer.body) as Received;
      return (name) => Buffer.from(valuesOf(headers, name).join(), 'latin1').toString('utf8');
    };
    const lastReason = (): unknown =>
      gateway.logs.findLast(({ event }) => event === 'sign-in.refused')?.['reason'];

    const refusals = new Set<string>();
    for (const { person, username, password, identity, reason, provider } of rows) {
      test(`${person} is ${identity === undefined ? 'refused' : `${identity.user} for the application`}`, async () => {
        const { visitor, answer } = await signIn(username, password ?? passwordOf(username), provider);
        if (identity === undefined) {
          assert.equal(answer.status, 401);
          assert.equal(lastReason(), typeof reason === 'object' ? reason[kind] : reason);
          refusals.add(/role="alert"[^>]*>(.*?)<\/(?:div|p)>/s.exec(answer.body)?.[1] ?? answer.body);
          assert.equal((await visitor.ask('/page')).status, 401);
          return;
        }
        assert.equal(answer.status, 303, gateway.logText);
        const header = await told(visitor);
        assert.deepEqual(
          [header('remote-user'), header('remote-name'), header('remote-email')],
          [identity.user, identity.name, identity.email],
        );
        const groups = header('remote-groups').split(',');
        for (const name of ['crew', 'workforce', 'company']) assert.ok(groups.includes(name), name);
      });
    }

    test('every refusal reads the same', () => {
      assert.equal(refusals.size, 1, [...refusals].join('\n'));
    });

    test('somebody who guesses three times is locked out, with the right password too', async () => {
      for (let attempt = 0; attempt < 3; attempt++) {
        assert.equal((await signIn('guessed2', `Wr0ng-${attempt}`)).answer.status, 401);
        assert.equal(lastReason(), 'wrong-password');
      }
      const { answer } = await signIn('guessed2', passwordOf('guessed2'));
      assert.equal(answer.status, 401);
      assert.equal(lastReason(), 'account-locked');
    });

    test('two hundred groups within groups reach the application', async () => {
      const { visitor } = await signIn('deep', passwordOf('deep'));
      const groups = (await told(visitor))('remote-groups').split(',');
      assert.equal(groups.filter((name) => name.startsWith('nest-')).length, nestedGroups);
    });

    test('somebody disabled in the directory loses the session at the next refresh', async () => {
      const { visitor } = await signIn('leaver', passwordOf('leaver'));
      assert.equal((await visitor.ask('/page')).status, 200);
      await running.modify(`dn: ${running.dnOf('leaver')}\n${running.disabling}`);
      assert.equal((await visitor.ask('/page')).status, 200, 'nobody asked the directory again yet');
      clock.advance(6 * 60_000);
      await until(async () => (await visitor.ask('/page')).status === 401, {
        what: 'the end of the session',
      });
    });
  });
}
