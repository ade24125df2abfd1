/** The form for a new password as browsers and others send it, in front of slapd with password policies. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { messages } from '#src/portal/messages/by-language.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { directoryConfig, type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { type PersonEntry, policiesBase } from '#test/servers/slapd-data.ts';
import { type Answer, ask, hiddenFieldsOf, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const host = ['Host', 'app.example.test'] as const;
const fresh = 'Fresh-Passw0rd-1';
const { refusals, kept } = messages.en.passwordChange;

const person = (uid: string, attributes: Record<string, string> = { pwdReset: 'TRUE' }): PersonEntry => ({
  uid,
  password: `${uid}-password`,
  displayName: `${uid} Test`,
  attributes,
});

const people: readonly PersonEntry[] = [
  ...['newcomer', 'second', 'third', 'fourth', 'fifth', 'sixth'].map((uid) => person(uid)),
  person('ruled', { pwdReset: 'TRUE', pwdPolicySubentry: `cn=rules,${policiesBase}` }),
  person('fixed', { pwdReset: 'TRUE', pwdPolicySubentry: `cn=fixed,${policiesBase}` }),
];

function config(slapd: Slapd): Record<string, unknown> {
  const directory = directoryConfig([slapd.url], { timeout: '1s' });
  const passwordChangeUrl = 'https://password.example.test/change';
  return {
    server: { publicUrl: 'http://app.example.test' },
    directories: [
      directory,
      { ...directory, name: 'linked', passwordChange: 'off', passwordChangeUrl },
      { ...directory, name: 'silent', passwordChange: 'off' },
    ],
    providers: ['corp', 'linked', 'silent'].map((name) => ({ name, type: 'ldap', directory: name })),
    throttle: { address: { failures: 1_000 } },
    applications: [
      {
        name: 'app',
        hosts: ['app.example.test'],
        upstream: 'whoami',
        credentials: ['session', 'basic'],
        rules: [{ access: 'authenticated' }],
      },
    ],
  };
}

describe('a password that has to be changed', () => {
  let slapd: Slapd;
  let gateway: TestGateway;
  before(async () => {
    slapd = await startSlapd({ people });
    gateway = await startGateway({ config: config(slapd) });
  });
  after(async () => {
    await gateway[Symbol.asyncDispose]();
    await slapd[Symbol.asyncDispose]();
  });

  /** A visitor who has been shown the page, and the page. */
  const arrive = async (
    username: string,
    { provider = 'corp', rd = '/page?a=1', password = `${username}-password` } = {},
  ): Promise<{ visitor: Visitor; page: Answer }> => {
    const visitor = new Visitor(gateway.port, [host]);
    return { visitor, page: await visitor.signIn(username, password, { provider, rd }) };
  };

  const change = async (
    { visitor, page }: { visitor: Visitor; page: Answer },
    username: string,
    more: Record<string, string> = {},
  ): Promise<Answer> =>
    await visitor.submit('/_vratar/password', {
      ...hiddenFieldsOf(page.body),
      username,
      password: `${username}-password`,
      newPassword: fresh,
      newPasswordAgain: fresh,
      ...more,
    });

  const alertIn = ({ body }: Answer): string | undefined => /role="alert">([^<]*)</.exec(body)?.[1];

  test('leads from the sign-in form to the form for a new one, and on to where the person was going', async () => {
    const arrived = await arrive('newcomer');
    assert.equal(arrived.page.status, 401);
    assert.match(arrived.page.body, new RegExp(messages.en.passwordChange.mustChange));
    assert.deepEqual(hiddenFieldsOf(arrived.page.body), {
      csrf: arrived.visitor.cookies.get('vratar-csrf'),
      rd: '/page?a=1',
      provider: 'corp',
    });
    assert.ok(!arrived.visitor.cookies.has('vratar'));
    assert.ok(!arrived.page.body.includes('newcomer-password'));
    const changed = await change(arrived, 'newcomer');
    assert.deepEqual([changed.status, changed.headers.location], [303, '/page?a=1'], gateway.logText);
    assert.equal((await arrived.visitor.ask('/page')).status, 200);
    assert.equal((await arrive('newcomer', { password: fresh })).page.status, 303);
    const old = await arrive('newcomer');
    assert.deepEqual([old.page.status, alertIn(old.page)], [401, messages.en.signIn.rejected]);
    const events = gateway.logs.filter(({ account }) => account === 'newcomer').map(({ event }) => event);
    assert.deepEqual(events.slice(0, 3), ['sign-in.refused', 'password-change.accepted', 'sign-in.accepted']);
    assert.ok(!gateway.logText.includes(fresh) && !gateway.logText.includes('newcomer-password'));
  });

  test('stays when the directory refuses the new one, and the page says why', async () => {
    const arrived = await arrive('ruled');
    for (const [newPassword, reason] of [
      ['Sh0rt', 'too-short'],
      ['ruled-password2', undefined],
    ] as const) {
      const answer = await change(arrived, 'ruled', { newPassword, newPasswordAgain: newPassword });
      if (reason === undefined) {
        assert.equal(answer.status, 303);
        continue;
      }
      assert.deepEqual([answer.status, alertIn(answer)], [422, `${refusals[reason]} ${kept}`]);
      assert.ok(!answer.body.includes(newPassword));
      assert.equal(hiddenFieldsOf(answer.body)['rd'], '/page?a=1');
      const again = await arrive('ruled');
      assert.match(again.page.body, new RegExp(messages.en.passwordChange.mustChange));
    }
  });

  test('is left alone where the directory lets nobody change it', async () => {
    const answer = await change(await arrive('fixed'), 'fixed');
    assert.deepEqual([answer.status, alertIn(answer)], [422, `${refusals['not-allowed']} ${kept}`]);
    assert.doesNotMatch(answer.body, /<form/);
  });

  test('and a mistake in the form cost no question to the directory', async () => {
    const arrived = await arrive('second');
    await slapd.clearOperations();
    const answer = await change(arrived, 'second', { newPasswordAgain: 'other' });
    assert.deepEqual([answer.status, alertIn(answer)], [422, refusals.mismatch]);
    assert.deepEqual(await slapd.operations(), []);
  });

  test('is told to nobody who does not know it: all refusals are one page', async () => {
    const arrived = await arrive('second');
    const refused = [
      await change(arrived, 'second', { password: 'wrong' }),
      await change(arrived, 'nobody', { password: 'wrong' }),
      await change(arrived, 'locked', { password: 'wrong' }),
      await change(arrived, 'alice', { password: 'wrong' }),
    ];
    const pages = refused.map(({ status, body }) => {
      assert.equal(status, 401);
      return body.replace(/ id="username" name="username" type="text" value="[^"]*"/, '');
    });
    assert.equal(new Set(pages).size, 1);
    assert.equal(alertIn(refused[0] as Answer), messages.en.signIn.rejected);
  });

  test('is not changed where it does not have to be', async () => {
    const answer = await change(await arrive('second'), 'alice');
    assert.deepEqual([answer.status, alertIn(answer)], [422, `${refusals['not-required']} ${kept}`]);
    assert.equal((await arrive('alice')).page.status, 303);
  });

  test('is not changed by who guesses: the account is closed for a while, with the right one too', async () => {
    const arrived = await arrive('third');
    for (let attempt = 0; attempt < 5; attempt++) {
      assert.equal((await change(arrived, 'third', { password: `wrong-${attempt}` })).status, 401);
    }
    const answer = await change(arrived, 'third');
    assert.equal(answer.status, 429);
    assert.ok(Number(answer.headers['retry-after']) > 0);
    assert.equal((await arrive('third')).page.status, 429);
  });

  test('is changed at the address of the operator, or by asking, where the gateway does not', async () => {
    const linked = await arrive('fourth', { provider: 'linked' });
    assert.equal(linked.page.status, 401);
    assert.match(linked.page.body, /href="https:\/\/password\.example\.test\/change"/);
    const silent = await arrive('fourth', { provider: 'silent' });
    assert.ok(silent.page.body.includes(messages.en.passwordChange.nowhere));
    for (const { page } of [linked, silent]) assert.doesNotMatch(page.body, /<form/);
    const forced = await change(await arrive('fourth'), 'fourth', { provider: 'silent' });
    assert.deepEqual([forced.status, alertIn(forced)], [401, messages.en.signIn.rejected]);
    assert.match((await arrive('fourth')).page.body, new RegExp(messages.en.passwordChange.mustChange));
  });

  test('opens nothing as a Basic credential', async () => {
    const basic = Buffer.from('fifth:fifth-password').toString('base64');
    const headers = [host, ['Authorization', `Basic ${basic}`]] as const;
    const answer = await ask({ port: gateway.port, path: '/page', headers });
    assert.equal(answer.status, 401);
    assert.doesNotMatch(answer.body, /_vratar\/password/);
  });

  test('is an outage while the directory is away, never a wrong password', async () => {
    const arrived = await arrive('sixth');
    slapd.stop();
    try {
      const answer = await change(arrived, 'sixth');
      assert.deepEqual([answer.status, alertIn(answer)], [503, messages.en.passwordChange.unavailable]);
      assert.ok(Number(answer.headers['retry-after']) > 0);
    } finally {
      slapd.cont();
    }
    // The old password still counts: the directory never saw the change.
    await until(async () => (await arrive('sixth')).page.status === 401, {
      what: 'the directory to be back',
      timeoutMs: 30_000,
    });
    assert.equal((await change(await arrive('sixth'), 'sixth')).status, 303);
  });

  describe('and the form for it', () => {
    const post = async (
      visitor: Visitor,
      body: string,
      headers: readonly (readonly [string, string])[] = [],
    ): Promise<number> => {
      const type = ['Content-Type', 'application/x-www-form-urlencoded'] as const;
      const isTyped = headers.some(([name]) => name === 'Content-Type');
      const answer = await visitor.ask('/_vratar/password', {
        method: 'POST',
        headers: isTyped ? headers : [type, ...headers],
        body,
      });
      return answer.status;
    };

    test('is refused without its value, from elsewhere, too long, in another format', async () => {
      const visitor = new Visitor(gateway.port, [host]);
      const login = await visitor.ask('/_vratar/login', { headers: [['Accept', 'text/html']] });
      const { csrf = '' } = hiddenFieldsOf(login.body);
      const fields = new URLSearchParams({ csrf, username: 'second', password: 'x', provider: 'corp' });
      assert.equal(await post(visitor, 'username=second&password=x'), 403);
      assert.equal(await post(visitor, fields.toString(), [['Origin', 'https://evil.example']]), 403);
      assert.equal(await post(visitor, fields.toString(), [['Sec-Fetch-Site', 'cross-site']]), 403);
      assert.equal(await post(visitor, `${fields.toString()}&padding=${'x'.repeat(17_000)}`), 413);
      assert.equal(await post(visitor, '{}', [['Content-Type', 'application/json']]), 415);
    });

    test('begins at the sign-in page for who opens its address', async () => {
      const answer = await new Visitor(gateway.port, [host]).ask('/_vratar/password');
      assert.deepEqual([answer.status, answer.headers.location], [302, '/_vratar/login']);
    });

    test('takes no other method, and leads nowhere else', async () => {
      const visitor = new Visitor(gateway.port, [host]);
      assert.equal((await visitor.ask('/_vratar/password', { method: 'PUT' })).status, 405);
      const arrived = await arrive('second', { rd: 'https://evil.example/' });
      assert.equal(hiddenFieldsOf(arrived.page.body)['rd'], '/_vratar/');
      const changed = await change(arrived, 'second', { rd: 'https://evil.example/' });
      assert.deepEqual([changed.status, changed.headers.location], [303, '/_vratar/']);
    });
  });
});
