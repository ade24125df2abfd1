import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import fc from 'fast-check';
import { isBasic, readBasic } from '#src/gateway/credentials/basic.ts';
import { createPasswordHash } from '#src/providers/password-hash.ts';
import { signedIn, siteConfig } from '#test/gateway/site.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { freePort } from '#test/support/free-port.ts';
import { type Answer, ask, askAsNginx, type Visitor } from '#test/support/http-client.ts';

type Header = readonly [string, string];

const ivansPassword = 'пароль: с двоеточием';
let upstream: TestUpstream;
let gateway: TestGateway;
let password: string;
before(async () => {
  upstream = await startUpstream();
  const config = siteConfig();
  const [staff] = config.providers;
  const application = {
    upstream: upstream.url,
    rules: [
      { paths: ['/public/**'], access: 'public' },
      { paths: ['/off'], access: 'deny' },
      { access: 'authenticated' },
    ],
  };
  gateway = await startGateway({
    config: {
      ...config,
      providers: [
        {
          ...staff,
          users: [
            ...(staff?.users ?? []),
            { username: 'боб', passwordHash: await createPasswordHash(ivansPassword) },
          ],
        },
      ],
      applications: [
        { ...application, name: 'api', hosts: ['api.example.test'], credentials: ['session', 'basic'] },
        { ...application, name: 'dav', hosts: ['dav.example.test'], credentials: ['basic'] },
        { ...application, name: 'plain', hosts: ['plain.example.test'] },
        {
          ...application,
          name: 'own',
          hosts: ['own.example.test'],
          credentials: ['basic'],
          forwardAuthorization: true,
        },
      ],
    },
  });
  password = gateway.passwords.get('staff:alice') as string;
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

function basic(username: string, secret: string, encoding: BufferEncoding = 'utf8'): Header {
  return ['Authorization', `Basic ${Buffer.from(`${username}:${secret}`, encoding).toString('base64')}`];
}
const navigation: Header = ['Sec-Fetch-Mode', 'navigate'];

async function proxied(app: string, headers: readonly Header[] = [], path = '/'): Promise<Answer> {
  return await ask({ port: gateway.port, path, headers: [['Host', `${app}.example.test`], ...headers] });
}

async function forwardAuth(app: string, headers: readonly Header[] = [], path = '/'): Promise<Answer> {
  return await askAsNginx(gateway.port, `https://${app}.example.test${path}`, headers);
}

describe('a password on the request', () => {
  test('lets in where basic is accepted, without a session', async () => {
    for (const answer of [
      await forwardAuth('api', [basic('alice', password)]),
      await forwardAuth('dav', [basic('ALICE', password)]),
    ]) {
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['remote-user'], 'alice');
      assert.equal(answer.headers['set-cookie'], undefined);
    }
  });

  test('reaches no upstream, unless the application wants it', async () => {
    await proxied('api', [basic('alice', password)]);
    const received = upstream.received.at(-1)?.headers ?? [];
    assert.deepEqual(valuesOf(received, 'Remote-User'), ['alice']);
    assert.deepEqual(valuesOf(received, 'Authorization'), []);
    await proxied('own', [basic('alice', password)]);
    assert.equal(valuesOf(upstream.received.at(-1)?.headers ?? [], 'Authorization').length, 1);
  });

  test('is UTF-8, and may hold a colon', async () => {
    const answer = await forwardAuth('api', [basic('боб', ivansPassword)]);
    assert.equal(answer.status, 200);
  });

  test('means nothing where basic is not accepted', async () => {
    assert.equal((await forwardAuth('plain', [basic('alice', password)])).status, 401);
    assert.equal((await proxied('plain', [basic('alice', password)])).status, 401);
  });

  test('that is wrong leaves what is public open, and what is denied denied', async () => {
    const wrong = basic('alice', 'wrong');
    const open = await forwardAuth('api', [wrong], '/public/x');
    assert.equal(open.status, 200);
    assert.equal(open.headers['remote-user'], '');
    assert.equal((await forwardAuth('api', [wrong], '/off')).status, 403);
  });

  test('of a person the rules deny is 403', async () => {
    assert.equal((await forwardAuth('api', [basic('alice', password)], '/off')).status, 403);
  });

  test('counts less than a session', async () => {
    const ivan: Visitor = await signedIn(gateway, 'ivan', ['Host', 'api.example.test']);
    const answer = await forwardAuth('api', [['Cookie', ivan.cookieHeader], basic('alice', password)]);
    assert.equal(answer.headers['remote-user'], 'ivan');
    // An application that takes no session takes none from the cookie either.
    assert.equal((await forwardAuth('dav', [['Cookie', ivan.cookieHeader]])).status, 401);
    const alone = await forwardAuth('dav', [['Cookie', ivan.cookieHeader], basic('alice', password)]);
    assert.equal(alone.headers['remote-user'], 'alice');
  });

  test('is tried once for a hundred requests at once', async () => {
    const accepted = (): number => gateway.logs.filter(({ event }) => event === 'sign-in.accepted').length;
    const before = accepted();
    const root = gateway.passwords.get('staff:root1') as string;
    const answers = await Promise.all(
      Array.from({ length: 100 }, async () => await forwardAuth('api', [basic('root1', root)])),
    );
    assert.ok(answers.every(({ status }) => status === 200));
    assert.equal(accepted(), before + 1);
  });

  test('never shows in a log', () => {
    assert.ok(!gateway.logText.includes(password));
    assert.ok(!gateway.logText.includes(basic('alice', password)[1].slice('Basic '.length)));
  });
});

describe('without a right password', () => {
  const challenge = 'Basic realm="api", charset="UTF-8"';
  const rows: { name: string; headers: readonly Header[] }[] = [
    { name: 'none', headers: [] },
    { name: 'a wrong one', headers: [basic('alice', 'wrong')] },
    { name: 'an unknown account', headers: [basic('nobody', 'x')] },
    { name: 'an empty password', headers: [basic('alice', '')] },
    { name: 'an empty name', headers: [basic('', 'x')] },
    { name: 'Latin-1 instead of UTF-8', headers: [basic('alice', 'pässword', 'latin1')] },
    { name: 'no base64', headers: [['Authorization', 'Basic alice:password']] },
    { name: 'another scheme', headers: [['Authorization', 'Bearer abc']] },
  ];
  for (const { name, headers } of rows) {
    test(`${name}: a program is challenged`, async () => {
      for (const answer of [await forwardAuth('api', headers), await proxied('api', headers)]) {
        assert.equal(answer.status, 401);
        assert.equal(answer.headers['www-authenticate'], challenge);
        assert.equal(answer.headers['set-cookie'], undefined);
      }
    });
  }

  test('a browser is led to the sign-in page instead of its password window', async () => {
    const page = await proxied('api', [navigation]);
    assert.equal(page.status, 302);
    assert.equal(page.headers['www-authenticate'], undefined);
    const asked = await forwardAuth('api', [navigation]);
    assert.equal(asked.status, 401);
    assert.equal(asked.headers['www-authenticate'], undefined);
    assert.match(String(asked.headers.location), /_vratar\/login/);
  });

  test('an application that takes no session challenges browsers too, and leads nowhere', async () => {
    for (const answer of [await proxied('dav', [navigation]), await forwardAuth('dav', [navigation])]) {
      assert.equal(answer.status, 401);
      assert.equal(answer.headers['www-authenticate'], 'Basic realm="dav", charset="UTF-8"');
      assert.equal(answer.headers.location, undefined);
    }
  });

  test('two Authorization fields are no request', async () => {
    const answer = await proxied('api', [basic('alice', password), basic('alice', password)]);
    assert.equal(answer.status, 400);
  });
});

test('a directory that is away is 503 for a password, never 401', async () => {
  const port = await freePort();
  await using away = await startGateway({
    config: {
      server: { publicUrl: 'http://gw.example.test' },
      directories: [
        { name: 'corp', kind: 'openLdap', servers: [`ldap://127.0.0.1:${port}`], users: { baseDn: 'dc=x' } },
      ],
      providers: [{ name: 'corp', type: 'ldap', directory: 'corp' }],
      applications: [
        {
          name: 'api',
          hosts: ['api.example.test'],
          credentials: ['basic'],
          rules: [{ access: 'authenticated' }],
        },
      ],
    },
  });
  const answer = await askAsNginx(away.port, 'http://api.example.test/', [basic('alice', 'x')]);
  assert.equal(answer.status, 503);
  assert.ok(Number(answer.headers['retry-after']) > 0);
  assert.equal(answer.headers['www-authenticate'], undefined);
});

describe('the Basic field', () => {
  const text = fc.string({ unit: 'grapheme', minLength: 1 });
  test('is read back as it was written, in any case of the scheme', () => {
    fc.assert(
      fc.property(
        text.filter((name) => !name.includes(':')),
        text,
        fc.constantFrom('Basic', 'basic', 'BASIC'),
        (username, secret, scheme) => {
          fc.pre(username.isWellFormed() && secret.isWellFormed());
          const field = `${scheme} ${Buffer.from(`${username}:${secret}`).toString('base64')}`;
          assert.ok(isBasic(field));
          const credential = readBasic(field);
          assert.equal(credential?.username, username);
          assert.equal(credential?.password.reveal(), secret);
        },
      ),
    );
  });

  test('has one spelling: whatever is accepted is the canonical base64 of its parts', () => {
    fc.assert(
      fc.property(fc.string(), (noise) => {
        const credential = readBasic(`Basic ${noise}`);
        if (credential === undefined) return;
        const { username, password: secret } = credential;
        assert.equal(Buffer.from(`${username}:${secret.reveal()}`).toString('base64'), noise.trimStart());
      }),
    );
  });

  for (const field of [
    'Basic',
    'Basic ',
    'Basic YTpi=',
    'Basic YTpiYw',
    'Basic YT pi',
    'Basic YTpi,YTpi',
    'Basic  ',
    'Basic-x YTpi',
  ]) {
    test(`is refused as "${field}"`, () => {
      assert.equal(readBasic(field), undefined);
    });
  }
});
