import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { status as grpcCodes } from '@grpc/grpc-js';
import { type Asked, Envoy } from '#test/servers/envoy-authorization.ts';
import type { TestGateway } from '#test/servers/gateway.ts';
import type { Visitor } from '#test/support/http-client.ts';
import { cookieOf, grpcPort, startGrpcSite } from './grpc-site.ts';
import { signedIn, siteConfig } from './site.ts';

type Pairs = readonly (readonly [string, string])[];

let gateway: TestGateway;
let envoy: Envoy;
let alice: Visitor;
let ivan: Visitor;
before(async () => {
  const base = siteConfig();
  gateway = await startGrpcSite({
    applications: [
      ...base.applications,
      {
        name: 'surnames',
        hosts: ['surnames.example.test'],
        headers: { set: { Surname: '${familyName}', Login: '${username}' } },
        rules: [{ access: 'authenticated' }],
      },
      {
        name: 'strict',
        hosts: ['strict.example.test'],
        forwardAuthorization: true,
        headers: { onAlias: 'reject' },
        rules: [{ access: 'public' }],
      },
      {
        name: 'basic',
        hosts: ['basic.example.test'],
        credentials: ['session', 'basic'],
        rules: [{ access: 'authenticated' }],
      },
      {
        name: 'inside',
        hosts: ['inside.example.test'],
        rules: [{ networks: ['203.0.113.0/24'], access: 'public' }],
      },
    ],
  });
  envoy = new Envoy(grpcPort(gateway.logs) as number);
  alice = await signedIn(gateway, 'alice');
  ivan = await signedIn(gateway, 'ivan');
});
after(async () => {
  envoy[Symbol.dispose]();
  await gateway[Symbol.asyncDispose]();
});

const identityNames = [
  'remote-user',
  'remote-groups',
  'remote-name',
  'remote-email',
  'remote-roles',
  'remote-groups-overflow',
];

describe('an allowed request', () => {
  test('gets every identity header that has a value, and loses those that have none', async () => {
    const { code, status, headers, remove } = await envoy.check({ headers: [cookieOf(ivan)] });
    assert.equal(code, 0);
    assert.equal(status, undefined);
    assert.deepEqual(headers, {
      'remote-user': 'ivan',
      'remote-groups': 'staff,editors',
      'remote-name': '%D0%98%D0%B2%D0%B0%D0%BD %D0%9F%D0%B5%D1%82%D1%80%D0%BE%D0%B2',
      'remote-roles': 'editor',
    });
    assert.ok(remove.includes('remote-email'));
  });

  test('loses every identity header when the person is anonymous on a public page', async () => {
    const { code, headers, remove } = await envoy.check({
      path: '/public/x',
      headers: identityNames.map((name) => [name, 'admin'] as const),
    });
    assert.equal(code, 0);
    assert.deepEqual(headers, {});
    for (const name of identityNames) assert.ok(remove.includes(name), name);
  });

  test('loses every spelling of an identity header that the client sent, and of fields that shift the request', async () => {
    const spellings = ['remote_user', 'remote.user', 'Remote_Email', 'x_forwarded_for'];
    const forged = [
      ...spellings,
      'x-http-method-override',
      'x-original-url',
      'x-vratar-assertion',
      'authorization',
    ];
    const { headers, remove } = await envoy.check({
      headers: [cookieOf(alice), ['remote-user', 'root1'], ...forged.map((name) => [name, 'x'] as const)],
    });
    assert.equal(headers['remote-user'], 'alice');
    for (const name of forged) assert.ok(remove.includes(name), name);
  });

  test('loses what a client claims as a proxy would, and keeps it from a trusted proxy', async () => {
    const claims = ['forwarded', 'x-real-ip', 'x-forwarded-host', 'x-forwarded-uri', 'x-forwarded-prefix'];
    const headers = [cookieOf(alice), ...claims.map((name) => [name, 'x'] as const)];
    const direct = await envoy.check({ headers });
    for (const name of claims) assert.ok(direct.remove.includes(name), name);
    const relayed = await envoy.check({ headers, source: '192.0.2.1' });
    assert.deepEqual([relayed.code, relayed.remove.filter((name) => claims.includes(name))], [0, []]);
  });

  test('keeps what is nobody else’s', async () => {
    const kept = [
      'accept',
      'x-forwarded-for',
      'x-forwarded-proto',
      'x-request-id',
      'content-type',
      '__proto__',
    ];
    const { code, remove } = await envoy.check({
      headers: [
        cookieOf(alice),
        ...kept.map((name) => [name, name.endsWith('proto') ? 'https' : 'x'] as const),
      ],
      raw: true,
    });
    assert.equal(code, 0);
    assert.deepEqual(
      remove.filter((name) => kept.includes(name)),
      [],
    );
  });

  test('never has a name set and removed, since Envoy removes last', async () => {
    const { headers, remove } = await envoy.check({
      host: 'surnames.example.test',
      headers: [cookieOf(alice), ['surname', 'forged'], ['login', 'forged']],
    });
    assert.equal(headers['login'], 'alice');
    assert.ok(remove.includes('surname'));
    for (const name of Object.keys(headers)) assert.ok(!remove.includes(name), name);
  });

  test('reaches the application without the cookies of the gateway', async () => {
    const ours = alice.cookieHeader;
    const some = await envoy.check({ headers: [['cookie', `theme=dark; ${ours}; vratar-csrf=x; id=1`]] });
    assert.equal(some.headers['cookie'], 'theme=dark; id=1');
    const none = await envoy.check({ headers: [['cookie', ours]] });
    assert.equal(none.headers['cookie'], undefined);
    assert.ok(none.remove.includes('cookie'));
    const foreign = await envoy.check({ path: '/public/x', headers: [['cookie', 'theme=dark']] });
    assert.equal(foreign.headers['cookie'], undefined);
    assert.ok(!foreign.remove.includes('cookie'));
  });

  test('may come as raw bytes, several fields of one name kept apart', async () => {
    const utf8 = Buffer.from('città', 'utf8').toString('latin1');
    const { code, headers } = await envoy.check({
      raw: true,
      headers: [
        ['cookie', `town=${utf8}`],
        ['cookie', alice.cookieHeader],
        ['x-broken', '\xff\xfe'],
      ],
    });
    assert.equal(code, 0);
    assert.equal(headers['remote-user'], 'alice');
    assert.equal(headers['cookie'], 'town=città');
  });

  test('is forwarded with its Authorization where the application wants it', async () => {
    const { remove } = await envoy.check({
      host: 'strict.example.test',
      headers: [['authorization', 'Bearer x']],
    });
    assert.ok(!remove.includes('authorization'));
  });
});

test('a password that comes with the request is judged, and stays here', async () => {
  const host = 'basic.example.test';
  const basic = (password: string) =>
    ['authorization', `Basic ${Buffer.from(`alice:${password}`).toString('base64')}`] as const;
  const password = gateway.passwords.get('staff:alice') as string;
  const right = await envoy.check({ host, headers: [basic(password)] });
  assert.deepEqual([right.code, right.headers['remote-user']], [0, 'alice']);
  assert.ok(right.remove.includes('authorization'));
  const wrong = await envoy.check({ host, headers: [basic('wrong')] });
  assert.deepEqual([wrong.code, wrong.status], [grpcCodes.UNAUTHENTICATED, 401]);
  assert.match(wrong.headers['WWW-Authenticate'] as string, /^Basic /);
});

describe('a request that needs a sign-in', () => {
  const login = 'https://app.example.test:8443/_vratar/login?rd=';
  const target = encodeURIComponent('https://app.example.test:8443/wiki?a=1&b=2');
  const asked: Asked = { host: 'app.example.test:8443', path: '/wiki?a=1&b=2' };

  test('is redirected when a browser navigates, by 303 after a form', async () => {
    const get = await envoy.check({ ...asked, headers: [['sec-fetch-mode', 'navigate']] });
    assert.deepEqual([get.code, get.status], [grpcCodes.UNAUTHENTICATED, 302]);
    assert.equal(get.headers['Location'], login + target);
    const post = await envoy.check({ ...asked, method: 'POST', headers: [['accept', 'text/html']] });
    assert.deepEqual([post.code, post.status], [grpcCodes.UNAUTHENTICATED, 303]);
  });

  test('is answered with 401 JSON when a program asks', async () => {
    const answer = await envoy.check({ ...asked, headers: [['accept', 'application/json']] });
    assert.deepEqual([answer.code, answer.status], [grpcCodes.UNAUTHENTICATED, 401]);
    assert.equal(answer.headers['Content-Type'], 'application/json; charset=utf-8');
    assert.deepEqual(JSON.parse(answer.body), {
      error: 'SIGN_IN_REQUIRED',
      title: 'Sign-in required',
      signIn: login + target,
    });
  });

  test('returns to the scheme Envoy knows, not to the one the client claims', async () => {
    const { headers } = await envoy.check({
      scheme: 'http',
      headers: [
        ['sec-fetch-mode', 'navigate'],
        ['x-forwarded-proto', 'https'],
      ],
    });
    assert.match(headers['Location'] as string, /^https:.*rd=https%3A/);
  });
});

describe('a request is answered with 403', () => {
  const rows: { name: string; asked: Asked; as?: 'alice' }[] = [
    { name: 'when a rule does not hold', asked: { path: '/admin/x' }, as: 'alice' },
    { name: 'with a method the rule asks more for', asked: { path: '/api/x', method: 'POST' }, as: 'alice' },
    { name: 'with a method the application does not take', asked: { method: 'TRACE' }, as: 'alice' },
    { name: 'with a path that could be read as a denied one', asked: { path: '//admin/x' }, as: 'alice' },
    { name: 'with an encoded slash', asked: { path: '/a%2fb' }, as: 'alice' },
    { name: 'with a dot segment', asked: { path: '/public/../admin/x' } },
    { name: 'with an encoded dot segment', asked: { path: '/public/%2e%2e/admin/x' } },
    { name: 'with a backslash', asked: { path: '/public\\..\\admin' } },
    { name: 'with a fragment', asked: { path: '/public/x#/admin' } },
    { name: 'with a broken escape', asked: { path: '/public/%' } },
    { name: 'with bytes above ASCII in the path', asked: { path: '/public/é' } },
    { name: 'without a path', asked: { path: '' } },
    { name: 'with a path longer than any client sends', asked: { path: `/public/${'x'.repeat(8_192)}` } },
    { name: 'without a method', asked: { method: '', path: '/public/x' } },
    { name: 'without a host', asked: { host: '', path: '/public/x' } },
    { name: 'for an unknown host', asked: { host: 'evil.test', path: '/public/x' } },
    { name: 'for a host with user info', asked: { host: 'x@app.example.test', path: '/public/x' } },
    { name: 'with another scheme', asked: { scheme: 'ftp', path: '/public/x' } },
    { name: 'from a source that is no address', asked: { source: 'localhost', path: '/public/x' } },
    {
      name: 'when it says twice where it came from',
      asked: {
        path: '/public/x',
        raw: true,
        headers: [
          ['x-forwarded-proto', 'https'],
          ['x-forwarded-proto', 'http'],
        ],
      },
    },
    {
      name: 'with two credentials',
      asked: {
        path: '/public/x',
        raw: true,
        headers: [
          ['authorization', 'Basic YTph'],
          ['authorization', 'Basic Yjpi'],
        ],
      },
    },
    {
      name: 'with a twin of an identity header, also while the store is asked',
      asked: {
        host: 'strict.example.test',
        headers: [
          ['remote_user', 'x'],
          ['cookie', `vratar=${'B'.repeat(43)}`],
        ],
      },
    },
    {
      name: 'with a twin of an identity header, where the application rejects them',
      asked: { host: 'strict.example.test', headers: [['remote_user', 'x']] },
    },
  ];
  for (const { name, asked, as } of rows) {
    test(name, async () => {
      const headers: Pairs = [...(asked.headers ?? []), ...(as === undefined ? [] : [cookieOf(alice)])];
      const answer = await envoy.check({ ...asked, headers });
      assert.deepEqual([answer.code, answer.status], [grpcCodes.PERMISSION_DENIED, 403]);
      for (const header of identityNames) assert.equal(answer.headers[header], undefined);
    });
  }

  test('when nothing at all is described', async () => {
    const { code, status } = await envoy.checkMessage(Buffer.alloc(0));
    assert.deepEqual([code, status], [grpcCodes.PERMISSION_DENIED, 403]);
  });
});

describe('the client address', () => {
  const forwarded = (addresses: string): Pairs => [['x-forwarded-for', addresses]];
  const rows: { name: string; asked: Asked; isInside: boolean }[] = [
    { name: 'is the source of the connection', asked: { source: '203.0.113.9' }, isInside: true },
    {
      name: 'is not what an untrusted source claims',
      asked: { source: '198.51.100.7', headers: forwarded('203.0.113.9') },
      isInside: false,
    },
    {
      name: 'is what a trusted proxy in front of Envoy vouches for',
      asked: { source: '192.0.2.1', headers: forwarded('203.0.113.9, 192.0.2.1') },
      isInside: true,
    },
    {
      name: 'is the first untrusted hop from the right',
      asked: { source: '192.0.2.1', headers: forwarded('203.0.113.9, 198.51.100.7') },
      isInside: false,
    },
    {
      name: 'is an IPv4 address also when it is written as IPv6',
      asked: { source: '::ffff:203.0.113.9' },
      isInside: true,
    },
  ];
  for (const { name, asked, isInside } of rows) {
    test(name, async () => {
      const { code } = await envoy.check({ host: 'inside.example.test', ...asked });
      assert.equal(code === 0, isInside);
    });
  }
});
