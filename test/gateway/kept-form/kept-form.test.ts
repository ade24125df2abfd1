/** The way of a form that was sent after its sender's session had ended: kept, asked about, sent once. */
import assert from 'node:assert/strict';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { after, before, beforeEach, describe, test } from 'node:test';
import { formKeptForMs } from '#src/state/kept-forms.ts';
import { siteConfig } from '#test/gateway/site.ts';
import type { TestGateway } from '#test/servers/gateway.ts';
import { startGateway } from '#test/servers/gateway.ts';
import { startUpstream, type TestUpstream } from '#test/servers/upstream.ts';
import { ManualClock } from '#test/support/clock.ts';
import { type Answer, type Ask, Visitor } from '#test/support/http-client.ts';

const origin = 'http://app.example.test';
const form = 'title=Caf%C3%A9&text=one%0D%0Atwo+%22%3E%3Cb%3E&tag=a&tag=b';
const clock = new ManualClock();

let upstream: TestUpstream;
let gateway: TestGateway;
/** Bodies of the POSTs that reached the application. */
const arrived: string[] = [];

function record(request: IncomingMessage, response: ServerResponse): void {
  const chunks: Buffer[] = [];
  request.on('data', (chunk: Buffer) => chunks.push(chunk));
  request.on('end', () => {
    if (request.method === 'POST') arrived.push(Buffer.concat(chunks).toString());
    response.end(JSON.stringify({ target: request.url, cookie: request.headers.cookie ?? '' }));
  });
}

before(async () => {
  upstream = await startUpstream(record);
  const config = siteConfig(upstream.url);
  const [app, ...others] = config.applications;
  const applications = [
    { ...app, keepForms: true },
    {
      name: 'plain',
      hosts: ['plain.example.test'],
      upstream: upstream.url,
      rules: [{ access: 'authenticated' }],
    },
    ...others,
  ];
  gateway = await startGateway({ config: { ...config, applications }, clock });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});
beforeEach(() => {
  arrived.length = 0;
});

function visitor(host = 'app.example.test'): Visitor {
  return new Visitor(gateway.port, [['Host', host]]);
}

interface Sending {
  readonly path?: string;
  readonly body?: string | Buffer;
  readonly method?: string;
  /** In the place of the usual ones; `undefined`: the field is not sent. */
  readonly headers?: Readonly<Record<string, string | undefined>>;
}

async function send(
  who: Visitor,
  { path = '/save?page=1', body = form, method = 'POST', headers = {} }: Sending = {},
) {
  const usual = {
    'Content-Type': 'application/x-www-form-urlencoded',
    Accept: 'text/html',
    Origin: origin,
    ...headers,
  };
  const fields = Object.entries(usual).filter((entry): entry is [string, string] => entry[1] !== undefined);
  return await who.ask(path, { method, body, headers: fields } satisfies Partial<Ask>);
}

/** Where the sign-in leads to. */
function returnOf(answer: Answer): string {
  const { location = '' } = answer.headers;
  return new URL(location, origin).searchParams.get('rd') ?? '';
}

const isKept = (answer: Answer): boolean => returnOf(answer).includes('/_vratar/form');

async function signIn(who: Visitor, rd: string, username = 'alice'): Promise<Answer> {
  return await who.signIn(username, gateway.passwords.get(`staff:${username}`) as string, { rd });
}

async function open(who: Visitor, address: string): Promise<Answer> {
  const { pathname, search } = new URL(address, origin);
  return await who.ask(pathname + search, { headers: [['Accept', 'text/html']] });
}

const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
const unescape = (text: string): string =>
  text.replace(/&([a-z0-9#]+);/g, (_, name: string) => entities[name] ?? '?');

/** What a browser would send for the form on the page: line ends as it writes them. */
function replayOf(page: string): { action: string; body: string } {
  const action = unescape(/<form method="post" action="([^"]*)"/.exec(page)?.[1] ?? '');
  const pairs = [...page.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)];
  const fields = pairs.map(([, name = '', value = '']): [string, string] => [
    unescape(name),
    unescape(value).replaceAll(/\r\n|\r|\n/g, '\r\n'),
  ]);
  return { action, body: new URLSearchParams(fields).toString() };
}

describe('a form sent after the session ended', () => {
  test('waits for the sign-in and reaches the application once, byte for byte, when the person says so', async () => {
    const alice = visitor();
    await signIn(alice, '/');
    const before = alice.cookieHeader;
    const csrf = /name="csrf" value="([^"]+)"/.exec((await alice.ask('/_vratar/logout')).body)?.[1] ?? '';
    await alice.submit('/_vratar/logout', { csrf });
    // The browser does not know yet that the session is over.
    for (const pair of before.split('; ')) alice.cookies.set(...(pair.split('=', 2) as [string, string]));

    const sent = await send(alice);
    assert.equal(sent.status, 303);
    assert.match(sent.headers.location ?? '', /^http:\/\/app\.example\.test\/_vratar\/login\?rd=/);
    assert.equal(returnOf(sent), `${origin}/_vratar/form?rd=${encodeURIComponent('/save?page=1')}`);
    const cookie = sent.values('set-cookie').find((line) => line.startsWith('vratar-form='));
    assert.match(cookie ?? '', /^vratar-form=[\w-]{43}; Max-Age=300; Path=\/; HttpOnly; SameSite=Lax$/);
    assert.deepEqual(arrived, []);

    const signedIn = await signIn(alice, returnOf(sent));
    assert.deepEqual([signedIn.status, signedIn.headers.location], [303, returnOf(sent)]);
    assert.deepEqual(arrived, []);

    const page = await open(alice, returnOf(sent));
    assert.equal(page.status, 200);
    assert.equal(page.headers['cache-control'], 'no-store');
    assert.match(String(page.headers['content-security-policy']), /default-src 'none'.*form-action 'self'$/);
    assert.ok(page.body.includes('The application') && page.body.includes('Alice Example'));
    assert.ok(page.body.includes('app.example.test/save<'));
    assert.ok(!alice.cookies.has('vratar-form'));
    assert.deepEqual(arrived, []);

    const { action, body } = replayOf(page.body);
    assert.deepEqual([action, body], [`${origin}/save?page=1`, form]);
    const replayed = await send(alice, { path: '/save?page=1', body });
    assert.equal(replayed.status, 200);
    assert.deepEqual(arrived, [form]);

    const again = await open(alice, returnOf(sent));
    assert.equal(again.status, 410);
    assert.ok(again.body.includes('href="/save?page=1"'));
    assert.deepEqual(arrived, [form]);
    assert.doesNotMatch(gateway.logText, /Caf|tag=a/);
  });

  test('is told a script by 401 that it may send its request again', async () => {
    const answer = await send(visitor(), {
      headers: { 'Sec-Fetch-Mode': 'cors', 'Sec-Fetch-Site': 'same-origin' },
    });
    assert.equal(answer.status, 401);
    assert.deepEqual(JSON.parse(answer.body), {
      error: 'SIGN_IN_REQUIRED',
      title: 'Sign-in required',
      signIn: `${origin}/_vratar/login?rd=${encodeURIComponent(`${origin}/save?page=1`)}`,
      retry: true,
    });
    assert.deepEqual(answer.values('set-cookie'), []);
  });

  const sameOrigin = { 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'navigate' };
  const cases: readonly (Sending & { readonly name: string; readonly kept: boolean })[] = [
    { name: 'from a page of the application', kept: true },
    { name: 'with the word of the browser', headers: sameOrigin, kept: true },
    { name: 'whose origin the page hides', headers: { ...sameOrigin, Origin: 'null' }, kept: true },
    {
      name: 'with a charset',
      headers: { 'Content-Type': 'application/x-www-form-urlencoded; charset=utf-8' },
      kept: true,
    },
    { name: 'of 64 KiB', body: `a=${'x'.repeat(65_534)}`, kept: true },
    { name: 'of one byte more', body: `a=${'x'.repeat(65_535)}`, kept: false },
    { name: 'of nobody knows whom', headers: { Origin: undefined }, kept: false },
    { name: 'of another site', headers: { Origin: 'http://evil.example' }, kept: false },
    { name: 'of a sibling host', headers: { Origin: 'http://evil.example.test' }, kept: false },
    { name: 'of another port', headers: { Origin: `${origin}:8080` }, kept: false },
    { name: 'of another scheme', headers: { Origin: 'https://app.example.test' }, kept: false },
    { name: 'of a hidden origin', headers: { Origin: 'null' }, kept: false },
    {
      name: 'that the browser calls foreign',
      headers: { ...sameOrigin, 'Sec-Fetch-Site': 'same-site' },
      kept: false,
    },
    {
      name: 'that the browser calls foreign and the field its own',
      headers: { ...sameOrigin, 'Sec-Fetch-Site': 'cross-site' },
      kept: false,
    },
    { name: 'typed into the address bar', headers: { ...sameOrigin, 'Sec-Fetch-Site': 'none' }, kept: false },
    {
      name: 'with the word of the browser against its origin',
      headers: { ...sameOrigin, Origin: 'http://evil.example' },
      kept: false,
    },
    { name: 'with files', headers: { 'Content-Type': 'multipart/form-data; boundary=x' }, kept: false },
    { name: 'of JSON', headers: { 'Content-Type': 'application/json' }, kept: false },
    { name: 'without a type', headers: { 'Content-Type': undefined }, kept: false },
    { name: 'that is packed', headers: { 'Content-Encoding': 'gzip' }, kept: false },
    { name: 'that is not UTF-8', body: 'a=%E4', kept: false },
    { name: 'without a field', body: '', kept: false },
    { name: 'by PUT', method: 'PUT', kept: false },
  ];
  for (const { name, kept, ...sending } of cases) {
    test(`${name} is ${kept ? 'kept' : 'not kept, as ever'}`, async () => {
      const answer = await send(visitor(), sending);
      assert.equal(answer.status, 303);
      assert.equal(isKept(answer), kept);
      assert.equal(answer.values('set-cookie').length, kept ? 1 : 0);
      if (!kept) assert.equal(returnOf(answer), `${origin}/save?page=1`);
    });
  }

  test('is not kept for an application that does not ask for it', async () => {
    const answer = await send(visitor('plain.example.test'), {
      headers: { Origin: 'http://plain.example.test' },
    });
    assert.equal(answer.status, 303);
    assert.ok(!isKept(answer));
  });

  test('with two origins is not kept', async () => {
    const answer = await visitor().ask('/save', {
      method: 'POST',
      body: form,
      headers: [
        ['Content-Type', 'application/x-www-form-urlencoded'],
        ['Accept', 'text/html'],
        ['Origin', origin],
        ['Origin', 'http://evil.example'],
      ],
    });
    assert.equal(answer.status, 303);
    assert.ok(!isKept(answer));
  });
});

describe('the page of a kept form', () => {
  test('asks for a sign-in first and comes back to itself', async () => {
    const who = visitor();
    const sent = await send(who);
    const answer = await open(who, returnOf(sent));
    assert.deepEqual([answer.status, returnOf(answer)], [302, returnOf(sent)]);
    await signIn(who, '/');
    assert.equal((await open(who, returnOf(sent))).status, 200);
  });

  test('shows nothing to a person who could not send the form, and leaves it for the one who could', async () => {
    const who = visitor();
    const sent = await send(who, { path: '/admin/users' });
    await signIn(who, '/', 'alice');
    const denied = await open(who, returnOf(sent));
    assert.equal(denied.status, 403);
    assert.doesNotMatch(denied.body, /Caf/);
    who.cookies.delete('vratar');
    await signIn(who, '/', 'root1');
    assert.equal((await open(who, returnOf(sent))).status, 200);
  });

  test('shows the form of this browser alone, on this host alone', async () => {
    const [who, other, elsewhere] = [visitor(), visitor(), visitor('who.example.test')];
    const sent = await send(who);
    const ticket = who.cookies.get('vratar-form') as string;
    for (const stranger of [other, elsewhere]) await signIn(stranger, '/', 'ivan');
    assert.equal((await open(other, returnOf(sent))).status, 410);
    other.cookies.set(
      'vratar-form',
      ticket.replace(/^./, (letter) => (letter === 'A' ? 'B' : 'A')),
    );
    assert.equal((await open(other, returnOf(sent))).status, 410);
    elsewhere.cookies.set('vratar-form', ticket);
    assert.equal((await open(elsewhere, '/_vratar/form')).status, 410);
    await signIn(who, '/');
    assert.equal((await open(who, returnOf(sent))).status, 200);
  });

  test('is shown once, also to a browser that asks twice at the same moment or keeps its cookie', async () => {
    const who = visitor();
    const sent = await send(who);
    await signIn(who, '/');
    const ticket = who.cookies.get('vratar-form') as string;
    const answers = await Promise.all(Array.from({ length: 4 }, async () => await open(who, returnOf(sent))));
    assert.deepEqual(
      answers.map(({ status }) => status).toSorted((a, b) => a - b),
      [200, 410, 410, 410],
    );
    who.cookies.set('vratar-form', ticket);
    assert.equal((await open(who, returnOf(sent))).status, 410);
  });

  test('is not used up by what only looks', async () => {
    const who = visitor();
    const sent = await send(who);
    await signIn(who, '/');
    const script = await who.ask('/_vratar/form', { headers: [['Sec-Fetch-Mode', 'no-cors']] });
    assert.equal(script.status, 404);
    const head = await who.ask('/_vratar/form', { method: 'HEAD', headers: [['Accept', 'text/html']] });
    assert.equal(head.status, 404);
    assert.equal((await open(who, returnOf(sent))).status, 200);
  });

  test('keeps the form for five minutes', async () => {
    const who = visitor();
    const sent = await send(who);
    await signIn(who, '/');
    clock.advance(formKeptForMs);
    const answer = await open(who, returnOf(sent));
    assert.equal(answer.status, 410);
    assert.ok(!who.cookies.has('vratar-form'));
  });

  test('keeps the last form of a browser', async () => {
    const who = visitor();
    await send(who, { body: 'a=first' });
    const sent = await send(who, { body: 'a=second' });
    await signIn(who, '/');
    assert.equal(replayOf((await open(who, returnOf(sent))).body).body, 'a=second');
  });

  test('leads back to nobody else’s page', async () => {
    const who = visitor();
    await signIn(who, '/');
    for (const rd of ['https://evil.example/', '//evil.example/', '/_vratar/logout', 'javascript:alert(1)']) {
      const { body } = await open(who, `/_vratar/form?rd=${encodeURIComponent(rd)}`);
      assert.ok(body.includes('<a class="button button-primary" href="/_vratar/">'), rd);
    }
  });

  test('is told apart in the metric', async () => {
    const text = await gateway.metrics();
    for (const result of ['kept', 'refused', 'offered', 'gone'])
      assert.match(text, new RegExp(`vratar_kept_forms_total\\{result="${result}"\\} [1-9]`), result);
  });
});

test('behind a front proxy that ends TLS, and with sign-in on another host, the form comes back to its own', async () => {
  const config = siteConfig(upstream.url, {
    server: { publicUrl: 'https://gw.example.test', trustedProxies: ['127.0.0.1/32'] },
    session: { cookie: { domain: 'example.test' } },
  });
  const [app, ...others] = config.applications;
  const applications = [{ ...app, keepForms: true }, ...others];
  await using proxied = await startGateway({ config: { ...config, applications }, clock });
  const forwarded = [['X-Forwarded-Proto', 'https']] as const;
  const who = new Visitor(proxied.port, [['Host', 'app.example.test'], ...forwarded]);
  const own = 'https://app.example.test';
  const sent = await send(who, {
    headers: { Origin: own, 'Sec-Fetch-Site': 'same-origin', 'Sec-Fetch-Mode': 'navigate' },
  });
  assert.match(sent.headers.location ?? '', /^https:\/\/gw\.example\.test\/_vratar\/login\?rd=/);
  assert.ok(returnOf(sent).startsWith(`${own}/_vratar/form?rd=`));
  const cookie = sent.values('set-cookie').join();
  assert.match(
    cookie,
    /^__Host-vratar-form=[\w-]{43}; Max-Age=300; Path=\/; HttpOnly; SameSite=Lax; Secure$/,
  );

  const atPortal = new Visitor(proxied.port, [['Host', 'gw.example.test'], ...forwarded]);
  const signedIn = await atPortal.signIn('alice', proxied.passwords.get('staff:alice') as string, {
    rd: returnOf(sent),
  });
  assert.equal(signedIn.headers.location, returnOf(sent));
  who.cookies.set('vratar', atPortal.cookies.get('vratar') as string);
  const page = await open(who, returnOf(sent));
  assert.equal(page.status, 200);
  assert.deepEqual(replayOf(page.body), { action: `${own}/save?page=1`, body: form });
  // An application of the domain may lead on to another host of it.
  const policy = String(page.headers['content-security-policy']);
  assert.match(policy, /form-action 'self' https:\/\/example\.test:\* https:\/\/\*\.example\.test:\*$/);
});

test('the cookie of a kept form never reaches the application', async () => {
  const who = visitor();
  await signIn(who, '/');
  who.cookies.set('vratar-form', 'x');
  who.cookies.set('own', '1');
  const { cookie } = JSON.parse((await who.ask('/page')).body) as { cookie: string };
  assert.equal(cookie, 'own=1');
});

test('one address cannot fill the memory: what is too much is not kept, and everybody still gets to sign in', async () => {
  const heavy = { body: `a=${'x'.repeat(60_000)}` };
  const answers: Answer[] = [];
  for (let i = 0; i < 24; i++) answers.push(await send(visitor(), heavy));
  assert.ok(answers.every(({ status }) => status === 303));
  const kept = answers.filter(isKept).length;
  assert.ok(kept > 0 && kept <= 17, String(kept));
  clock.advance(formKeptForMs);
  assert.ok(isKept(await send(visitor(), heavy)));
});
