/** Tickets that come with the requests of applications: over the reverse proxy, every dialect, and what is never passed on. */
import assert from 'node:assert/strict';
import { copyFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { acceptsOf, hosts, services, startKerberosSite } from '#test/gateway/kerberos-site.ts';
import { base64, ntlmMessage } from '#test/providers/kerberos/built-tokens.ts';
import type { TestGateway } from '#test/servers/gateway.ts';
import { type Kdc, startKdc } from '#test/servers/kdc.ts';
import { startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { type Answer, type Ask, ask } from '#test/support/http-client.ts';

type Header = readonly [name: string, value: string];

const navigation: readonly Header[] = [
  ['Sec-Fetch-Mode', 'navigate'],
  ['Accept', 'text/html'],
];
const script: readonly Header[] = [
  ['Sec-Fetch-Mode', 'cors'],
  ['Accept', '*/*'],
];
const program: readonly Header[] = [['Accept', '*/*']];
const noSso: Header = ['Cookie', 'vratar-nosso=1'];
const ntlm: Header = ['Authorization', `Negotiate ${base64(ntlmMessage)}`];

let kdc: Kdc;
let gateway: TestGateway;
let upstream: TestUpstream;
// Also when one of them does not start, the others must end, or the test process never does.
const resources = new AsyncDisposableStack();
before(async () => {
  kdc = resources.use(await startKdc({ services }));
  upstream = resources.use(await startUpstream());
  gateway = resources.use(await startKerberosSite(kdc, { upstream: upstream.url }));
});
after(async () => await resources.disposeAsync());

async function send(host: string, headers: readonly Header[], more: Partial<Ask> = {}): Promise<Answer> {
  return await ask({ port: gateway.port, path: '/x', ...more, headers: [['Host', host], ...headers] });
}

async function ticketFor(host: string, person = 'alice'): Promise<Header> {
  return ['Authorization', `Negotiate ${await kdc.token(person, `HTTP/${host}`)}`];
}

const challengeOf = (answer: Answer): readonly string[] => answer.values('www-authenticate');
const hasForm = (answer: Answer): boolean => /name="csrf"/.test(answer.body);
const sessionOf = (answer: Answer): string | undefined =>
  answer
    .values('set-cookie')
    .find((line) => line.startsWith('vratar='))
    ?.split(';', 1)[0];
const remembersRefusal = (answer: Answer): boolean =>
  answer.values('set-cookie').some((line) => line.startsWith('vratar-nosso=1; Max-Age=600;'));

function receivedIn(answer: Answer): readonly string[] {
  assert.equal(answer.status, 200, answer.body);
  return (JSON.parse(answer.body) as { headers: readonly string[] }).headers;
}

describe('an application that takes tickets', () => {
  test('opens a session with the first one, and none is judged afterwards', async () => {
    const before = await acceptsOf(gateway);
    const answer = await send(hosts.wiki, [...navigation, await ticketFor(hosts.wiki)]);
    const headers = receivedIn(answer);
    assert.deepEqual(valuesOf(headers, 'remote-user'), ['alice']);
    assert.deepEqual(valuesOf(headers, 'authorization'), []);
    assert.match(challengeOf(answer).join(), /^Negotiate [A-Za-z0-9+/=]+$/);
    assert.deepEqual(answer.values('cache-control'), ['no-store']);
    const session = sessionOf(answer);
    assert.ok(session !== undefined);
    for (let i = 0; i < 3; i++) {
      const next = await send(hosts.wiki, [...navigation, ['Cookie', session]]);
      assert.deepEqual(valuesOf(receivedIn(next), 'remote-user'), ['alice']);
      assert.deepEqual(challengeOf(next), []);
      assert.equal(sessionOf(next), undefined);
    }
    assert.equal((await acceptsOf(gateway)) - before, 1);
  });

  test('keeps a session rather than the ticket of somebody else', async () => {
    const session = sessionOf(await send(hosts.wiki, [await ticketFor(hosts.wiki, 'bob')])) as string;
    const answer = await send(hosts.wiki, [['Cookie', session], await ticketFor(hosts.wiki, 'alice')]);
    assert.deepEqual(valuesOf(receivedIn(answer), 'remote-user'), ['bob']);
  });

  test('leads a person without one to the sign-in page', async () => {
    const answer = await send(hosts.wiki, navigation);
    assert.equal(answer.status, 302);
    assert.match(answer.headers.location as string, /\/_vratar\/login\?rd=/);
  });

  test('opens no session for a person who may not', async () => {
    const answer = await send(hosts.wiki, [...navigation, await ticketFor(hosts.wiki, 'bob')], {
      path: '/alice/x',
    });
    assert.equal(answer.status, 403);
    assert.equal(sessionOf(answer), undefined);
    assert.deepEqual(challengeOf(answer), []);
  });

  test('takes a useless token for none where everybody may', async () => {
    const answer = await send(hosts.wiki, [...navigation, ntlm], { path: '/public/x' });
    assert.deepEqual(valuesOf(receivedIn(answer), 'remote-user'), []);
  });

  for (const [name, headers, isPage] of [
    ['a person', navigation, true],
    ['a script', script, false],
    ['a program', program, false],
  ] as const) {
    test(`answers a useless token of ${name} without another challenge`, async () => {
      const answer = await send(hosts.wiki, [...headers, ntlm]);
      assert.equal(answer.status, 401);
      assert.deepEqual(challengeOf(answer), []);
      assert.equal(hasForm(answer), isPage);
      assert.ok(remembersRefusal(answer));
    });
  }

  test('refuses a second element after the token, whoever is signed in', async () => {
    const session = sessionOf(await send(hosts.wiki, [await ticketFor(hosts.wiki)])) as string;
    const [, token] = await ticketFor(hosts.wiki);
    const answer = await send(hosts.wiki, [
      ['Cookie', session],
      ['Authorization', `${token}, Basic YTpi`],
    ]);
    assert.equal(answer.status, 400);
  });

  test('is not given the identity of a request before on the same connection', async () => {
    const { Agent, request } = await import('node:http');
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ticket = await ticketFor(hosts.wiki);
    const statuses: (number | undefined)[] = [];
    const ports = new Set<number | undefined>();
    for (const headers of [[ticket], []]) {
      const { promise, resolve, reject } = Promise.withResolvers<void>();
      request(
        { port: gateway.port, path: '/x', agent, headers: ['Host', hosts.wiki, ...headers.flat()] },
        (response) => {
          statuses.push(response.statusCode);
          ports.add(response.socket.localPort);
          response.resume().on('end', resolve);
        },
      )
        .on('error', reject)
        .end();
      await promise;
    }
    agent.destroy();
    assert.deepEqual(statuses, [200, 401]);
    assert.equal(ports.size, 1);
  });
});

test('an application that takes none is not asked to look at one', async () => {
  const before = await acceptsOf(gateway);
  const answer = await send(hosts.plain, [...navigation, await ticketFor(hosts.plain)]);
  assert.equal(answer.status, 302);
  assert.deepEqual(challengeOf(answer), []);
  assert.equal(await acceptsOf(gateway), before);
});

describe('an application for programs', () => {
  const asked: readonly { name: string; headers: readonly Header[]; method?: string; isPage?: true }[] = [
    { name: 'a program', headers: program },
    { name: 'a program that names the scheme alone', headers: [...program, ['Authorization', 'Negotiate']] },
    { name: 'a program that changes something', headers: program, method: 'POST' },
    { name: 'a program whatever a browser wished', headers: [...program, noSso] },
    { name: 'a person', headers: navigation, isPage: true },
  ];
  for (const { name, headers, method = 'GET', isPage = false } of asked) {
    test(`asks ${name} on the spot`, async () => {
      const answer = await send(hosts.api, headers, { method });
      assert.equal(answer.status, 401);
      assert.deepEqual(challengeOf(answer), ['Negotiate']);
      assert.equal(hasForm(answer), isPage);
      assert.equal(answer.headers['cache-control'], 'no-store');
    });
  }

  const unasked: readonly { name: string; headers: readonly Header[]; method?: string; status: number }[] = [
    { name: 'a script', headers: script, status: 401 },
    { name: 'a preflight request', headers: program, method: 'OPTIONS', status: 401 },
    { name: 'a form', headers: navigation, method: 'POST', status: 303 },
    { name: 'a person who would rather have the form', headers: [...navigation, noSso], status: 302 },
  ];
  for (const { name, headers, method = 'GET', status } of unasked) {
    test(`never asks ${name}`, async () => {
      const answer = await send(hosts.api, headers, { method });
      assert.equal(answer.status, status);
      assert.deepEqual(challengeOf(answer), []);
    });
  }

  test('opens sessions for people, none for programs', async () => {
    const forProgram = await send(hosts.api, [...program, await ticketFor(hosts.api)]);
    assert.deepEqual(valuesOf(receivedIn(forProgram), 'remote-user'), ['alice']);
    assert.equal(sessionOf(forProgram), undefined);
    const forPerson = await send(hosts.api, [...navigation, await ticketFor(hosts.api)]);
    assert.equal(forPerson.status, 200);
    assert.notEqual(sessionOf(forPerson), undefined);
  });

  test('gets every Authorization field but a ticket', async () => {
    const passed = await send(hosts.api, [['Authorization', 'Bearer abc']], { path: '/public/x' });
    assert.deepEqual(valuesOf(receivedIn(passed), 'authorization'), ['Bearer abc']);
    for (const value of [(await ticketFor(hosts.api))[1], ntlm[1], 'negotiate', 'NEGOTIATE\tAAAA']) {
      const withheld = await send(hosts.api, [['Authorization', value]], { path: '/public/x' });
      assert.deepEqual(valuesOf(receivedIn(withheld), 'authorization'), [], value);
    }
  });
});

describe('the answer of the application', () => {
  test('keeps its own challenge, and no cache keeps the session', async () => {
    await using own = await startUpstream((_request, response) => {
      response
        .writeHead(401, {
          'WWW-Authenticate': 'Basic realm="own"',
          'Cache-Control': 'public, max-age=600',
          'Set-Cookie': 'app=1',
        })
        .end('own');
    });
    await using site = await startKerberosSite(kdc, { upstream: own.url });
    const answer = await ask({
      port: site.port,
      path: '/x',
      headers: [['Host', hosts.wiki], ...navigation, await ticketFor(hosts.wiki)],
    });
    assert.equal(answer.status, 401);
    assert.deepEqual(challengeOf(answer), ['Basic realm="own"']);
    assert.deepEqual(answer.values('cache-control'), ['no-store']);
    assert.deepEqual(
      answer.values('set-cookie').map((line) => line.split('=', 1)[0]),
      ['app', 'vratar'],
    );
  });
});

interface Original {
  readonly host: string;
  readonly method?: string;
  readonly path?: string;
}

/** The question a front proxy asks, by dialect. */
function question(
  dialect: string,
  { host, method = 'GET', path = '/x' }: Original,
): Partial<Ask> & { headers: readonly Header[] } {
  switch (dialect) {
    case 'nginx':
      return {
        path: '/_vratar/auth/nginx',
        headers: [
          ['X-Original-URL', `http://${host}${path}`],
          ['X-Original-Method', method],
        ],
      };
    case 'envoy':
      return { method, path: `/_vratar/auth/envoy${path}`, headers: [['X-Forwarded-Proto', 'http']] };
    default:
      return {
        path: `/_vratar/auth/${dialect}`,
        headers: [
          ['X-Forwarded-Method', method],
          ['X-Forwarded-Proto', 'http'],
          ['X-Forwarded-Host', host],
          ['X-Forwarded-Uri', path],
        ],
      };
  }
}

async function inquire(dialect: string, original: Original, headers: readonly Header[]): Promise<Answer> {
  const { headers: describing, ...more } = question(dialect, original);
  return await send(original.host, [...describing, ...headers], more);
}

for (const dialect of ['nginx', 'traefik', 'caddy', 'haproxy', 'envoy']) {
  describe(`asked by ${dialect}`, () => {
    test('a ticket is an identity, with a session and the last word for the browser', async () => {
      const answer = await inquire(dialect, { host: hosts.wiki }, [
        ...navigation,
        await ticketFor(hosts.wiki),
      ]);
      assert.equal(answer.status, 200, answer.body);
      assert.equal(answer.headers['remote-user'], 'alice');
      assert.match(challengeOf(answer).join(), /^Negotiate [A-Za-z0-9+/=]+$/);
      const session = sessionOf(answer);
      assert.ok(session !== undefined);
      assert.deepEqual(answer.values('cache-control'), ['no-store']);
      const next = await inquire(dialect, { host: hosts.wiki }, [...navigation, ['Cookie', session]]);
      assert.equal(next.headers['remote-user'], 'alice');
      assert.deepEqual(challengeOf(next), []);
    });

    test('programs are asked on the spot where the application is for them', async () => {
      const answer = await inquire(dialect, { host: hosts.api }, program);
      assert.equal(answer.status, 401);
      assert.deepEqual(challengeOf(answer), ['Negotiate']);
      const refused = await inquire(dialect, { host: hosts.api }, [...program, ntlm]);
      assert.equal(refused.status, 401);
      assert.deepEqual(challengeOf(refused), []);
      assert.ok(remembersRefusal(refused));
    });

    test('a person gets the form as the page of a challenge, and no second one', async () => {
      const answer = await inquire(dialect, { host: hosts.api }, navigation);
      assert.equal(answer.status, 401);
      assert.deepEqual(challengeOf(answer), ['Negotiate']);
      // nginx hands no body on.
      assert.equal(hasForm(answer), dialect !== 'nginx');
      const refused = await inquire(dialect, { host: hosts.api }, [...navigation, ntlm]);
      assert.equal(refused.status, 401);
      assert.deepEqual(challengeOf(refused), []);
      assert.equal(hasForm(refused), dialect !== 'nginx');
    });

    test('a person who may not is denied, and has no session', async () => {
      const original = { host: hosts.wiki, path: '/alice/x' };
      const answer = await inquire(dialect, original, [...navigation, await ticketFor(hosts.wiki, 'bob')]);
      assert.equal(answer.status, 403);
      assert.equal(sessionOf(answer), undefined);
      assert.deepEqual(challengeOf(answer), []);
    });

    test('an application that takes no tickets asks for none', async () => {
      const answer = await inquire(dialect, { host: hosts.plain }, navigation);
      assert.deepEqual(challengeOf(answer), []);
      assert.equal(answer.status, dialect === 'nginx' ? 401 : 302);
    });
  });
}

describe('the 401 for nginx', () => {
  const rows: readonly { name: string; headers: readonly Header[]; method?: string; asks: boolean }[] = [
    { name: 'a person', headers: navigation, asks: true },
    { name: 'a program', headers: program, asks: true },
    { name: 'a question that says nothing of the client', headers: [], asks: true },
    { name: 'a script', headers: script, asks: false },
    { name: 'a form', headers: navigation, method: 'POST', asks: false },
    { name: 'a preflight request', headers: program, method: 'OPTIONS', asks: false },
    { name: 'a person who would rather have the form', headers: [...navigation, noSso], asks: false },
  ];
  for (const { name, headers, method = 'GET', asks } of rows) {
    test(`${asks ? 'asks' : 'never asks'} ${name}, and always names the sign-in page`, async () => {
      const answer = await inquire('nginx', { host: hosts.wiki, method }, headers);
      assert.equal(answer.status, 401);
      assert.deepEqual(challengeOf(answer), asks ? ['Negotiate'] : []);
      assert.match(answer.headers.location as string, /\/_vratar\/login\?rd=/);
    });
  }

  test('is one session for the questions that nginx repeats', async () => {
    const ticket = await ticketFor(hosts.wiki);
    const before = await acceptsOf(gateway);
    const answers = [];
    for (const path of ['/', '/index.html']) {
      answers.push(await inquire('nginx', { host: hosts.wiki, path }, [...navigation, ticket]));
    }
    assert.deepEqual(
      answers.map(({ status }) => status),
      [200, 200],
    );
    assert.equal(new Set(answers.map(sessionOf)).size, 1);
    assert.equal((await acceptsOf(gateway)) - before, 1);
  });
});

describe('while nobody can judge tickets', () => {
  /** The keytab is in order while the gateway starts. */
  async function startBroken(name: string, more: Record<string, unknown> = {}): Promise<TestGateway> {
    const keytab = join(kdc.folder, `${name}.keytab`);
    await copyFile(kdc.keytab, keytab);
    const site = await startKerberosSite(kdc, { upstream: upstream.url, sso: { keytab }, ...more });
    await writeFile(keytab, 'no keytab');
    return site;
  }

  test('the form is shown where there is a password, and the decision counts as an error', async () => {
    await using site = await startBroken('form');
    const ticket = await ticketFor(hosts.wiki);
    const { headers: describing, ...more } = question('nginx', { host: hosts.wiki });
    for (const asked of [
      { path: '/x', headers: [] },
      { ...more, headers: describing },
    ]) {
      const headers = [['Host', hosts.wiki], ...navigation, ticket, ...asked.headers] as const;
      const answer = await ask({ port: site.port, ...asked, headers });
      assert.equal(answer.status, 401, site.logText);
      assert.deepEqual(challengeOf(answer), []);
      assert.ok(answer.values('set-cookie').some((line) => line.startsWith('vratar-nosso=1; Max-Age=60;')));
    }
    const counted = /^vratar_decisions_total\{[^}]*application="wiki"[^}]*decision="error"[^}]*\} 1$/gm;
    assert.equal((await site.metrics()).match(counted)?.length, 2);
    const open = await ask({
      port: site.port,
      path: '/public/x',
      headers: [['Host', hosts.wiki], await ticketFor(hosts.wiki)],
    });
    assert.deepEqual(valuesOf(receivedIn(open), 'remote-user'), []);
  });

  test('it is an outage where there is none', async () => {
    const keytab = join(kdc.folder, 'outage.keytab');
    await using site = await startBroken('outage', {
      providers: [{ name: 'sso', type: 'kerberos', keytab, realms: [kdc.realm] }],
    });
    const answer = await ask({
      port: site.port,
      path: '/x',
      headers: [['Host', hosts.wiki], ...navigation, await ticketFor(hosts.wiki)],
    });
    assert.equal(answer.status, 503, site.logText);
    assert.ok(Number(answer.headers['retry-after']) >= 1);
    assert.deepEqual(challengeOf(answer), []);
  });
});

describe('the head of a request', () => {
  test('may hold a ticket of any size that Windows makes, and nothing else of that size', async () => {
    const long: Header = ['Authorization', `Negotiate ${'A'.repeat(87_380)}`];
    assert.equal((await send(hosts.wiki, [...program, long])).status, 401);
    assert.equal((await send(hosts.wiki, [['X-Big', 'a'.repeat(20_000)]])).status, 431);
    assert.equal((await send(hosts.wiki, [long, ['X-Big', 'a'.repeat(20_000)]])).status, 431);
    assert.equal((await send(hosts.wiki, [['Authorization', `Basic ${'A'.repeat(20_000)}`]])).status, 431);
  });
});
