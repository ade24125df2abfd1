/** The shipped nginx snippets on a real nginx, with a stand-in for the gateway's endpoint and for the application. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { FrontProxy } from '#test/servers/front-proxy.ts';
import { protectedServer, startNginx } from '#test/servers/nginx.ts';
import {
  type Answer,
  close,
  exchange,
  listen,
  portOf,
  record,
  type Seen,
} from '#test/support/loopback-http.ts';

const navigation = { 'Sec-Fetch-Mode': 'navigate', Accept: 'text/html' };
const script = { 'Sec-Fetch-Mode': 'cors', Accept: '*/*' };
const identity = {
  'Remote-User': 'alice',
  'Remote-Groups': 'staff,wiki',
  'Remote-Name': Buffer.from('Алиса', 'utf8').toString('latin1'),
  'Remote-Email': 'alice@example.com',
  'Remote-Roles': '',
  'Remote-Groups-Overflow': 'true',
  'X-Vratar-Assertion': '',
};

/** What the stand-in gateway answers, by path of the original request. */
const verdicts: Readonly<Record<string, (response: ServerResponse, original: URL) => void>> = {
  '/allowed': (response) => response.writeHead(200, { ...identity, 'Content-Length': '0' }).end(),
  '/renewed': (response) =>
    response
      .writeHead(200, { ...identity, 'Content-Length': '0', 'Set-Cookie': 'vratar=new; Path=/; HttpOnly' })
      .end(),
  '/anonymous': (response) =>
    response
      .writeHead(200, {
        ...Object.fromEntries(Object.keys(identity).map((name) => [name, ''])),
        'Content-Length': '0',
      })
      .end(),
  '/many-groups': (response) =>
    response
      .writeHead(200, { ...identity, 'Remote-Groups': 'group-name,'.repeat(2_000), 'Content-Length': '0' })
      .end(),
  '/private': (response, original) =>
    response
      .writeHead(401, {
        Location: `${original.origin}/_vratar/login?rd=${encodeURIComponent(original.href)}`,
        'WWW-Authenticate': 'Negotiate',
        'Set-Cookie': 'vratar=; Max-Age=0; Path=/',
        'Content-Length': '0',
      })
      .end(),
  '/nowhere': (response) => response.writeHead(401, { 'Content-Length': '0' }).end(),
  '/denied': (response) => response.writeHead(403, { 'Content-Length': '0' }).end(),
  '/outage': (response) => response.writeHead(503, { 'Retry-After': '17', 'Content-Length': '0' }).end(),
};

describe('shipped nginx snippets', () => {
  // Also when one of them does not start, the others must end, or the test process never does.
  const started = new AsyncDisposableStack();
  let nginx: FrontProxy;
  const asked: Seen[] = [];
  const received: Seen[] = [];
  const upgrades: string[] = [];

  before(async () => {
    const gateway = await listen(async (incoming, response) => {
      asked.push(await record(incoming));
      if (incoming.url !== '/_vratar/auth/nginx') {
        response
          .writeHead(200, { 'Set-Cookie': ['vratar=a; Path=/', 'vratar-csrf=b; Path=/'] })
          .end('portal');
        return;
      }
      const original = new URL(String(incoming.headers['x-original-url']));
      const verdict = verdicts[original.pathname.replace(/\.\w+$/, '')] ?? verdicts['/allowed'];
      verdict?.(response, original);
    });
    const application = await listen(async (incoming, response) => {
      received.push(await record(incoming));
      const status = Number(new URL(incoming.url ?? '', 'http://a').searchParams.get('status') ?? 200);
      response.writeHead(status, { 'Set-Cookie': 'app=1; Path=/' }).end('application');
    });
    application.on('upgrade', (incoming: IncomingMessage, socket: Socket) => {
      upgrades.push(String(incoming.headers['remote-user']));
      socket.end(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\nhello',
      );
    });
    started.defer(async () => await close(gateway, application));
    nginx = await startNginx({
      gateway: `127.0.0.1:${portOf(gateway)}`,
      servers: (port) => protectedServer({ port, application: `http://127.0.0.1:${portOf(application)}` }),
    });
    started.use(nginx);
  });

  after(async () => {
    await started.disposeAsync();
  });

  const send = async (
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: string | readonly string[] } = {},
  ): Promise<Answer> => {
    asked.length = 0;
    received.length = 0;
    return await exchange(nginx.port, path, options);
  };
  const onlyReceived = (): Seen => {
    assert.equal(received.length, 1, 'requests the application got');
    return received[0] as Seen;
  };
  const onlyAsked = (): Seen => {
    assert.equal(asked.length, 1, 'requests the gateway got');
    return asked[0] as Seen;
  };

  test('the application learns who the person is, in UTF-8', async () => {
    const answer = await send('/allowed');
    assert.equal(answer.status, 200);
    assert.equal(answer.body, 'application');
    const { headers, version } = onlyReceived();
    assert.equal(version, '1.1');
    assert.equal(headers['remote-user'], 'alice');
    assert.equal(headers['remote-groups'], 'staff,wiki');
    assert.equal(Buffer.from(headers['remote-name'] ?? '', 'latin1').toString('utf8'), 'Алиса');
    assert.equal(headers['remote-email'], 'alice@example.com');
    assert.equal(headers['remote-groups-overflow'], 'true');
  });

  test('the gateway is asked about exactly what the client sent', async () => {
    await send('/allowed/%7Ea//b/../c;x=1?q=%2F&q=2', {
      method: 'DELETE',
      headers: { Host: 'wiki.example.com:8443', Cookie: 'vratar=ticket' },
    });
    const { method, headers } = onlyAsked();
    assert.equal(method, 'GET');
    assert.equal(
      headers['x-original-url'],
      'http://wiki.example.com:8443/allowed/%7Ea//b/../c;x=1?q=%2F&q=2',
    );
    assert.equal(headers['x-original-method'], 'DELETE');
    assert.equal(headers['x-forwarded-for'], '127.0.0.1');
    assert.equal(headers['x-forwarded-proto'], 'http');
    assert.equal(headers['cookie'], 'vratar=ticket');
    assert.equal(onlyReceived().url, '/allowed/%7Ea//b/../c;x=1?q=%2F&q=2');
  });

  test('a request line with a host of its own is judged and served under that host', async () => {
    await send('http://wiki.example.com/allowed', { headers: { Host: 'open.example.com' } });
    assert.equal(onlyAsked().headers['x-original-url'], 'http://wiki.example.com/allowed');
    assert.equal(onlyReceived().headers['host'], 'wiki.example.com');
  });

  const forged = {
    'Remote-User': 'mallory',
    'REMOTE-GROUPS': 'admins',
    'remote-name': 'Mallory',
    'Remote-Email': 'mallory@example.com',
    'Remote-Roles': 'admin',
    'Remote-Groups-Overflow': 'forged',
    'X-Vratar-Assertion': 'forged',
    Remote_User: 'mallory',
    Remote_Groups: 'admins',
    REMOTE_ROLES: 'admin',
    X_Vratar_Assertion: 'forged',
    'Remote.User': 'mallory',
  };
  for (const path of ['/allowed', '/anonymous', '/many-groups']) {
    test(`nothing forged reaches the application at ${path}`, async () => {
      const answer = await send(path, { headers: forged });
      assert.equal(answer.status, 200);
      const { headers, names } = onlyReceived();
      const values = Object.values(headers).join('\n');
      assert.doesNotMatch(values, /mallory|admin|forged/i);
      assert.deepEqual(
        names.filter((name) => /[_.]/.test(name)),
        [],
      );
      for (const name of ['remote-user', 'remote-groups']) {
        assert.ok(names.filter((other) => other.toLowerCase() === name).length <= 1, `${name} comes once`);
      }
    });
  }

  test('an anonymous person means no identity header at all', async () => {
    await send('/anonymous', { headers: forged });
    assert.deepEqual(
      Object.keys(onlyReceived().headers).filter((name) => /^(remote|x-vratar)-/.test(name)),
      [],
    );
  });

  test('metadata a client makes up is replaced on the way to the gateway and to the application', async () => {
    const claims = {
      'X-Original-URL': 'http://open.example.com/public',
      'X-Original-URI': '/public',
      'X-Original-Method': 'OPTIONS',
      'X-Forwarded-For': '10.0.0.2',
      'X-Forwarded-Proto': 'https',
      'X-Forwarded-Host': 'open.example.com',
      'X-Forwarded-Uri': '/public',
      'X-Forwarded-Method': 'OPTIONS',
      Forwarded: 'for=10.0.0.2',
      'X-Rewrite-URL': '/rewritten',
      'X-HTTP-Method-Override': 'PURGE',
      'X-Method-Override': 'PURGE',
      'X-Forwarded-Prefix': '/rewritten',
      'X-Forwarded-Port': '4444',
      'X-Real-IP': '10.0.0.1',
    };
    for (const path of ['/allowed', '/_vratar/login']) {
      await send(path, { headers: { ...claims, Host: 'wiki.example.com' } });
      const facts = ({ headers }: Seen): readonly (string | undefined)[] =>
        ['for', 'proto', 'host'].map((name) => headers[`x-forwarded-${name}`]);
      assert.deepEqual(facts(onlyAsked()), ['127.0.0.1', 'http', 'wiki.example.com']);
      if (path === '/allowed')
        assert.deepEqual(facts(onlyReceived()), ['127.0.0.1', 'http', 'wiki.example.com']);
      const made = /open\.example|10\.0\.0\.2|OPTIONS|public|https/;
      assert.doesNotMatch(Object.values(onlyAsked().headers).join('\n'), made);
      for (const { headers } of received) {
        assert.doesNotMatch(Object.values(headers).join('\n'), made);
        assert.doesNotMatch(Object.values(headers).join('\n'), /rewritten|PURGE|4444|10\.0\.0\.1/);
      }
    }
  });

  for (const path of [
    '/_vratar/auth/nginx',
    '/_vratar/auth/traefik',
    '/_vratar/auth/envoy/x',
    '/%5fvratar/%61uth/nginx',
    '/_vratar/auth%2Fnginx',
    '//_vratar//auth/caddy',
    '/x/../_vratar/auth/nginx',
    '/_vratar/login/../auth/nginx',
  ]) {
    test(`no client asks the forward-auth endpoint itself: ${path}`, async () => {
      const answer = await send(path, { headers: { 'X-Forwarded-Uri': '/', 'X-Forwarded-Method': 'GET' } });
      assert.equal(answer.status, 404);
      assert.equal(asked.length, 0);
      assert.equal(received.length, 0);
    });
  }

  const cookies: readonly { readonly sent: string; readonly kept: string | undefined }[] = [
    { sent: 'a=1; vratar=t; b=2', kept: 'a=1; b=2' },
    { sent: 'vratar=t', kept: undefined },
    { sent: 'vratar=t; a=1', kept: 'a=1' },
    { sent: 'a=1; __Host-vratar=t', kept: 'a=1' },
    { sent: '__Host-vratar=t; __Host-vratar-csrf=c; vratar-lang=ru; a=1', kept: 'a=1' },
    { sent: 'a=1;vratar=t;b=2;\tvratar-csrf=c', kept: 'a=1;b=2' },
    { sent: 'a=1; xvratar=2; vratarium=3; vratar.x=4', kept: 'a=1; xvratar=2; vratarium=3; vratar.x=4' },
    { sent: 'a=vratar=1; b=2', kept: 'a=vratar=1; b=2' },
    { sent: `a=${'x'.repeat(60_000)}; vratar=t; b=2`, kept: `a=${'x'.repeat(60_000)}; b=2` },
    { sent: `${'vratar=t; '.repeat(12)}a=1`, kept: undefined },
    { sent: `${'a; '.repeat(8_000)}vratar=t`, kept: 'a; '.repeat(8_000).slice(0, -2) },
  ];
  for (const { sent, kept } of cookies) {
    test(`the application gets no cookie of the gateway: ${sent.slice(0, 60)}`, async () => {
      const answer = await send('/allowed', { headers: { Cookie: sent } });
      assert.equal(answer.status, 200);
      assert.equal(onlyReceived().headers['cookie'], kept);
      assert.equal(onlyAsked().headers['cookie'], sent);
    });
  }

  test('the credentials stay with the gateway', async () => {
    await send('/allowed', { headers: { Authorization: 'Basic YTpi' } });
    assert.equal(onlyAsked().headers['authorization'], 'Basic YTpi');
    assert.equal(onlyReceived().headers['authorization'], undefined);
  });

  test('a Kerberos ticket of 86 kB reaches the gateway', async () => {
    const ticket = `Negotiate ${'A'.repeat(86_000)}`;
    assert.equal((await send('/allowed', { headers: { Authorization: ticket } })).status, 200);
    assert.equal(onlyAsked().headers['authorization'], ticket);
  });

  const challenges = [
    { name: 'a navigation', headers: navigation, method: 'GET', status: 302 },
    { name: 'a navigation with HEAD', headers: navigation, method: 'HEAD', status: 302 },
    { name: 'a form sent after the session ended', headers: navigation, method: 'POST', status: 303 },
    {
      name: 'a browser without fetch metadata',
      headers: { Accept: 'text/html,*/*' },
      method: 'GET',
      status: 302,
    },
    { name: 'a script', headers: script, method: 'GET', status: 401 },
    {
      name: 'a script that accepts pages',
      headers: { ...script, Accept: 'text/html' },
      method: 'GET',
      status: 401,
    },
    {
      name: 'an old script',
      headers: { Accept: 'text/html', 'X-Requested-With': 'XMLHttpRequest' },
      method: 'GET',
      status: 401,
    },
    { name: 'a command line', headers: { Accept: '*/*' }, method: 'GET', status: 401 },
  ];
  for (const { name, headers, method, status } of challenges) {
    test(`${name} without a session gets ${status}`, async () => {
      const answer = await send('/private.css?a=1', {
        method,
        headers: { Host: 'wiki.example.com:81', ...headers },
      });
      const location = `http://wiki.example.com:81/_vratar/login?rd=${encodeURIComponent('http://wiki.example.com:81/private.css?a=1')}`;
      assert.equal(answer.status, status);
      assert.equal(answer.headers['cache-control'], 'no-store');
      assert.deepEqual(answer.headers['set-cookie'], ['vratar=; Max-Age=0; Path=/']);
      assert.equal(received.length, 0);
      if (status === 401) {
        assert.equal(answer.headers['location'], undefined);
        assert.equal(answer.headers['content-type'], 'application/json');
        assert.equal(answer.headers['www-authenticate'], 'Negotiate');
        assert.deepEqual(JSON.parse(answer.body), {
          error: 'SIGN_IN_REQUIRED',
          title: 'Sign-in required',
          signIn: location,
        });
      } else {
        assert.equal(answer.headers['location'], location);
      }
    });
  }

  test('a refusal without a sign-in page stays a 401 for a person too', async () => {
    assert.equal((await send('/nowhere', { headers: navigation })).status, 401);
    assert.equal(received.length, 0);
  });

  test('a denied request gets 403 and never reaches the application', async () => {
    assert.equal((await send('/denied', { headers: navigation })).status, 403);
    assert.equal(received.length, 0);
  });

  for (const { name, headers, type } of [
    { name: 'a person', headers: navigation, type: 'text/html; charset=utf-8' },
    { name: 'a program', headers: script, type: 'application/json' },
  ]) {
    test(`an outage behind the gateway is 503 with its Retry-After for ${name}`, async () => {
      const answer = await send('/outage.js', { headers });
      assert.equal(answer.status, 503);
      assert.equal(answer.headers['retry-after'], '17');
      assert.equal(answer.headers['content-type'], type);
      assert.equal(received.length, 0);
    });
  }

  test('what the application itself answers passes untouched', async () => {
    for (const status of [401, 403, 404, 500, 503]) {
      const answer = await send(`/allowed?status=${status}`, { headers: navigation });
      assert.equal(answer.status, status);
      assert.equal(answer.body, 'application');
      assert.equal(answer.headers['location'], undefined);
    }
  });

  test('a renewed session cookie reaches the browser beside the cookies of the application', async () => {
    const answer = await send('/renewed');
    assert.deepEqual(answer.headers['set-cookie'], ['app=1; Path=/', 'vratar=new; Path=/; HttpOnly']);
    assert.deepEqual((await send('/allowed')).headers['set-cookie'], ['app=1; Path=/']);
  });

  for (const [name, body] of [
    ['a body of known length', 'x'.repeat(300_000)],
    ['a chunked body', ['x'.repeat(100_000), 'y'.repeat(100_000)]],
  ] as const) {
    test(`${name} goes to the application and not to the gateway`, async () => {
      const answer = await send('/allowed', { method: 'POST', body });
      assert.equal(answer.status, 200);
      assert.equal(onlyReceived().body, typeof body === 'string' ? body : body.join(''));
      assert.equal(onlyAsked().body, '');
      assert.equal(onlyAsked().headers['content-length'], undefined);
      assert.equal(onlyAsked().headers['transfer-encoding'], undefined);
    });
  }

  test('the sign-in page is reached without asking, with all its cookies', async () => {
    const answer = await send('/_vratar/login', { method: 'POST', body: 'username=a' });
    assert.equal(answer.body, 'portal');
    assert.deepEqual(answer.headers['set-cookie'], ['vratar=a; Path=/', 'vratar-csrf=b; Path=/']);
    assert.equal(onlyAsked().url, '/_vratar/login');
    assert.equal(onlyAsked().body, 'username=a');
  });

  test('connections to the gateway are kept between decisions, also refusing ones', async () => {
    const connections = new Set<Socket>();
    for (const path of ['/allowed', '/private', '/denied', '/outage', '/allowed', '/anonymous']) {
      await send(path, { headers: script });
      connections.add(onlyAsked().connection);
    }
    assert.equal(connections.size, 1);
  });

  test('a WebSocket passes with the identity of the person', async () => {
    const outgoing = request({
      port: nginx.port,
      host: '127.0.0.1',
      path: '/allowed',
      headers: { Connection: 'Upgrade', Upgrade: 'websocket', 'Remote-User': 'mallory' },
      agent: false,
    }).end();
    const [response, socket] = (await once(outgoing, 'upgrade')) as [IncomingMessage, Socket];
    socket.destroy();
    assert.equal(response.statusCode, 101);
    assert.deepEqual(upgrades, ['alice']);
  });

  test('nginx finds nothing to warn about in the configuration', async () => {
    const lines = (await nginx.errorLog()).split('\n');
    // Large bodies go through a file: the only warning these tests cause by themselves.
    const warnings = lines.filter((line) => /\[(warn|alert|crit|emerg)\](?!.*temporary file)/.test(line));
    assert.deepEqual(warnings, []);
  });
});
