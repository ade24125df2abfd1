import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { appHost, signedIn, startSite } from '#test/gateway/site.ts';
import { key, startMail } from '#test/preauth/site.ts';
import type { TestGateway } from '#test/servers/gateway.ts';
import type { TestZimbra } from '#test/servers/zimbra.ts';
import { freePort } from '#test/support/free-port.ts';
import { type Answer, ask, csrfOf, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const mailPath = '/_vratar/zimbra/mail';
const html = ['Accept', 'text/html'] as const;

function zimbraOptions(mail: TestZimbra, more: Record<string, unknown> = {}): Record<string, unknown> {
  return {
    name: 'mail',
    title: 'Mail',
    url: mail.url,
    account: '${username}@example.test',
    domains: { 'example.test': { preauthKey: key } },
    ...more,
  };
}

async function startWith(...zimbra: readonly Record<string, unknown>[]): Promise<TestGateway> {
  return await startSite(undefined, { zimbra });
}

async function follow(location: string, cookie = ''): Promise<Answer> {
  const { port, pathname, search } = new URL(location);
  const headers = cookie === '' ? [] : [['Cookie', cookie] as const];
  return await ask({ port: Number(port), path: `${pathname}${search}`, headers });
}

/** Audit lines about mailboxes, without what differs from run to run. */
function audited(gateway: TestGateway): readonly unknown[] {
  return gateway.logs
    .filter(({ event, audit }) => audit === true && event.startsWith('zimbra.'))
    .map(({ time: _time, level: _level, ...fields }) => fields);
}

let mail: TestZimbra;
let gateway: TestGateway;
before(async () => {
  mail = await startMail();
  gateway = await startWith(
    zimbraOptions(mail, { adminUrl: mail.adminUrl, admin: { groups: ['admins'] } }),
    zimbraOptions(mail, { name: 'editors-mail', access: { groups: ['editors'] } }),
    zimbraOptions(mail, { name: 'by-address', account: '${email}' }),
    zimbraOptions(mail, { name: 'elsewhere', account: '${username}@evil.test' }),
    zimbraOptions(mail, { name: 'by-soap', interface: 'soap' }),
  );
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await mail[Symbol.asyncDispose]();
});

describe('a person who is signed in', () => {
  test('is led into the mailbox, by an answer that nobody keeps or passes on', async () => {
    const alice = await signedIn(gateway, 'alice');
    const answer = await alice.ask(`${mailPath}?app=mail&view=compose`);
    assert.equal(answer.status, 302);
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.equal(answer.headers['referrer-policy'], 'no-referrer');
    const entered = await follow(answer.headers.location ?? '');
    assert.equal(entered.headers.location, `${mail.url}/zimbra/mail?app=mail&view=compose`);
    const [cookie = ''] = entered.values('set-cookie').join().split(';');
    const page = await follow(entered.headers.location ?? '', cookie);
    assert.ok(page.body.includes('Mailbox of alice@example.test'));
  });

  test('sees a tile for each mailbox they may open, and one for the console if they may administer', async () => {
    const { body: rootsPage } = await (await signedIn(gateway, 'root1')).ask('/_vratar/?lang=hr');
    assert.ok(rootsPage.includes('Mail: administracija'), rootsPage);
    const tilesOf = async (username: string): Promise<readonly string[]> => {
      const { body } = await (await signedIn(gateway, username)).ask('/_vratar/');
      return [...body.matchAll(/href="(\/_vratar\/zimbra\/[^"]+)"/g)].map((match) => match[1] as string);
    };
    const everybodys = ['/_vratar/zimbra/by-address', '/_vratar/zimbra/elsewhere', '/_vratar/zimbra/by-soap'];
    assert.deepEqual(await tilesOf('alice'), [mailPath, ...everybodys]);
    assert.deepEqual(await tilesOf('root1'), [mailPath, `${mailPath}?admin=1`, ...everybodys]);
    assert.deepEqual(await tilesOf('ivan'), [mailPath, '/_vratar/zimbra/editors-mail', ...everybodys]);
  });

  test('who administers is led to the console on its own port', async () => {
    const root = await signedIn(gateway, 'root1');
    const { headers } = await root.ask(`${mailPath}?admin=1`);
    assert.ok(headers.location?.startsWith(`${mail.adminUrl}/service/preauth?`), headers.location);
    assert.equal((await follow(headers.location ?? '')).headers.location, `${mail.adminUrl}/zimbraAdmin`);
  });

  test('is not led to a console where none is configured, whatever the address says', async () => {
    const root = await signedIn(gateway, 'root1');
    const { headers } = await root.ask('/_vratar/zimbra/by-soap?admin=1');
    assert.ok(headers.location?.startsWith(`${mail.url}/service/preauth?isredirect=1&authtoken=`));
    const ivan = await signedIn(gateway, 'ivan');
    const plain = await ivan.ask('/_vratar/zimbra/editors-mail?admin=1');
    const { location = '' } = plain.headers;
    assert.ok(location.startsWith(`${mail.url}/service/preauth?account=ivan`), location);
    assert.ok(!location.includes('admin'));
  });

  test('over SOAP is led by a link for one use', async () => {
    const alice = await signedIn(gateway, 'alice');
    const { headers } = await alice.ask('/_vratar/zimbra/by-soap');
    assert.equal((await follow(headers.location ?? '')).status, 302);
    assert.equal((await follow(headers.location ?? '')).status, 400);
  });

  const refused: readonly (readonly [name: string, username: string, path: string, text: string])[] = [
    ['without a mail address', 'ivan', '/_vratar/zimbra/by-address', 'No mailbox for your account'],
    ['of a domain without a key', 'alice', '/_vratar/zimbra/elsewhere', 'No mailbox for your account'],
    ['who may not open it', 'alice', '/_vratar/zimbra/editors-mail', 'You have no access here'],
    ['who may not administer', 'alice', `${mailPath}?admin=1`, 'You have no access here'],
  ];
  for (const [name, username, path, text] of refused) {
    test(`${name} gets a page that says so`, async () => {
      const visitor = await signedIn(gateway, username);
      const answer = await visitor.ask(path, { headers: [html] });
      assert.equal(answer.status, 403);
      assert.ok(answer.body.includes(text), answer.body);
      assert.equal(answer.headers.location, undefined);
    });
  }

  test('of whom the mail server knows nothing is told that it is not their fault', async () => {
    const ivan = await signedIn(gateway, 'ivan');
    for (let i = 0; i < 3; i++) {
      const answer = await ivan.ask('/_vratar/zimbra/by-soap', { headers: [html] });
      assert.equal(answer.status, 503);
      assert.ok(answer.body.includes('The mail server did not let you in'));
      assert.equal(answer.headers['retry-after'], '300');
    }
    const asked = mail.requests.filter(({ body }) => body.includes('>ivan@example.test<'));
    assert.equal(asked.length, 1);
  });

  test('only reads: other methods are refused, and unknown mailboxes are not found', async () => {
    const alice = await signedIn(gateway, 'alice');
    assert.equal((await alice.ask(mailPath, { method: 'POST', body: '' })).status, 405);
    assert.equal((await alice.ask('/_vratar/zimbra/other')).status, 404);
    assert.equal((await alice.ask('/_vratar/zimbra/')).status, 404);
  });
});

describe('a person who is not signed in', () => {
  test('signs in first and comes back', async () => {
    const visitor = new Visitor(gateway.port, [appHost]);
    const asked = await visitor.ask(`${mailPath}?app=mail`, { headers: [html] });
    assert.equal(asked.status, 302);
    const location = new URL(asked.headers.location ?? '', 'http://app.example.test');
    assert.equal(location.pathname, '/_vratar/login');
    const rd = location.searchParams.get('rd') ?? '';
    const password = gateway.passwords.get('staff:alice') as string;
    const answer = await visitor.signIn('alice', password, { rd });
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.location, `http://app.example.test${mailPath}?app=mail`);
    assert.equal((await visitor.ask(`${mailPath}?app=mail`)).status, 302);
  });

  test('gets 401 where no page is asked for', async () => {
    const answer = await ask({ port: gateway.port, path: mailPath, headers: [appHost] });
    assert.equal(answer.status, 401);
    assert.equal((JSON.parse(answer.body) as { error: string }).error, 'SIGN_IN_REQUIRED');
  });

  test('may be led to the mail server by the sign-in form', async () => {
    const visitor = new Visitor(gateway.port, [appHost]);
    const { headers } = await visitor.ask('/_vratar/login', { headers: [html] });
    const policy = String(headers['content-security-policy']);
    // Ports are left open: the form's way may lead over several.
    assert.match(policy, /form-action [^;]*http:\/\/127\.0\.0\.1:\*/);
  });
});

describe('a request another site set off', () => {
  const starts: readonly (readonly [site: string, mode: string, dest: string, expected: string | number])[] =
    [
      ['none', 'navigate', 'document', 'mail'],
      ['same-origin', 'navigate', 'document', 'mail'],
      ['same-site', 'navigate', 'document', 'mail'],
      ['same-origin', 'cors', 'empty', 'mail'],
      ['cross-site', 'navigate', 'document', 'portal'],
      ['cross-site', 'navigate', 'iframe', 403],
      ['cross-site', 'no-cors', 'image', 403],
      ['cross-site', 'cors', 'empty', 403],
      ['same-site', 'no-cors', 'image', 403],
      ['same-site', 'cors', 'empty', 403],
      ['same-site', 'navigate', 'iframe', 403],
      ['same-origin', 'no-cors', 'image', 403],
      ['same-origin', 'navigate', 'iframe', 403],
    ];
  for (const [site, mode, dest, expected] of starts) {
    test(`${site}, ${mode}, ${dest}: ${expected}`, async () => {
      const alice = await signedIn(gateway, 'alice');
      const answer = await alice.ask(mailPath, {
        headers: [
          ['Sec-Fetch-Site', site],
          ['Sec-Fetch-Mode', mode],
          ['Sec-Fetch-Dest', dest],
        ],
      });
      const { location = '' } = answer.headers;
      if (typeof expected === 'number') assert.equal(answer.status, expected);
      else assert.equal(location.startsWith(mail.url), expected === 'mail', location);
      assert.equal(location === '/_vratar/', expected === 'portal');
      assert.equal(answer.body.includes('preauth='), false);
    });
  }
});

test('the log tells every opening and every refusal, and holds no key, signature or token', async () => {
  await using own = await startWith(
    zimbraOptions(mail),
    zimbraOptions(mail, { name: 'elsewhere', account: '${username}@evil.test' }),
    zimbraOptions(mail, { name: 'by-soap', interface: 'soap' }),
  );
  const alice = await signedIn(own, 'alice');
  const locations = [];
  for (const path of [mailPath, '/_vratar/zimbra/by-soap']) {
    const { headers } = await alice.ask(path);
    locations.push(new URL(headers.location ?? ''));
  }
  await alice.ask('/_vratar/zimbra/elsewhere');
  await alice.ask(mailPath, { headers: [['Sec-Fetch-Site', 'cross-site']] });
  const facts = { audit: true, provider: 'staff', account: 'alice', clientAddress: '127.0.0.1' };
  const opened = { ...facts, event: 'zimbra.opened', mailAccount: 'alice@example.test', isAdmin: false };
  assert.deepEqual(audited(own), [
    { ...opened, zimbra: 'mail' },
    { ...opened, zimbra: 'by-soap' },
    { ...facts, event: 'zimbra.refused', zimbra: 'elsewhere', reason: 'domain-unknown' },
    {
      audit: true,
      event: 'zimbra.refused',
      zimbra: 'mail',
      reason: 'foreign-site',
      clientAddress: '127.0.0.1',
    },
  ]);
  const secrets = [
    key,
    ...locations.map(({ searchParams }) => searchParams.get('preauth') ?? searchParams.get('authtoken')),
  ];
  for (const secret of secrets) {
    assert.ok(secret !== null && secret.length >= 40);
    assert.ok(!own.logText.includes(secret));
  }
  const metrics = await own.metrics();
  for (const line of [
    'vratar_preauth_redirects_total{zimbra="mail",result="redirected"} 1',
    'vratar_preauth_redirects_total{zimbra="elsewhere",result="domain-unknown"} 1',
    'vratar_preauth_redirects_total{zimbra="mail",result="foreign-site"} 1',
  ]) {
    assert.ok(metrics.includes(line), metrics);
  }
});

describe('signing out', () => {
  async function signOut(visitor: Visitor): Promise<Answer> {
    const page = await visitor.ask('/_vratar/logout', { headers: [html] });
    return await visitor.submit('/_vratar/logout', { csrf: csrfOf(page.body) });
  }

  async function sessionsEnded(site: TestGateway): Promise<void> {
    await until(() => site.logs.some(({ event }) => event === 'zimbra.sessions-ended'), {
      what: 'the end of the mail sessions',
      timeoutMs: 20_000,
    });
  }

  test('ends the mail sessions of a person who opened the mailbox from here, and forgets that they did', async () => {
    await using own = await startMail();
    await using site = await startWith(zimbraOptions(own));
    const alice = await signedIn(site, 'alice');
    const { headers } = await alice.ask(mailPath);
    await follow(headers.location ?? '');
    assert.deepEqual(own.sessions, ['alice@example.test']);
    assert.equal(alice.cookies.get('vratar-mail'), 'mail');
    assert.equal((await signOut(alice)).status, 303);
    assert.ok(!alice.cookies.has('vratar-mail'));
    await sessionsEnded(site);
    assert.deepEqual(own.sessions, []);
    const ended = audited(site).at(-1);
    assert.deepEqual(ended, {
      event: 'zimbra.sessions-ended',
      audit: true,
      zimbra: 'mail',
      provider: 'staff',
      account: 'alice',
      mailAccount: 'alice@example.test',
      result: 'ended',
    });
  });

  test('leaves mail servers alone that were not opened, or that are configured so', async () => {
    await using own = await startMail();
    await using site = await startWith(
      zimbraOptions(own),
      zimbraOptions(own, { name: 'left', signOut: 'leave' }),
    );
    const alice = await signedIn(site, 'alice');
    const { headers } = await alice.ask('/_vratar/zimbra/left');
    await follow(headers.location ?? '');
    assert.equal((await signOut(alice)).status, 303);
    assert.ok(!own.requests.some(({ target }) => target === '/service/soap/'));
    assert.deepEqual(own.sessions, ['alice@example.test']);
  });

  test('works when the mail server does not answer any more', async () => {
    const own = await startMail();
    await using site = await startWith(zimbraOptions(own));
    const alice = await signedIn(site, 'alice');
    await alice.ask(mailPath);
    await own[Symbol.asyncDispose]();
    assert.equal((await signOut(alice)).status, 303);
    assert.equal((await alice.ask('/_vratar/userinfo')).status, 401);
    await until(() => site.logs.some(({ event }) => event === 'zimbra.sessions-left'), {
      what: 'the line about sessions that are left',
      timeoutMs: 20_000,
    });
  });

  test('a cookie that somebody wrote ends nobody’s session but their own', async () => {
    await using own = await startMail();
    await using site = await startWith(zimbraOptions(own));
    const victim = await signedIn(site, 'root1');
    const { headers } = await victim.ask(mailPath);
    await follow(headers.location ?? '');
    const alice = await signedIn(site, 'alice');
    alice.cookies.set('vratar-mail', 'mail.root1.constructor');
    await signOut(alice);
    await sessionsEnded(site);
    assert.deepEqual(own.sessions, ['root1@example.test']);
  });
});

describe('the mail server', () => {
  test('is a dependency that readiness and metrics tell about, with the difference of the clocks', async () => {
    await using skewed = await startMail({ clockOffsetMs: 120_000 });
    const port = await freePort();
    await using site = await startWith(
      zimbraOptions(skewed),
      zimbraOptions(skewed, { name: 'away', url: `http://127.0.0.1:${port}` }),
      zimbraOptions(skewed, { name: 'unasked', healthInterval: 0 }),
    );
    await until(() => site.logs.filter(({ event }) => event === 'zimbra.not-available').length === 2, {
      what: 'two lines about mail servers',
      timeoutMs: 20_000,
    });
    const { mailServers } = await site.report();
    assert.deepEqual(
      mailServers.map(({ name, status }) => [name, status]),
      [
        ['mail', 'degraded'],
        ['away', 'unavailable'],
        ['unasked', 'available'],
      ],
    );
    const metrics = await site.metrics();
    assert.match(metrics, /vratar_zimbra_clock_offset_seconds\{zimbra="mail"\} 1[12]\d\n/);
    assert.ok(metrics.includes('vratar_zimbra_up{zimbra="away"} 0'));
  });

  test('that cannot be reached over SOAP is told apart from a refusal', async () => {
    const port = await freePort();
    await using site = await startWith(
      zimbraOptions(mail, { url: `http://127.0.0.1:${port}`, interface: 'soap', healthInterval: 0 }),
    );
    const alice = await signedIn(site, 'alice');
    assert.equal((await alice.ask(mailPath)).status, 502);
    assert.ok(audited(site).some((line) => JSON.stringify(line).includes('"reason":"UPSTREAM_UNREACHABLE"')));
  });
});

test('an application never sees which mailboxes a browser opened', async () => {
  const { startUpstream } = await import('#test/servers/upstream.ts');
  await using upstream = await startUpstream();
  await using site = await startSite(upstream.url, { zimbra: [zimbraOptions(mail)] });
  const alice = await signedIn(site, 'alice');
  await alice.ask(mailPath);
  assert.equal(alice.cookies.get('vratar-mail'), 'mail');
  assert.equal((await alice.ask('/')).status, 200);
  const [received] = upstream.received;
  assert.ok(received !== undefined && !JSON.stringify(received.headers).includes('vratar-mail'));
});
