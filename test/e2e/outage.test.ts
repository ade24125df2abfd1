import assert from 'node:assert/strict';
import { after, before, beforeEach, describe, test } from 'node:test';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { askAsNginx, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';
import { corporateConfig } from './corporate-site.ts';

const wiki = ['Host', 'wiki.example.test'] as const;
const html = ['Accept', 'text/html'] as const;

let slapd: Slapd;
before(async () => {
  slapd = await startSlapd();
});
after(async () => await slapd[Symbol.asyncDispose]());

async function decide(gateway: TestGateway, visitor: Visitor, path = '/page'): Promise<number> {
  const url = `https://wiki.example.test${path}`;
  return (await askAsNginx(gateway.port, url, [['Cookie', visitor.cookieHeader]])).status;
}

describe('while the directory does not answer', () => {
  const faults: { name: string; break: () => Promise<void> | void; mend: () => Promise<void> | void }[] = [
    {
      name: 'because it was killed',
      break: async () => await slapd.kill(),
      mend: async () => await slapd.restart(),
    },
    { name: 'because it hangs', break: () => slapd.stop(), mend: () => slapd.cont() },
  ];
  for (const { name, break: breakIt, mend } of faults) {
    test(`${name}, people stay signed in, sign-ins are 503 and never "wrong password", and it recovers by itself`, async () => {
      await using gateway = await startGateway({
        config: corporateConfig([slapd.url], { session: { refreshInterval: '1s' } }),
      });
      const visitor = new Visitor(gateway.port, [wiki]);
      assert.equal((await visitor.signIn('alice', 'alice-password')).status, 303);
      const ticket = visitor.cookies.get('vratar');

      await breakIt();
      try {
        for (const password of ['alice-password', 'wrong']) {
          const answer = await new Visitor(gateway.port, [wiki]).signIn('alice', password);
          assert.equal(answer.status, 503);
          assert.ok(Number(answer.headers['retry-after']) >= 1);
          assert.deepEqual(
            answer.values('set-cookie').filter((line) => line.startsWith('vratar=')),
            [],
          );
          assert.match(answer.body, /role="alert"/);
        }
        await until(
          () => gateway.logs.some(({ event }) => event === 'session.refresh-failed') || performance.now(),
          { timeoutMs: 3_000 },
        );
        assert.equal(await decide(gateway, visitor), 200);
        assert.equal((await visitor.ask('/_vratar/', { headers: [html] })).status, 200);
        assert.equal(visitor.cookies.get('vratar'), ticket);
        const { directories } = await gateway.report();
        assert.equal(directories[0]?.servers[0]?.available, false);
      } finally {
        await mend();
      }
      await until(
        async () =>
          (await new Visitor(gateway.port, [wiki]).signIn('alice', 'alice-password')).status === 303,
        { timeoutMs: 15_000 },
      );
      assert.equal(await decide(gateway, visitor), 200);
      assert.match(await gateway.metrics(), /vratar_authentications_total\{provider="corp",outcome="error"/);
      assert.doesNotMatch(await gateway.metrics(), /vratar_throttled_total\{scope="account"\} [1-9]/);
    });
  }
});

describe('while the directory changes', () => {
  let gateway: TestGateway;
  beforeEach(async () => {
    gateway = await startGateway({
      config: {
        ...corporateConfig([slapd.url], { session: { refreshInterval: '1s' } }),
        directories: corporateConfig([slapd.url]).directories.map((directory) => ({
          ...directory,
          cache: { ttl: '250ms' },
        })),
      },
    });
  });

  test('a person who is locked there loses the session at the next refresh', async () => {
    const visitor = new Visitor(gateway.port, [wiki]);
    assert.equal((await visitor.signIn('bob', 'bob-password')).status, 303);
    assert.equal(await decide(gateway, visitor), 200);
    await slapd.modify(
      'dn: uid=bob,ou=people,dc=example,dc=test\nchangetype: modify\nreplace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z\n',
    );
    try {
      await until(async () => (await decide(gateway, visitor)) === 401, { timeoutMs: 10_000 });
      await until(() =>
        gateway.logs.some(({ event, account }) => event === 'session.ended' && account === 'bob'),
      );
      assert.equal((await new Visitor(gateway.port, [wiki]).signIn('bob', 'bob-password')).status, 401);
    } finally {
      await slapd.modify(
        'dn: uid=bob,ou=people,dc=example,dc=test\nchangetype: modify\ndelete: pwdAccountLockedTime\n',
      );
      await gateway[Symbol.asyncDispose]();
    }
  });

  test('a person whose address gets a control character is signed out, and no password lets them in', async () => {
    const visitor = new Visitor(gateway.port, [wiki]);
    assert.equal((await visitor.signIn('bob', 'bob-password')).status, 303);
    const mail = (value: string): string =>
      `dn: uid=bob,ou=people,dc=example,dc=test\nchangetype: modify\nreplace: mail\nmail:: ${Buffer.from(value).toString('base64')}\n`;
    await slapd.modify(mail('bob\u0001@example.test'));
    try {
      await until(async () => (await decide(gateway, visitor)) === 401, { timeoutMs: 10_000 });
      assert.equal((await new Visitor(gateway.port, [wiki]).signIn('bob', 'bob-password')).status, 403);
    } finally {
      await slapd.modify(mail('bob@example.test'));
      await gateway[Symbol.asyncDispose]();
    }
  });

  test('a person who leaves a group loses what it opened at the next refresh', async () => {
    const visitor = new Visitor(gateway.port, [wiki]);
    assert.equal((await visitor.signIn('alice', 'alice-password')).status, 303);
    const admin = async (): Promise<number> => await decide(gateway, visitor, '/admin/x');
    assert.equal(await admin(), 200);
    const admins = 'dn: cn=admins,ou=groups,dc=example,dc=test\nchangetype: modify\n';
    await slapd.modify(`${admins}replace: member\nmember: cn=nobody,dc=example,dc=test\n`);
    try {
      await until(async () => (await admin()) === 403, { timeoutMs: 10_000 });
      assert.equal(await decide(gateway, visitor), 200);
    } finally {
      await slapd.modify(`${admins}replace: member\nmember: uid=alice,ou=people,dc=example,dc=test\n`);
      await gateway[Symbol.asyncDispose]();
    }
  });
});

describe('whom the directory does not vouch for', () => {
  let gateway: TestGateway;
  before(async () => {
    gateway = await startGateway({ config: corporateConfig([slapd.url]) });
  });
  after(async () => await gateway[Symbol.asyncDispose]());

  const rows: { name: string; username: string; password: string; reason: string }[] = [
    { name: 'a wrong password', username: 'alice', password: 'nope', reason: 'wrong-password' },
    { name: 'an unknown account', username: 'nobody', password: 'x', reason: 'unknown-account' },
    {
      name: 'two entries of one name',
      username: 'twin',
      password: 'twin-password',
      reason: 'ambiguous-account',
    },
    { name: 'a locked account', username: 'locked', password: 'locked-password', reason: 'account-locked' },
    {
      name: 'a wrong password of somebody who must change it',
      username: 'mustchange',
      password: 'nope',
      reason: 'wrong-password',
    },
    { name: 'a filter in the name', username: 'ali*', password: 'alice-password', reason: 'unknown-account' },
    {
      name: 'another filter in the name',
      username: 'x)(uid=alice',
      password: 'alice-password',
      reason: 'unknown-account',
    },
    {
      name: 'a SASL mechanism as name',
      username: 'EXTERNAL',
      password: 'dn:cn=vratar,dc=example,dc=test',
      reason: 'unknown-account',
    },
    {
      name: 'a DN as name',
      username: 'uid=alice,ou=people,dc=example,dc=test',
      password: 'alice-password',
      reason: 'unknown-account',
    },
    { name: 'an empty password', username: 'alice', password: '', reason: 'credentials-malformed' },
    { name: 'an empty name', username: '', password: 'x', reason: 'credentials-malformed' },
    {
      name: 'a name that is too long',
      username: 'a'.repeat(300),
      password: 'x',
      reason: 'credentials-malformed',
    },
    {
      name: 'a control character in the name',
      username: 'ali\u0001ce',
      password: 'x',
      reason: 'credentials-malformed',
    },
  ];
  for (const { name, username, password, reason } of rows) {
    test(`${name}: 401, one page for all, and the reason only in the log`, async () => {
      const answer = await new Visitor(gateway.port, [wiki]).signIn(username, password);
      assert.equal(answer.status, 401);
      assert.match(answer.body, /The username or password is incorrect\./);
      const line = gateway.logs.findLast(({ event }) => event === 'sign-in.refused');
      assert.equal(line?.['reason'], reason);
    });
  }
});
