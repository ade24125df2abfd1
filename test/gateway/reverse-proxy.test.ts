import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { connect } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { TestGateway } from '#test/servers/gateway.ts';
import { type Received, startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { ask, type Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';
import { appHost, signedIn, startSite } from './site.ts';

let upstream: TestUpstream;
let gateway: TestGateway;
let alice: Visitor;
before(async () => {
  upstream = await startUpstream();
  gateway = await startSite(upstream.url);
  alice = await signedIn(gateway, 'alice');
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

async function through(path: string, options: Parameters<Visitor['ask']>[1] = {}): Promise<Received> {
  const answer = await alice.ask(path, options);
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Received;
}

describe('an allowed request reaches the application', () => {
  test('with its path and query byte for byte', async () => {
    const { target } = await through('/a%20b//c;d=e/%D0%BE?x=%zz&y=/../');
    assert.equal(target, '/a%20b//c;d=e/%D0%BE?x=%zz&y=/../');
  });

  test('with the identity headers that have a value, once, and no empty ones', async () => {
    const { headers } = await through('/');
    assert.deepEqual(valuesOf(headers, 'remote-user'), ['alice']);
    assert.deepEqual(valuesOf(headers, 'remote-name'), ['Alice Example']);
    assert.deepEqual(valuesOf(headers, 'remote-groups'), ['staff']);
    assert.deepEqual(valuesOf(headers, 'remote-roles'), []);
    assert.deepEqual(valuesOf(headers, 'host'), ['app.example.test']);
    assert.deepEqual(valuesOf(headers, 'x-forwarded-for'), ['127.0.0.1']);
    assert.deepEqual(valuesOf(headers, 'x-forwarded-host'), ['app.example.test']);
    assert.deepEqual(valuesOf(headers, 'x-forwarded-proto'), ['http']);
    assert.deepEqual(valuesOf(headers, 'x-forwarded-port'), ['80']);
    assert.deepEqual(valuesOf(headers, 'x-real-ip'), ['127.0.0.1']);
  });

  test('with the port people use, when the host has one', async () => {
    const { headers } = await through('/', { headers: [['X-Forwarded-Host', 'app.example.test:8443']] });
    assert.deepEqual(valuesOf(headers, 'x-forwarded-host'), ['app.example.test:8443']);
    assert.deepEqual(valuesOf(headers, 'x-forwarded-port'), ['8443']);
  });

  test('without anything the client forged, in any spelling', async () => {
    const forged = [
      'Remote-User',
      'remote_user',
      'REMOTE.USER',
      'Remote-Groups',
      'Remote-Roles',
      'Remote_Roles',
      'X-Original-URL',
      'X-Rewrite-URL',
      'X-Real-IP',
      'X_Forwarded_For',
      'Forwarded',
      'X-HTTP-Method-Override',
      'Remote-Groups-Overflow',
    ];
    const { headers } = await through('/', { headers: forged.map((name) => [name, 'root1']) });
    assert.deepEqual(
      headers.filter((value) => value === 'root1'),
      [],
    );
    assert.deepEqual(valuesOf(headers, 'remote-user'), ['alice']);
  });

  test('on a public page too, where nobody is signed in', async () => {
    const answer = await ask({
      port: gateway.port,
      path: '/public/x',
      headers: [appHost, ['Remote-User', 'root1'], ['remote_user', 'root1']],
    });
    assert.equal(answer.status, 200);
    assert.doesNotMatch(answer.body, /root1/);
  });

  test('keeps its identity headers although the client lists them in Connection', async () => {
    const { headers } = await through('/', {
      headers: [
        ['Connection', 'close, Remote-User, X-Custom'],
        ['X-Custom', 'x'],
      ],
    });
    assert.deepEqual(valuesOf(headers, 'remote-user'), ['alice']);
    assert.deepEqual(valuesOf(headers, 'x-custom'), []);
  });

  test('without the cookies of the gateway, with the others', async () => {
    const { headers } = await through('/', {
      headers: [['Cookie', 'theme=dark; vratar-lang=ru; JSESSIONID=1']],
    });
    const cookies = valuesOf(headers, 'cookie').join('; ');
    assert.match(cookies, /theme=dark/);
    assert.match(cookies, /JSESSIONID=1/);
    assert.doesNotMatch(cookies, /vratar/);
  });

  test("without the client's Authorization, unless the application wants it", async () => {
    const { headers } = await through('/', { headers: [['Authorization', 'Basic eDp5']] });
    assert.deepEqual(valuesOf(headers, 'authorization'), []);
  });

  test('streams a large upload through, whole', async () => {
    const body = randomBytes(5_000_000);
    const { bodyBytes, bodySha256 } = await (async () => {
      const ivan = await signedIn(gateway, 'ivan');
      const answer = await ivan.ask('/api/upload', { method: 'POST', body });
      return JSON.parse(answer.body) as Received;
    })();
    assert.equal(bodyBytes, body.length);
    assert.equal(bodySha256, createHash('sha256').update(body).digest('hex'));
  });

  test('answers HEAD without a body', async () => {
    const answer = await alice.ask('/x', { method: 'HEAD' });
    assert.equal(answer.status, 200);
    assert.equal(answer.body, '');
  });
});

describe('a request that is not allowed never reaches the application', () => {
  test('a page is redirected to the sign-in of its host', async () => {
    const before = upstream.started;
    const answer = await ask({
      port: gateway.port,
      path: '/wiki?x=1',
      headers: [appHost, ['Accept', 'text/html']],
    });
    assert.equal(answer.status, 302);
    assert.equal(
      answer.headers.location,
      'http://app.example.test/_vratar/login?rd=http%3A%2F%2Fapp.example.test%2Fwiki%3Fx%3D1',
    );
    assert.equal(upstream.started, before);
  });

  test('a program gets 401 in JSON', async () => {
    const answer = await ask({
      port: gateway.port,
      path: '/api/x',
      headers: [appHost, ['Accept', 'application/json']],
    });
    assert.equal(answer.status, 401);
    assert.equal((JSON.parse(answer.body) as { error: string }).error, 'SIGN_IN_REQUIRED');
  });

  const rows: { name: string; path: string; method?: string; status: number }[] = [
    { name: 'a rule that does not hold', path: '/admin/x', status: 403 },
    { name: 'a doubled slash', path: '//admin/x', status: 403 },
    { name: 'a method the application does not take', path: '/', method: 'PROPFIND', status: 405 },
    { name: 'a dot segment', path: '/public/../admin/x', status: 400 },
    { name: 'an encoded slash', path: '/a%2fb', status: 400 },
    { name: 'a backslash', path: '/a%5cb', status: 400 },
    { name: 'a target that is too long', path: `/${'a'.repeat(8_200)}`, status: 414 },
  ];
  for (const { name, path, method = 'GET', status } of rows) {
    test(`${name}: ${status}`, async () => {
      const before = upstream.started;
      const answer = await alice.ask(path, { method, headers: [['Accept', 'application/json']] });
      assert.equal(answer.status, status);
      assert.equal(upstream.started, before);
    });
  }

  test('a host nobody configured: 421', async () => {
    assert.equal(
      (await ask({ port: gateway.port, headers: [['Host', 'internal.example.test']] })).status,
      421,
    );
  });

  test('a denial is a page for a person, with the way to another account, and an audit line', async () => {
    const answer = await alice.ask('/admin/x', { headers: [['Accept', 'text/html']] });
    assert.equal(answer.status, 403);
    assert.match(answer.body, /Alice Example/);
    assert.match(answer.body, /name="csrf"/);
    const line = gateway.logs.findLast(({ event }) => event === 'access.denied');
    assert.equal(line?.['account'], 'alice');
    assert.equal(line?.['audit'], true);
  });
});

describe('raw requests that two servers could read differently', () => {
  const rows: { name: string; bytes: string; status: string }[] = [
    {
      name: 'two Host fields',
      bytes: 'GET / HTTP/1.1\r\nHost: app.example.test\r\nHost: open.example.test\r\n\r\n',
      status: '400',
    },
    { name: 'no Host field', bytes: 'GET / HTTP/1.1\r\n\r\n', status: '400' },
    {
      name: 'a Host with user info',
      bytes: 'GET / HTTP/1.1\r\nHost: x@app.example.test\r\n\r\n',
      status: '400',
    },
    { name: 'HTTP/1.0 without a Host', bytes: 'GET / HTTP/1.0\r\n\r\n', status: '400' },
    {
      name: 'a transfer coding before chunked',
      bytes:
        'POST /public/x HTTP/1.1\r\nHost: app.example.test\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n',
      status: '501',
    },
    {
      name: 'length and chunked at once',
      bytes:
        'POST /public/x HTTP/1.1\r\nHost: app.example.test\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
      status: '400',
    },
    {
      name: 'two lengths',
      bytes:
        'POST /public/x HTTP/1.1\r\nHost: app.example.test\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello',
      status: '400',
    },
    {
      name: 'an absolute target for another host',
      bytes: 'GET http://evil.test/admin/x HTTP/1.1\r\nHost: app.example.test\r\n\r\n',
      status: '400',
    },
    {
      name: 'an absolute target for the same host',
      bytes: 'GET http://app.example.test/wiki HTTP/1.1\r\nHost: app.example.test\r\n\r\n',
      status: '401',
    },
    {
      name: 'the asterisk form',
      bytes: 'OPTIONS * HTTP/1.1\r\nHost: app.example.test\r\n\r\n',
      status: '400',
    },
    {
      name: 'a fragment',
      bytes: 'GET /public/#/../admin/x HTTP/1.1\r\nHost: app.example.test\r\n\r\n',
      status: '400',
    },
    {
      name: 'a raw backslash',
      bytes: 'GET /public/..\\admin/x HTTP/1.1\r\nHost: app.example.test\r\n\r\n',
      status: '400',
    },
    {
      name: 'a head that is too large',
      bytes: `GET / HTTP/1.1\r\nHost: app.example.test\r\nX-Big: ${'a'.repeat(20_000)}\r\n\r\n`,
      status: '431',
    },
    {
      name: 'an obsolete folded line',
      bytes: 'GET / HTTP/1.1\r\nHost: app.example.test\r\nX-A: b\r\n c\r\n\r\n',
      status: '400',
    },
  ];
  for (const { name, bytes, status } of rows) {
    test(`${name}: ${status}`, async () => {
      const before = upstream.started;
      assert.equal((await raw(gateway.port, bytes)).slice(9, 12), status);
      assert.equal(upstream.started, before);
    });
  }

  test('a broken chunk in the middle of a body aborts the request to the application', async () => {
    const before = upstream.received.length;
    const text = await raw(
      gateway.port,
      'POST /public/x HTTP/1.1\r\nHost: app.example.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nZZ\r\n',
    );
    assert.ok(text === '' || text.startsWith('HTTP/1.1 400'), text);
    assert.equal(upstream.received.length, before);
  });
});

describe('when the application fails', () => {
  test('nobody listens: 502 in its own words, counted', async () => {
    await using broken = await startSite('http://127.0.0.1:1');
    const answer = await ask({ port: broken.port, path: '/public/x', headers: [appHost] });
    assert.equal(answer.status, 502);
    assert.equal((JSON.parse(answer.body) as { error: string }).error, 'UPSTREAM_UNREACHABLE');
    assert.doesNotMatch(answer.body, /127\.0\.0\.1|ECONNREFUSED/);
    assert.match(
      await broken.metrics(),
      /vratar_upstream_requests_total\{application="app",code="UPSTREAM_UNREACHABLE"\} 1/,
    );
  });

  test('it resets before an answer: 502', async () => {
    await using resetting = await startUpstream((request) => request.socket.resetAndDestroy());
    await using site = await startSite(resetting.url);
    assert.equal((await ask({ port: site.port, path: '/public/x', headers: [appHost] })).status, 502);
  });

  test('it dies in the middle of a body: the client sees that the body is not whole', async () => {
    await using dying = await startUpstream((request, response) => {
      response.writeHead(200, { 'Content-Length': '1000' });
      response.write('x'.repeat(100), () => request.socket.destroy());
    });
    await using site = await startSite(dying.url);
    await assert.rejects(ask({ port: site.port, path: '/public/x', headers: [appHost] }));
  });

  test('it plants a cookie of the gateway: the cookie does not pass, others do', async () => {
    await using planting = await startUpstream((_request, response) => {
      response.writeHead(
        200,
        [
          ['Set-Cookie', `vratar=${'A'.repeat(43)}; Path=/`],
          ['Set-Cookie', 'theme=dark'],
          ['Connection', 'close'],
          ['X-Twice', '1'],
          ['X-Twice', '2'],
        ].flat(),
      );
      response.end();
    });
    await using site = await startSite(planting.url);
    const answer = await ask({ port: site.port, path: '/public/x', headers: [appHost] });
    assert.deepEqual(answer.values('set-cookie'), ['theme=dark']);
    assert.deepEqual(answer.values('x-twice'), ['1', '2']);
  });

  test('the client goes away: the request to the application is given up', async () => {
    await using slow = await startUpstream(() => {});
    await using site = await startSite(slow.url);
    const socket = connect(site.port, '127.0.0.1');
    socket.write('GET /public/x HTTP/1.1\r\nHost: app.example.test\r\n\r\n');
    await until(() => slow.openSockets === 1);
    socket.destroy();
    await until(() => slow.openSockets === 0);
  });

  test('an application without an upstream: 404', async () => {
    await using site = await startSite();
    assert.equal((await ask({ port: site.port, path: '/public/x', headers: [appHost] })).status, 404);
  });
});

/** Sends bytes on one connection, answers what comes back until it is closed or quiet for a moment after an answer. */
async function raw(port: number, bytes: string): Promise<string> {
  const socket = connect(port, '127.0.0.1');
  let text = '';
  const done = Promise.withResolvers<string>();
  socket.setEncoding('latin1').on('data', (chunk: string) => {
    text += chunk;
    if (text.includes('\r\n\r\n')) done.resolve(text);
  });
  socket.on('close', () => done.resolve(text));
  socket.on('error', () => done.resolve(text));
  socket.setTimeout(5_000, () =>
    done.reject(new Error(`no answer to ${JSON.stringify(bytes.slice(0, 80))}`)),
  );
  socket.write(bytes, 'latin1');
  try {
    return await done.promise;
  } finally {
    socket.destroy();
  }
}
