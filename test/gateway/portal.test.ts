import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TestGateway } from '#test/servers/gateway.ts';
import { csrfOf, Visitor } from '#test/support/http-client.ts';
import { appHost, signedIn, startSite } from './site.ts';

let gateway: TestGateway;
before(async () => {
  gateway = await startSite();
});
after(async () => await gateway[Symbol.asyncDispose]());

const html = ['Accept', 'text/html'] as const;
const passwordOf = (username: string): string => gateway.passwords.get(`staff:${username}`) as string;

describe('signing in', () => {
  test('leads back to the page asked for, with a new session cookie that scripts cannot read', async () => {
    const visitor = new Visitor(gateway.port, [appHost]);
    const answer = await visitor.signIn('alice', passwordOf('alice'), {
      rd: 'http://app.example.test/wiki?x=1',
    });
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.location, 'http://app.example.test/wiki?x=1');
    const [cookie = ''] = answer.values('set-cookie');
    assert.match(cookie, /^vratar=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Lax$/);
  });

  test('over https gives the cookie its prefix, and with a domain the domain instead', async () => {
    for (const [session, expected] of [
      [{}, /^__Host-vratar=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Lax; Secure$/],
      [
        { cookie: { domain: 'example.test' } },
        /^vratar=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Lax; Secure; Domain=example\.test$/,
      ],
    ] as const) {
      await using secure = await startSite(undefined, {
        server: { publicUrl: 'https://gw.example.test', trustedProxies: ['127.0.0.1'] },
        session,
      });
      const visitor = new Visitor(secure.port, [
        ['Host', 'gw.example.test'],
        ['X-Forwarded-Proto', 'https'],
      ]);
      const answer = await visitor.signIn('alice', secure.passwords.get('staff:alice') as string);
      assert.equal(answer.status, 303);
      assert.match(answer.values('set-cookie')[0] ?? '', expected);
    }
  });

  test('never takes over a ticket the browser had before, and ends the session behind it', async () => {
    const visitor = await signedIn(gateway, 'alice');
    const first = visitor.cookies.get('vratar') as string;
    visitor.cookies.set('vratar', first);
    const login = await visitor.submit('/_vratar/login', {
      csrf: visitor.cookies.get('vratar-csrf') as string,
      username: 'ivan',
      password: passwordOf('ivan'),
    });
    assert.equal(login.status, 303);
    assert.notEqual(visitor.cookies.get('vratar'), first);
    const old = new Visitor(gateway.port, [appHost]);
    old.cookies.set('vratar', first);
    assert.equal((await old.ask('/_vratar/userinfo')).status, 401);
  });

  test('with a wrong password, an unknown account or an empty field shows one and the same page', async () => {
    const attempts = [
      ['alice', 'wrong'],
      ['nobody', 'wrong'],
      ['alice', ''],
    ] as const;
    const pages = await Promise.all(
      attempts.map(async ([username, password]) => {
        const visitor = new Visitor(gateway.port, [appHost]);
        const answer = await visitor.signIn(username, password);
        assert.equal(answer.status, 401);
        assert.equal(answer.headers['retry-after'], undefined);
        assert.ok(!visitor.cookies.has('vratar'));
        return answer.body.replaceAll(csrfOf(answer.body), '').replaceAll(username, '');
      }),
    );
    assert.equal(new Set(pages).size, 1);
  });

  test('replaces a foreign return target by the portal, without an error, and counts it', async () => {
    const visitor = new Visitor(gateway.port, [appHost]);
    const answer = await visitor.signIn('alice', passwordOf('alice'), { rd: 'https://evil.test/' });
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.location, '/_vratar/');
    assert.match(await gateway.metrics(), /vratar_return_targets_refused_total 1/);
  });

  test('when signed in already goes straight on', async () => {
    const visitor = await signedIn(gateway, 'alice');
    const answer = await visitor.ask('/_vratar/login?rd=/wiki', { headers: [html] });
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.location, '/wiki');
  });

  test('clears a session cookie that opens nothing', async () => {
    const visitor = new Visitor(gateway.port, [appHost]);
    visitor.cookies.set('vratar', 'A'.repeat(43));
    const answer = await visitor.ask('/_vratar/login', { headers: [html] });
    assert.equal(answer.status, 200);
    assert.match(answer.values('set-cookie').join('\n'), /^vratar=; Max-Age=0/m);
  });
});

describe('the sign-in form refuses', () => {
  const form = { username: 'alice', password: 'x' };
  const rows: {
    name: string;
    status: number;
    send: (visitor: Visitor, csrf: string) => Promise<{ status: number }>;
  }[] = [
    {
      name: 'no CSRF value',
      status: 403,
      send: async (visitor) => await visitor.submit('/_vratar/login', form),
    },
    {
      name: 'the CSRF value of another browser',
      status: 403,
      send: async (visitor) => await visitor.submit('/_vratar/login', { ...form, csrf: 'A'.repeat(22) }),
    },
    {
      name: 'a foreign origin',
      status: 403,
      send: async (visitor, csrf) =>
        await post(visitor, { ...form, csrf }, [['Origin', 'https://evil.test']]),
    },
    {
      name: 'a hidden origin',
      status: 403,
      send: async (visitor, csrf) => await post(visitor, { ...form, csrf }, [['Origin', 'null']]),
    },
    {
      name: 'a form another site sent',
      status: 403,
      send: async (visitor, csrf) =>
        await post(visitor, { ...form, csrf }, [['Sec-Fetch-Site', 'cross-site']]),
    },
    {
      name: 'another media type',
      status: 415,
      send: async (visitor) =>
        await visitor.ask('/_vratar/login', {
          method: 'POST',
          headers: [['Content-Type', 'application/json']],
          body: '{}',
        }),
    },
    {
      name: 'a megabyte',
      status: 413,
      send: async (visitor, csrf) =>
        await post(visitor, { ...form, csrf, password: 'a'.repeat(1_048_576) }, []),
    },
    {
      name: 'another method',
      status: 405,
      send: async (visitor) => await visitor.ask('/_vratar/login', { method: 'DELETE' }),
    },
  ];
  for (const { name, status, send } of rows) {
    test(`${name}: ${status}`, async () => {
      const visitor = new Visitor(gateway.port, [appHost]);
      const page = await visitor.ask('/_vratar/login', { headers: [html] });
      assert.equal((await send(visitor, csrfOf(page.body))).status, status);
    });
  }

  async function post(
    visitor: Visitor,
    fields: Record<string, string>,
    headers: readonly (readonly [string, string])[],
  ) {
    return await visitor.ask('/_vratar/login', {
      method: 'POST',
      headers: [['Content-Type', 'application/x-www-form-urlencoded'], ...headers],
      body: new URLSearchParams(fields).toString(),
    });
  }

  test('works from two tabs of one browser', async () => {
    const visitor = new Visitor(gateway.port, [appHost]);
    const first = await visitor.ask('/_vratar/login', { headers: [html] });
    await visitor.ask('/_vratar/login', { headers: [html] });
    const answer = await visitor.submit('/_vratar/login', {
      csrf: csrfOf(first.body),
      username: 'alice',
      password: passwordOf('alice'),
    });
    assert.equal(answer.status, 303);
  });
});

describe('too many failures', () => {
  test('are answered with 429 and Retry-After, alike for an account that does not exist', async () => {
    await using strict = await startSite(undefined, { throttle: { account: { failures: 3 } } });
    for (const username of ['alice', 'nobody']) {
      const statuses: number[] = [];
      for (let i = 0; i < 4; i++) {
        const answer = await new Visitor(strict.port, [appHost]).signIn(username, 'wrong');
        statuses.push(answer.status);
        if (answer.status === 429) assert.ok(Number(answer.headers['retry-after']) > 0);
      }
      assert.deepEqual(statuses, [401, 401, 401, 429]);
    }
    const right = await new Visitor(strict.port, [appHost]).signIn(
      'alice',
      strict.passwords.get('staff:alice') as string,
    );
    assert.equal(right.status, 429);
    assert.match(await strict.metrics(), /vratar_throttled_total\{scope="account"\} 3/);
  });
});

describe('the portal', () => {
  test('shows who is signed in and what they may open, and nothing else', async () => {
    const visitor = await signedIn(gateway, 'ivan', ['Host', 'gw.example.test']);
    const page = await visitor.ask('/_vratar/', { headers: [html] });
    assert.equal(page.status, 200);
    assert.match(page.body, /Иван Петров/);
    assert.match(page.body, /href="http:\/\/app\.example\.test\/"/);
    assert.match(page.body, /href="http:\/\/who\.example\.test\/"/);
  });

  test('is behind the sign-in', async () => {
    const answer = await new Visitor(gateway.port, [appHost]).ask('/_vratar/');
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.location, '/_vratar/login');
  });

  test('is where the root of a host without an application leads', async () => {
    const answer = await new Visitor(gateway.port, [['Host', 'gw.example.test']]).ask('/');
    assert.equal(answer.status, 302);
    assert.equal(answer.headers.location, '/_vratar/');
  });

  test('tells programs who is signed in', async () => {
    const visitor = await signedIn(gateway, 'ivan');
    const answer = await visitor.ask('/_vratar/userinfo');
    assert.equal(answer.status, 200);
    const { authenticatedAt, expiresAt, ...facts } = JSON.parse(answer.body) as Record<string, unknown>;
    assert.deepEqual(facts, {
      subject: 'ivan',
      username: 'ivan',
      email: null,
      displayName: 'Иван Петров',
      provider: 'staff',
      groups: ['staff', 'editors'],
      roles: ['editor'],
      accessLevel: 'user',
    });
    assert.ok(Date.parse(String(expiresAt)) > Date.parse(String(authenticatedAt)));
    assert.equal((await new Visitor(gateway.port, [appHost]).ask('/_vratar/userinfo')).status, 401);
  });

  test('speaks the language asked for, and remembers it', async () => {
    const visitor = new Visitor(gateway.port, [appHost]);
    assert.match(
      (await visitor.ask('/_vratar/login', { headers: [html, ['Accept-Language', 'hr,en;q=0.5']] })).body,
      /<html lang="hr">/,
    );
    assert.match((await visitor.ask('/_vratar/login?lang=ru', { headers: [html] })).body, /<html lang="ru">/);
    assert.match((await visitor.ask('/_vratar/login', { headers: [html] })).body, /<html lang="ru">/);
  });

  test('serves its stylesheet for ever, and nothing that is not there', async () => {
    const visitor = new Visitor(gateway.port, [appHost]);
    const page = await visitor.ask('/_vratar/login', { headers: [html] });
    const css = /href="([^"]+\.css)"/.exec(page.body)?.[1] as string;
    const asset = await visitor.ask(css);
    assert.equal(asset.status, 200);
    assert.match(asset.headers['cache-control'] as string, /immutable/);
    assert.equal((await visitor.ask('/_vratar/assets/../../package.json')).status, 400);
    assert.equal((await visitor.ask('/_vratar/nothing')).status, 404);
  });
});

describe('signing out', () => {
  test('by GET only asks', async () => {
    const visitor = await signedIn(gateway, 'alice');
    const page = await visitor.ask('/_vratar/logout', { headers: [html] });
    assert.equal(page.status, 200);
    assert.match(page.body, /method="post"/);
    assert.equal((await visitor.ask('/_vratar/userinfo')).status, 200);
  });

  test('ends the session, clears the cookie and shows the sign-in page', async () => {
    const visitor = await signedIn(gateway, 'alice');
    const ticket = visitor.cookies.get('vratar') as string;
    const answer = await visitor.submit('/_vratar/logout', {
      csrf: visitor.cookies.get('vratar-csrf') as string,
    });
    assert.equal(answer.status, 303);
    assert.equal(answer.headers.location, '/_vratar/login');
    assert.ok(!visitor.cookies.has('vratar'));
    visitor.cookies.set('vratar', ticket);
    assert.equal((await visitor.ask('/_vratar/userinfo')).status, 401);
  });

  test('from another site is refused and ends nothing', async () => {
    const visitor = await signedIn(gateway, 'alice');
    const answer = await visitor.ask('/_vratar/logout', {
      method: 'POST',
      headers: [
        ['Content-Type', 'application/x-www-form-urlencoded'],
        ['Origin', 'https://evil.test'],
        ['Sec-Fetch-Site', 'cross-site'],
      ],
      body: `csrf=${visitor.cookies.get('vratar-csrf')}`,
    });
    assert.equal(answer.status, 403);
    assert.equal((await visitor.ask('/_vratar/userinfo')).status, 200);
  });
});

test('the log of a whole sign-in contains no secret', async () => {
  await using site = await startSite();
  const visitor = await signedIn(site, 'alice');
  await visitor.ask('/_vratar/userinfo');
  await new Visitor(site.port, [appHost]).signIn('alice', 'wrong-but-telling');
  const secrets = [
    site.passwords.get('staff:alice') as string,
    visitor.cookies.get('vratar') as string,
    'wrong-but-telling',
    'argon2id',
  ];
  for (const secret of secrets) assert.ok(!site.logText.includes(secret));
  assert.ok(site.logs.some(({ event }) => event === 'sign-in.accepted'));
  assert.ok(site.logs.some(({ event }) => event === 'sign-in.refused'));
});
