/** Sign-in by ticket at the gateway's own addresses, with tickets of a real realm. */
import assert from 'node:assert/strict';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { hosts, services, startKerberosSite } from '#test/gateway/kerberos-site.ts';
import { base64, ntlmMessage } from '#test/providers/kerberos/built-tokens.ts';
import type { TestGateway } from '#test/servers/gateway.ts';
import { type Kdc, startKdc } from '#test/servers/kdc.ts';
import { type Answer, type Ask, ask, csrfOf, Visitor } from '#test/support/http-client.ts';

type Header = readonly [name: string, value: string];

const onWiki: Header = ['Host', hosts.wiki];
const navigation: readonly Header[] = [
  ['Sec-Fetch-Mode', 'navigate'],
  ['Accept', 'text/html'],
];
const script: readonly Header[] = [
  ['Sec-Fetch-Mode', 'cors'],
  ['Accept', '*/*'],
];
const ntlm = base64(ntlmMessage);
const rd = `http://${hosts.wiki}/spaces?page=2`;
const negotiate = `/_vratar/negotiate?rd=${encodeURIComponent(rd)}`;
const login = `/_vratar/login?rd=${encodeURIComponent(rd)}`;

let kdc: Kdc;
let gateway: TestGateway;
// Also when one of them does not start, the others must end, or the test process never does.
const resources = new AsyncDisposableStack();
before(async () => {
  kdc = resources.use(await startKdc({ services }));
  gateway = resources.use(await startKerberosSite(kdc));
});
after(async () => await resources.disposeAsync());

/** A keytab that is in order while the gateway starts. */
async function unusable(name: string): Promise<string> {
  const file = join(kdc.folder, name);
  await copyFile(kdc.keytab, file);
  return file;
}

async function breakKeytab(name: string): Promise<void> {
  await writeFile(join(kdc.folder, name), 'no keytab');
}

async function get(
  path: string,
  headers: readonly Header[],
  more: Partial<Ask> = {},
  port = gateway.port,
): Promise<Answer> {
  return await ask({ port, path, headers, ...more });
}

const authorization = (token: string): Header => ['Authorization', `Negotiate ${token}`];
const challengeOf = (answer: Answer): readonly string[] => answer.values('www-authenticate');
const hasForm = (answer: Answer): boolean => /name="csrf"/.test(answer.body);
const cookieNames = (answer: Answer): readonly (string | undefined)[] =>
  answer.values('set-cookie').map((line) => line.split('=', 1)[0]);

describe('the address that asks for a ticket', () => {
  const unasked: readonly { name: string; headers: readonly Header[]; method?: string }[] = [
    { name: 'a person', headers: navigation },
    { name: 'a browser that says little', headers: [['Accept', 'text/html,*/*']] },
    { name: 'a command line', headers: [['Accept', '*/*']] },
    {
      name: 'a person whose field names the scheme alone',
      headers: [...navigation, ['Authorization', 'Negotiate']],
    },
    { name: 'a person with another scheme', headers: [...navigation, ['Authorization', 'Basic YTpi']] },
  ];
  for (const { name, headers } of unasked) {
    test(`asks ${name}, with the form as the page`, async () => {
      const answer = await get(negotiate, [onWiki, ...headers]);
      assert.equal(answer.status, 401);
      assert.deepEqual(challengeOf(answer), ['Negotiate']);
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.match(answer.headers['content-type'] as string, /^text\/html/);
      assert.ok(hasForm(answer));
      assert.ok(answer.body.includes(`value="${rd}"`), answer.body);
      assert.deepEqual(cookieNames(answer), ['vratar-csrf']);
    });
  }

  for (const [name, headers] of [
    ['a script', script],
    [
      'an old script',
      [
        ['X-Requested-With', 'XMLHttpRequest'],
        ['Accept', 'text/html'],
      ],
    ],
    [
      'a picture on plain http',
      [
        ['Accept', 'image/avif,*/*'],
        ['Accept-Language', 'en'],
      ],
    ],
  ] as const) {
    test(`never asks ${name}`, async () => {
      const answer = await get(negotiate, [onWiki, ...headers]);
      assert.equal(answer.status, 401);
      assert.deepEqual(challengeOf(answer), []);
      assert.match(answer.headers['content-type'] as string, /^application\/json/);
    });
  }

  for (const method of ['POST', 'OPTIONS', 'PUT']) {
    test(`takes no ${method}, with a ticket or without`, async () => {
      const answer = await get(negotiate, [onWiki, ...navigation, authorization(await kdc.token('alice'))], {
        method,
      });
      assert.equal(answer.status, 405);
      assert.deepEqual(challengeOf(answer), []);
    });
  }

  test('takes a ticket: session, way back, and the last word of the negotiation', async () => {
    const visitor = new Visitor(gateway.port, [onWiki, ...navigation]);
    const token = await kdc.token('alice', `HTTP/${hosts.wiki}`, { isMutual: true });
    const answer = await visitor.ask(negotiate, { headers: [authorization(token)] });
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.location, rd);
    assert.equal(answer.headers['cache-control'], 'no-store');
    assert.match(challengeOf(answer).join(), /^Negotiate [A-Za-z0-9+/]{60,}=*$/);
    assert.deepEqual(cookieNames(answer), ['vratar']);
    const person = JSON.parse((await visitor.ask('/_vratar/userinfo')).body) as Record<string, unknown>;
    assert.equal(person['username'], 'alice');
    assert.equal(person['provider'], 'sso');
    assert.equal(person['subject'], `alice@${kdc.realm}`);
    // Signed in: no further question.
    const again = await visitor.ask(negotiate);
    assert.equal(again.status, 302);
    assert.equal(again.headers.location, rd);
  });

  test('leads nowhere else than to an application', async () => {
    const token = await kdc.token('alice', `HTTP/${hosts.wiki}`);
    const path = `/_vratar/negotiate?rd=${encodeURIComponent('https://evil.example.test/')}`;
    const answer = await get(path, [onWiki, ...navigation, authorization(token)]);
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.location, '/_vratar/');
  });

  test('ends the wish for the form with the ticket of a person who tries by hand', async () => {
    const token = await kdc.token('alice', `HTTP/${hosts.wiki}`);
    const headers = [onWiki, ...navigation, ['Cookie', 'vratar-nosso=1'] as const];
    const asked = await get(negotiate, [...headers, ['Sec-Fetch-Site', 'same-origin']]);
    assert.deepEqual(challengeOf(asked), ['Negotiate']);
    const answer = await get(negotiate, [...headers, authorization(token)]);
    assert.equal(answer.status, 303);
    assert.ok(answer.values('set-cookie').some((line) => line.startsWith('vratar-nosso=; Max-Age=0')));
  });

  test('lets no link of another site sign in whoever has signed out', async () => {
    const headers = [onWiki, ...navigation, ['Cookie', 'vratar-nosso=1'] as const];
    const answer = await get(negotiate, [...headers, ['Sec-Fetch-Site', 'cross-site']]);
    assert.equal(answer.status, 401);
    assert.deepEqual(challengeOf(answer), []);
    assert.ok(hasForm(answer));
  });

  const useless: readonly { name: string; token: string }[] = [
    { name: 'NTLM', token: ntlm },
    { name: 'what is no base64', token: '!!!!' },
    { name: 'what is base64 of nothing', token: 'AAAA' },
    { name: 'a token beyond every limit', token: 'A'.repeat(90_001) },
  ];
  for (const { name, token } of useless) {
    test(`shows the form for ${name}, without asking again, and remembers it`, async () => {
      const visitor = new Visitor(gateway.port, [onWiki, ...navigation]);
      const answer = await visitor.ask(negotiate, { headers: [authorization(token)] });
      assert.equal(answer.status, 401);
      assert.deepEqual(challengeOf(answer), []);
      assert.ok(hasForm(answer));
      assert.match(answer.body, /notice-ticket-refused/);
      assert.ok(answer.values('set-cookie').some((line) => line.startsWith('vratar-nosso=1; Max-Age=600;')));
      assert.equal((await visitor.ask(login)).status, 200);
    });
  }

  test('tells a person of a realm that is not listed that they may not, once and without a session', async () => {
    await using elsewhere = await startKerberosSite(kdc, { sso: { realms: ['ELSEWHERE.TEST'] } });
    const token = await kdc.token('alice', `HTTP/${hosts.wiki}`);
    const answer = await get(negotiate, [onWiki, ...navigation, authorization(token)], {}, elsewhere.port);
    assert.equal(answer.status, 403);
    assert.deepEqual(challengeOf(answer), []);
    assert.ok(hasForm(answer));
    assert.ok(!cookieNames(answer).includes('vratar'));
    assert.ok(cookieNames(answer).includes('vratar-nosso'));
  });

  for (const [name, headers] of [
    ['two fields', [authorization(ntlm), authorization(ntlm)]],
    ['two fields of two schemes', [authorization(ntlm), ['Authorization', 'Basic YTpi'] as const]],
    ['a second element', [authorization(`${ntlm}, Basic YTpi`)]],
  ] as const) {
    test(`refuses ${name}`, async () => {
      const answer = await get(negotiate, [onWiki, ...navigation, ...headers]);
      assert.equal(answer.status, 400);
      assert.deepEqual(challengeOf(answer), []);
    });
  }
});

describe('the sign-in page', () => {
  test('leads a person on to where a ticket is asked for', async () => {
    const answer = await get(login, [onWiki, ...navigation]);
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.location, negotiate);
  });

  const shown: readonly { name: string; path?: string; headers: readonly Header[] }[] = [
    { name: 'asked with sso=0', path: `${login}&sso=0`, headers: navigation },
    { name: 'in a language that was just chosen', path: `${login}&lang=ru`, headers: navigation },
    { name: 'after a ticket that was no use', headers: [...navigation, ['Cookie', 'a=1; vratar-nosso=1']] },
    { name: 'for a script', headers: script },
    { name: 'for a command line', headers: [['Accept', '*/*']] },
  ];
  for (const { name, path = login, headers } of shown) {
    test(`is shown ${name}, with a button for the ticket`, async () => {
      const answer = await get(path, [onWiki, ...headers]);
      assert.equal(answer.status, 200);
      assert.ok(hasForm(answer));
      assert.ok(answer.body.includes(`href="${negotiate}"`), answer.body);
    });
  }

  const conditions: readonly {
    name: string;
    challenge: object;
    headers?: readonly Header[];
    asks: boolean;
  }[] = [
    { name: 'a client outside the listed networks', challenge: { clients: ['10.0.0.0/8'] }, asks: false },
    { name: 'a client inside', challenge: { clients: ['10.0.0.0/8', '127.0.0.0/8'] }, asks: true },
    {
      name: 'a host that is not listed',
      challenge: { hosts: ['intra.example.com', '*.corp.localhost'] },
      asks: false,
    },
    { name: 'a listed host', challenge: { hosts: ['*.localhost'] }, asks: true },
    {
      name: 'a browser that is left out',
      challenge: { exceptUserAgents: ['Android'] },
      headers: [['User-Agent', 'Mozilla/5.0 (Linux; Android 14)']],
      asks: false,
    },
    {
      name: 'a browser without the sign of the domain',
      challenge: { userAgents: ['corp-device'] },
      headers: [['User-Agent', 'Mozilla/5.0']],
      asks: false,
    },
    {
      name: 'a browser with it',
      challenge: { userAgents: ['corp-device'] },
      headers: [['User-Agent', 'Mozilla/5.0 corp-device/1']],
      asks: true,
    },
  ];
  for (const { name, challenge, headers = [], asks } of conditions) {
    test(`${asks ? 'asks' : 'asks nothing of'} ${name}`, async () => {
      await using site = await startKerberosSite(kdc, { sso: { challenge } });
      const answer = await get(login, [onWiki, ...navigation, ...headers], {}, site.port);
      assert.equal(answer.status, asks ? 302 : 200);
      if (!asks) assert.ok(!answer.body.includes('/_vratar/negotiate'));
      const byHand = await get(negotiate, [onWiki, ...navigation, ...headers], {}, site.port);
      assert.equal(byHand.status, 401);
      assert.deepEqual(challengeOf(byHand), asks ? ['Negotiate'] : []);
      assert.ok(hasForm(byHand));
    });
  }

  test('stays the form after a sign-out, for eight hours', async () => {
    const visitor = new Visitor(gateway.port, [onWiki, ...navigation]);
    await visitor.ask(negotiate, {
      headers: [authorization(await kdc.token('alice', `HTTP/${hosts.wiki}`))],
    });
    const page = await visitor.ask('/_vratar/logout');
    const answer = await visitor.submit('/_vratar/logout', { csrf: csrfOf(page.body) });
    assert.equal(answer.status, 303);
    assert.ok(answer.values('set-cookie').some((line) => line.startsWith('vratar-nosso=1; Max-Age=28800;')));
    assert.ok(!visitor.cookies.has('vratar'));
    const after = await visitor.ask(answer.headers.location as string);
    assert.equal(after.status, 200);
    assert.ok(hasForm(after));
  });

  test('spans the domain of the session cookie with the wish for the form', async () => {
    await using site = await startKerberosSite(kdc, {
      session: { cookie: { domain: 'corp.example' } },
      server: { publicUrl: 'https://login.corp.example', trustedProxies: ['127.0.0.1/32'] },
    });
    const host: Header = ['Host', 'login.corp.example'];
    const answer = await get('/_vratar/negotiate', [host, ...navigation, authorization(ntlm)], {}, site.port);
    const [cookie] = answer.values('set-cookie').filter((line) => line.startsWith('vratar-nosso'));
    assert.equal(
      cookie,
      'vratar-nosso=1; Max-Age=600; Path=/; HttpOnly; SameSite=Lax; Secure; Domain=corp.example',
    );
  });
});

test('without a Kerberos provider there is no such address, and nothing is asked', async () => {
  await using site = await startKerberosSite(kdc, {
    providers: [{ name: 'staff', type: 'local', users: [{ username: 'alice' }] }],
    applications: [
      { name: 'wiki', hosts: [hosts.wiki], upstream: 'whoami', rules: [{ access: 'authenticated' }] },
    ],
  });
  const asked = await get(negotiate, [onWiki, ...navigation], {}, site.port);
  assert.equal(asked.status, 404);
  const page = await get(login, [onWiki, ...navigation], {}, site.port);
  assert.equal(page.status, 200);
  assert.ok(!page.body.includes('negotiate'));
});

describe('a provider that cannot judge', () => {
  test('is no reason to ask again: the form, for a minute', async () => {
    await using site = await startKerberosSite(kdc, { sso: { keytab: await unusable('a.keytab') } });
    const token = await kdc.token('alice', `HTTP/${hosts.wiki}`);
    await breakKeytab('a.keytab');
    const answer = await get(negotiate, [onWiki, ...navigation, authorization(token)], {}, site.port);
    assert.equal(answer.status, 401, site.logText);
    assert.deepEqual(challengeOf(answer), []);
    assert.ok(hasForm(answer));
    assert.ok(answer.values('set-cookie').some((line) => line.startsWith('vratar-nosso=1; Max-Age=60;')));
    assert.match(await site.metrics(), /vratar_authentications_total\{[^}]*provider="sso",outcome="error"/);
  });

  test('is an outage where there is no password to fall back to', async () => {
    await using site = await startKerberosSite(kdc, {
      providers: [{ name: 'sso', type: 'kerberos', keytab: await unusable('b.keytab'), realms: [kdc.realm] }],
    });
    const token = await kdc.token('alice', `HTTP/${hosts.wiki}`);
    await breakKeytab('b.keytab');
    const answer = await get(negotiate, [onWiki, ...navigation, authorization(token)], {}, site.port);
    assert.equal(answer.status, 503, site.logText);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
    assert.deepEqual(challengeOf(answer), []);
  });
});
