import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { signedIn, siteConfig, startSite } from '#test/gateway/site.ts';
import type { TestGateway } from '#test/servers/gateway.ts';
import { type Answer, ask, type Visitor } from '#test/support/http-client.ts';

type Header = readonly [string, string];

let gateway: TestGateway;
let alice: Visitor;
let ivan: Visitor;
before(async () => {
  gateway = await startSite(undefined, {
    server: {
      publicUrl: 'http://gw.example.test',
      trustedProxies: ['127.0.0.1/32'],
      compatibility: ['oauth2-proxy', 'authelia'],
    },
  });
  alice = await signedIn(gateway, 'alice');
  ivan = await signedIn(gateway, 'ivan');
});
after(async () => await gateway[Symbol.asyncDispose]());

const cookieOf = (visitor: Visitor): Header => ['Cookie', visitor.cookieHeader];
const url = (path: string, method = 'GET'): readonly Header[] => [
  ['X-Original-URL', `http://app.example.test${path}`],
  ['X-Original-Method', method],
];
const forwarded = (path: string, method = 'GET'): readonly Header[] => [
  ['X-Forwarded-Method', method],
  ['X-Forwarded-Proto', 'http'],
  ['X-Forwarded-Host', 'app.example.test'],
  ['X-Forwarded-Uri', path],
];
const at = async (path: string, ...headers: readonly Header[]): Promise<Answer> =>
  await ask({ port: gateway.port, path, headers: [['Host', 'app.example.test'], ...headers] });

describe("oauth2-proxy's /oauth2/auth", () => {
  test('answers 202 with its headers, each present, and no others', async () => {
    for (const original of [url('/'), forwarded('/')]) {
      const answer = await at('/oauth2/auth', ...original, cookieOf(ivan));
      assert.equal(answer.status, 202);
      assert.equal(answer.body, '');
      assert.equal(answer.headers['x-auth-request-user'], 'ivan');
      assert.equal(answer.headers['x-auth-request-groups'], 'staff,editors');
      assert.equal(answer.headers['x-auth-request-email'], '');
      assert.match(String(answer.headers['x-auth-request-preferred-username']), /^%D0%98/);
      assert.equal(answer.headers['remote-user'], undefined);
    }
  });

  test('answers 401, never 302, to whoever is not signed in, and 403 to whoever is denied', async () => {
    const navigation: Header = ['Sec-Fetch-Mode', 'navigate'];
    assert.equal((await at('/oauth2/auth', ...url('/'), navigation)).status, 401);
    assert.equal((await at('/oauth2/auth', ...forwarded('/'), navigation)).status, 401);
    assert.equal((await at('/oauth2/auth', ...url('/admin/x'), cookieOf(alice))).status, 403);
  });

  const path = (uri: string): Header => ['X-Forwarded-Uri', uri];

  test('takes the path alone, as its nginx configuration sends it: for the host of the subrequest', async () => {
    assert.equal((await at('/oauth2/auth', path('/wiki'), cookieOf(alice))).status, 202);
    assert.equal((await at('/oauth2/auth', path('/public/x'))).status, 202);
    assert.equal((await at('/oauth2/auth', path('/admin/x'), cookieOf(alice))).status, 403);
  });

  test('then lets pass only what every method may, whatever method the client claims', async () => {
    // GET may staff, POST only editors.
    assert.equal((await at('/oauth2/auth', path('/api/x'), cookieOf(alice))).status, 403);
    assert.equal((await at('/oauth2/auth', path('/api/x'), cookieOf(ivan))).status, 202);
    for (const name of ['X-Forwarded-Method', 'X-Original-Method']) {
      const claimed = await at('/oauth2/auth', path('/api/x'), [name, 'GET'], cookieOf(alice));
      assert.equal(claimed.status, 403, name);
    }
  });

  test('then takes no other host from the client', async () => {
    for (const claim of [
      ['X-Forwarded-Host', 'who.example.test'],
      ['X-Original-URL', 'http://who.example.test/admin/x'],
    ] as const) {
      assert.equal((await at('/oauth2/auth', path('/admin/x'), claim, cookieOf(alice))).status, 403);
    }
  });

  test('takes method and host from a proxy that asks under the name of the gateway', async () => {
    const ofGateway = async (...headers: readonly Header[]): Promise<number> => {
      const all: readonly Header[] = [['Host', 'gw.example.test'], ...headers, cookieOf(alice)];
      return (await ask({ port: gateway.port, path: '/oauth2/auth', headers: all })).status;
    };
    assert.equal(await ofGateway(...forwarded('/api/x')), 202);
    assert.equal(await ofGateway(...forwarded('/api/x', 'POST')), 403);
    assert.equal(await ofGateway(...url('/api/x')), 202);
    assert.equal(await ofGateway(...url('/api/x', 'POST')), 403);
    assert.equal(await ofGateway(path('/api/x')), 403);
  });

  test('a trace of another request in the metadata is a refusal', async () => {
    const contradictions: readonly (readonly Header[])[] = [
      [...url('/public/x'), ['X-Forwarded-Uri', '/admin/x']],
      [...url('/public/x'), ['X-Original-URI', '/admin/x']],
      [...url('/public/x'), ['X-Forwarded-Method', 'POST']],
      [...url('/public/x'), ...url('/public/x')],
      [...forwarded('/public/x'), ['X-Forwarded-Host', 'app.example.test']],
      [['X-Original-URL', '/public/x']],
      [],
    ];
    for (const headers of contradictions) {
      assert.equal((await at('/oauth2/auth', ...headers, cookieOf(ivan))).status, 403);
    }
  });

  const restrictions: { query: string; status: number; as?: 'ivan' | 'alice'; path?: string }[] = [
    { query: 'allowed_groups=editors', status: 202, as: 'ivan' },
    { query: 'allowed_groups=other,editors', status: 202, as: 'ivan' },
    { query: 'allowed_groups=other&allowed_groups=EDITORS', status: 202, as: 'ivan' },
    { query: 'allowed_groups=editors', status: 403, as: 'alice' },
    { query: 'allowed_groups=', status: 403, as: 'alice' },
    { query: 'allowed_groups=staff', status: 403, as: 'alice', path: '/admin/x' },
    { query: 'allowed_groups=staff', status: 401, path: '/public/x' },
    { query: 'allowed_emails=alice@example.test', status: 403, as: 'alice' },
    { query: 'allowed_groups=staff&allowed_email_domains=example.test', status: 403, as: 'alice' },
    { query: 'lang=ru', status: 202, as: 'alice' },
  ];
  for (const { query, status, as, path = '/' } of restrictions) {
    test(`?${query} is ${status} for ${as ?? 'nobody'} at ${path}`, async () => {
      const visitor = as === 'ivan' ? ivan : alice;
      const cookie = as === undefined ? [] : [cookieOf(visitor)];
      assert.equal((await at(`/oauth2/auth?${query}`, ...url(path), ...cookie)).status, status);
    });
  }
});

describe("oauth2-proxy's pages lead to the portal", () => {
  const login = '/_vratar/login?rd=';
  const rows: { name: string; path: string; headers?: readonly Header[]; location: string }[] = [
    {
      name: 'start keeps where to return to',
      path: '/oauth2/start?rd=%2Fwiki%3Fa%3D1',
      location: `http://app.example.test${login}${encodeURIComponent('http://app.example.test/wiki?a=1')}`,
    },
    {
      name: 'sign_in takes an address of ours',
      path: `/oauth2/sign_in?rd=${encodeURIComponent('http://who.example.test/x')}`,
      location: `http://app.example.test${login}${encodeURIComponent('http://who.example.test/x')}`,
    },
    {
      name: 'start takes the field of its nginx configuration',
      path: '/oauth2/start',
      headers: [['X-Auth-Request-Redirect', '/deep/page']],
      location: `http://app.example.test${login}${encodeURIComponent('http://app.example.test/deep/page')}`,
    },
    {
      name: 'a foreign address is forgotten',
      path: '/oauth2/start?rd=https%3A%2F%2Fevil.test%2F',
      location: `http://app.example.test${login}${encodeURIComponent('http://app.example.test/')}`,
    },
    {
      name: 'a foreign address in disguise is forgotten',
      path: '/oauth2/sign_in?rd=%2F%5Cevil.test',
      location: `http://app.example.test${login}${encodeURIComponent('http://app.example.test/')}`,
    },
    { name: 'sign_out asks first', path: '/oauth2/sign_out?rd=%2Fx', location: '/_vratar/logout' },
  ];
  for (const { name, path, headers = [], location } of rows) {
    test(name, async () => {
      const answer = await at(path, ...headers);
      assert.equal(answer.status, 302);
      assert.equal(answer.headers.location, location);
      assert.equal(answer.headers['set-cookie'], undefined);
    });
  }
});

describe("Authelia's /api/authz", () => {
  test('auth-request: 200 with Remote-*, 401 with Location, 403', async () => {
    const path = '/api/authz/auth-request';
    const allowed = await at(path, ...url('/'), cookieOf(alice));
    assert.equal(allowed.status, 200);
    assert.equal(allowed.headers['remote-user'], 'alice');
    assert.equal(allowed.headers['remote-email'], 'alice@example.test');
    const anonymous = await at(path, ...url('/wiki'), ['Sec-Fetch-Mode', 'navigate']);
    assert.equal(anonymous.status, 401);
    assert.match(String(anonymous.headers.location), /\/_vratar\/login\?rd=.*wiki$/);
    assert.equal((await at(path, ...url('/admin/x'), cookieOf(alice))).status, 403);
    assert.equal((await at(path, ...forwarded('/'), cookieOf(alice))).status, 403);
  });

  test('forward-auth: a browser is led to the sign-in page, its query is nobody else’s', async () => {
    const path = '/api/authz/forward-auth?authelia_url=https%3A%2F%2Fevil.test';
    const allowed = await at(path, ...forwarded('/'), cookieOf(alice));
    assert.equal(allowed.status, 200);
    const page = await at(path, ...forwarded('/wiki'), ['Sec-Fetch-Mode', 'navigate']);
    assert.equal(page.status, 302);
    assert.ok(String(page.headers.location).startsWith('http://app.example.test/_vratar/login?rd='));
    assert.equal((await at(path, ...forwarded('/wiki'))).status, 401);
    assert.equal((await at(path, ...forwarded('/admin/x'), cookieOf(alice))).status, 403);
  });

  test('ext-authz: the path follows, also behind the slash of its documented prefix', async () => {
    const proto: Header = ['X-Forwarded-Proto', 'http'];
    for (const prefix of ['/api/authz/ext-authz', '/api/authz/ext-authz/']) {
      assert.equal((await at(`${prefix}/wiki?x=1`, proto, cookieOf(alice))).status, 200);
      assert.equal((await at(`${prefix}/public/x`, proto)).status, 200);
      assert.equal((await at(`${prefix}/admin/x`, proto, cookieOf(alice))).status, 403);
      assert.equal((await at(`${prefix}//admin/x`, proto, cookieOf(alice))).status, 403);
      assert.equal((await at(`${prefix}/public/../admin/x`, proto)).status, 403);
    }
  });
});

test('counts its decisions under names of their own', async () => {
  const metrics = await gateway.metrics();
  for (const dialect of [
    'oauth2-proxy',
    'authelia-auth-request',
    'authelia-forward-auth',
    'authelia-ext-authz',
  ]) {
    assert.match(metrics, new RegExp(`vratar_decisions_total\\{application="app",dialect="${dialect}"`));
  }
});

test('only trusted proxies are believed', async () => {
  await using closed = await startSite(undefined, {
    server: {
      publicUrl: 'http://gw.example.test',
      trustedProxies: [],
      compatibility: ['oauth2-proxy', 'authelia'],
    },
  });
  for (const [path, headers] of [
    ['/oauth2/auth', url('/public/x')],
    ['/api/authz/auth-request', url('/public/x')],
    ['/api/authz/forward-auth', forwarded('/public/x')],
    ['/api/authz/ext-authz/public/x', [['X-Forwarded-Proto', 'http']]],
  ] as const) {
    const answer = await ask({
      port: closed.port,
      path,
      headers: [['Host', 'app.example.test'], ...headers],
    });
    assert.equal(answer.status, 403, path);
  }
  const answer = await ask({
    port: closed.port,
    path: '/oauth2/start',
    headers: [
      ['Host', 'app.example.test'],
      ['X-Auth-Request-Redirect', '/deep/page'],
    ],
  });
  assert.ok(!String(answer.headers.location).includes('deep'));
});

test('without server.compatibility these addresses belong to the application', async () => {
  const { applications, ...rest } = siteConfig();
  await using plain = await startSite(undefined, {
    ...rest,
    applications: applications.map((application) => ({
      ...application,
      rules: [{ access: 'public' }],
      upstream: 'whoami',
    })),
  });
  for (const path of ['/oauth2/auth', '/oauth2/start', '/oauth2/sign_out', '/api/authz/ext-authz/x']) {
    const answer = await ask({ port: plain.port, path, headers: [['Host', 'app.example.test']] });
    assert.equal(answer.status, 200, path);
  }
});
