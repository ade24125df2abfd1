/** The shipped snippets on real front proxies, with a stand-in for the gateway's endpoint and for the application. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type IncomingMessage, request, type Server, type ServerResponse } from 'node:http';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { startApache } from '#test/servers/apache.ts';
import { startCaddy } from '#test/servers/caddy.ts';
import type { FrontProxy, ProtectedSite } from '#test/servers/front-proxy.ts';
import { startHaproxy } from '#test/servers/haproxy.ts';
import {
  type Answer,
  close,
  exchange,
  listen,
  portOf,
  record,
  type Seen,
} from '#test/support/loopback-http.ts';

interface Row {
  readonly name: string;
  readonly start: (site: ProtectedSite) => Promise<FrontProxy>;
  readonly endpoint: string;
}

const rows: readonly Row[] = [
  { name: 'Caddy', start: startCaddy, endpoint: '/_vratar/auth/caddy' },
  { name: 'HAProxy', start: startHaproxy, endpoint: '/_vratar/auth/haproxy' },
  { name: 'Apache', start: startApache, endpoint: '/_vratar/auth/haproxy' },
];

const identity = {
  'Remote-User': 'alice',
  'Remote-Groups': 'staff,wiki',
  'Remote-Name': Buffer.from('Алиса', 'utf8').toString('latin1'),
  'Remote-Email': 'alice@example.com',
  'Remote-Roles': '',
  'Remote-Groups-Overflow': '',
  'Content-Length': '0',
};
const anonymous = Object.fromEntries(Object.entries(identity).map(([name]) => [name, '']));

/** What the stand-in gateway answers, by the first segment of the original path. */
const verdicts: Readonly<Record<string, (response: ServerResponse) => void>> = {
  allowed: (response) => response.writeHead(200, identity).end(),
  anonymous: (response) => response.writeHead(200, { ...anonymous, 'Content-Length': '0' }).end(),
  renewed: (response) =>
    response.writeHead(200, { ...identity, 'Set-Cookie': 'vratar=new; Path=/; HttpOnly' }).end(),
  many: (response) =>
    response.writeHead(200, { ...identity, 'Remote-Groups': 'group-name,'.repeat(700) }).end(),
  page: (response) =>
    response
      .writeHead(302, {
        Location: 'http://wiki.example.com/_vratar/login?rd=x',
        'Set-Cookie': 'vratar=; Max-Age=0; Path=/',
      })
      .end(),
  form: (response) => response.writeHead(303, { Location: '/_vratar/login?rd=x' }).end(),
  script: (response) =>
    response
      .writeHead(401, { 'Content-Type': 'application/json', 'WWW-Authenticate': 'Negotiate' })
      .end('{"error":"SIGN_IN_REQUIRED"}'),
  denied: (response) =>
    response.writeHead(403, { 'Content-Type': 'application/json' }).end('{"error":"ACCESS_DENIED"}'),
  outage: (response) => response.writeHead(503, { 'Retry-After': '17' }).end('{}'),
};

const forged = {
  'Remote-User': 'mallory',
  'REMOTE-GROUPS': 'admins',
  'Remote-Roles': 'admin',
  'Remote-Groups-Overflow': '9 forged',
  'X-Vratar-Assertion': 'forged',
  Remote_User: 'mallory',
  REMOTE_GROUPS: 'admins',
  X_Vratar_Assertion: 'forged',
  'Remote.User': 'mallory',
  'Remote~User': 'mallory',
  'remote!user': 'mallory',
  'X.Vratar.Assertion': 'forged',
  X_Forwarded_For: 'forged',
  'X-Auth-Request_User': 'mallory',
  'X.Forwarded.Uri': 'forged',
};

const made = {
  'X-Original-URL': 'http://open.example.com/public',
  'X-Original-URI': '/public',
  'X-Original-Method': 'OPTIONS',
  'X-Rewrite-URL': '/public',
  'X-Forwarded-For': '10.0.0.1',
  'X-Forwarded-Proto': 'https',
  'X-Forwarded-Host': 'open.example.com',
  'X-Forwarded-Uri': '/public',
  'X-Forwarded-Method': 'OPTIONS',
  'X-Forwarded-Prefix': '/public',
  'X-Real-IP': '10.0.0.1',
  'X-HTTP-Method-Override': 'OPTIONS',
  'X-HTTP-Method': 'OPTIONS',
  'X-Method-Override': 'OPTIONS',
  Forwarded: 'for=10.0.0.1',
};

const cookies: readonly { readonly sent: string; readonly kept: string | undefined }[] = [
  { sent: 'a=1; vratar=t; b=2', kept: 'a=1; b=2' },
  { sent: 'vratar=t', kept: undefined },
  { sent: 'vratar=t; a=1', kept: 'a=1' },
  { sent: 'a=1; __Host-vratar=t', kept: 'a=1' },
  { sent: '__Host-vratar=t; __Host-vratar-csrf=c; vratar-lang=ru; a=1', kept: 'a=1' },
  { sent: 'a=1; xvratar=2; vratarium=3; vratar.x=4', kept: 'a=1; xvratar=2; vratarium=3; vratar.x=4' },
  { sent: 'a=vratar=1; b=2', kept: 'a=vratar=1; b=2' },
  { sent: `${'vratar=t; '.repeat(12)}a=1`, kept: 'a=1' },
];

for (const { name, start, endpoint } of rows) {
  describe(`shipped snippets on ${name}`, () => {
    let gateway: Server;
    let application: Server;
    let proxy: FrontProxy;
    const asked: Seen[] = [];
    const received: Seen[] = [];
    const upgraded: string[] = [];

    before(async () => {
      gateway = await listen(async (incoming, response) => {
        asked.push(await record(incoming));
        if (incoming.url !== endpoint) {
          response
            .writeHead(200, { 'Set-Cookie': ['vratar=a; Path=/', 'vratar-csrf=b; Path=/'] })
            .end('portal');
          return;
        }
        const segment = String(incoming.headers['x-forwarded-uri']).split(/[/?.]/)[1] ?? '';
        (verdicts[segment] ?? verdicts['allowed'])?.(response);
      });
      application = await listen(async (incoming, response) => {
        received.push(await record(incoming));
        const status = Number(new URL(incoming.url ?? '', 'http://a').searchParams.get('status') ?? 200);
        response.writeHead(status, { 'Set-Cookie': 'app=1; Path=/' }).end('application');
      });
      application.on('upgrade', (incoming: IncomingMessage, socket: Socket) => {
        upgraded.push(String(incoming.headers['remote-user']));
        // HAProxy checks the answer to the key of RFC 6455 section 1.3.
        socket.end(
          'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n' +
            'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\nhello',
        );
      });
      proxy = await start({
        gateway: `127.0.0.1:${portOf(gateway)}`,
        application: `127.0.0.1:${portOf(application)}`,
      });
    });
    after(async () => {
      await proxy[Symbol.asyncDispose]();
      await close(gateway, application);
    });

    const send = async (
      path: string,
      options: {
        method?: string;
        headers?: Record<string, string>;
        body?: string | readonly string[];
      } = {},
    ): Promise<Answer> => {
      asked.length = 0;
      received.length = 0;
      const headers = { Host: 'wiki.example.com:8443', ...options.headers };
      return await exchange(proxy.port, path, { ...options, headers });
    };
    const only = (seen: readonly Seen[]): Seen => {
      assert.equal(seen.length, 1, 'requests that arrived');
      return seen[0] as Seen;
    };

    test('the application learns who the person is, in UTF-8', async () => {
      const answer = await send('/allowed');
      assert.equal(answer.status, 200);
      assert.equal(answer.body, 'application');
      const { headers } = only(received);
      assert.equal(headers['remote-user'], 'alice');
      assert.equal(headers['remote-groups'], 'staff,wiki');
      assert.equal(Buffer.from(headers['remote-name'] ?? '', 'latin1').toString('utf8'), 'Алиса');
      assert.equal(headers['remote-email'], 'alice@example.com');
    });

    test('a list of groups as long as the gateway sends fits', async () => {
      assert.equal((await send('/many')).status, 200);
      assert.equal(only(received).headers['remote-groups']?.length, 7_700);
    });

    test('the gateway is asked about exactly what the client sent', async () => {
      const target = '/allowed/%7Ea//b;x=1?q=%2F&q=2';
      await send(target, { method: 'DELETE', headers: { Cookie: 'vratar=ticket', Accept: 'text/html' } });
      const { method, url, headers } = only(asked);
      assert.equal(method, 'GET');
      assert.equal(url, endpoint);
      assert.equal(headers['x-forwarded-uri'], target);
      assert.equal(headers['x-forwarded-method'], 'DELETE');
      assert.equal(headers['x-forwarded-host'], 'wiki.example.com:8443');
      assert.equal(headers['x-forwarded-proto'], 'http');
      assert.equal(headers['x-forwarded-for'], '127.0.0.1');
      assert.equal(headers['cookie'], 'vratar=ticket');
      assert.equal(headers['accept'], 'text/html');
      assert.equal(only(received).url, target);
    });

    for (const path of ['/allowed', '/anonymous', '/many']) {
      test(`nothing forged reaches the application at ${path}`, async () => {
        assert.equal((await send(path, { headers: forged })).status, 200);
        const { headers, names } = only(received);
        assert.doesNotMatch(Object.values(headers).join('\n'), /mallory|admin|forged|\{/i);
        assert.deepEqual(
          names.filter((other) => /[^a-z0-9-]/i.test(other)),
          [],
        );
        assert.equal(headers['remote-user'] ?? '', path === '/anonymous' ? '' : 'alice');
      });
    }

    test('nothing forged reaches the gateway with the sign-in page', async () => {
      await send('/_vratar/login', { headers: forged });
      const { headers, names } = only(asked);
      assert.doesNotMatch(Object.values(headers).join('\n'), /mallory|admin|forged/i);
      assert.deepEqual(
        names.filter((other) => /[^a-z0-9-]/i.test(other)),
        [],
      );
    });

    test('a client cannot have the identity removed by naming it in Connection', async () => {
      await send('/allowed', { headers: { Connection: 'close, Remote-User, X-Forwarded-For' } });
      assert.equal(only(received).headers['remote-user'], 'alice');
      assert.equal(only(received).headers['x-forwarded-for'], '127.0.0.1');
    });

    test('metadata a client makes up is replaced on the way to the gateway and to the application', async () => {
      for (const path of ['/allowed', '/_vratar/login']) {
        await send(path, { headers: made });
        for (const { headers } of [...asked, ...received])
          assert.doesNotMatch(
            Object.values(headers).join('\n'),
            /open\.example|10\.0\.0\.1|OPTIONS|public|https/,
          );
      }
    });

    for (const path of [
      endpoint,
      '/_vratar/auth/nginx',
      '/_vratar/auth/envoy/x',
      '/_vratar/auth%2Fnginx',
      '//_vratar//auth/caddy',
    ]) {
      test(`no client asks the forward-auth endpoint itself: ${path}`, async () => {
        assert.equal((await send(path, { headers: made })).status, 404);
        assert.equal(asked.length + received.length, 0);
      });
    }

    for (const { sent, kept } of cookies) {
      test(`the application gets no cookie of the gateway: ${sent.slice(0, 60)}`, async () => {
        assert.equal((await send('/allowed', { headers: { Cookie: sent } })).status, 200);
        assert.equal(only(received).headers['cookie'], kept);
        assert.equal(only(asked).headers['cookie'], sent);
      });
    }

    test('the credentials stay with the gateway, a Kerberos ticket of 60 kB too', async () => {
      const ticket = `Negotiate ${'A'.repeat(60_000)}`;
      assert.equal((await send('/allowed', { headers: { Authorization: ticket } })).status, 200);
      assert.equal(only(asked).headers['authorization'], ticket);
      assert.equal(only(received).headers['authorization'], undefined);
    });

    test('a refusal of the gateway is the answer of the client, whole', async () => {
      const page = await send('/page');
      assert.equal(page.status, 302);
      assert.equal(page.headers['location'], 'http://wiki.example.com/_vratar/login?rd=x');
      assert.deepEqual(page.headers['set-cookie'], ['vratar=; Max-Age=0; Path=/']);
      const form = await send('/form', { method: 'POST', body: 'a=1' });
      assert.equal(form.status, 303);
      assert.equal(form.headers['location'], '/_vratar/login?rd=x');
      const script = await send('/script');
      assert.equal(script.status, 401);
      assert.match(String(script.headers['content-type']), /^application\/json/);
      assert.equal(script.headers['www-authenticate'], 'Negotiate');
      assert.equal(script.body, '{"error":"SIGN_IN_REQUIRED"}');
      const denied = await send('/denied');
      assert.equal(denied.status, 403);
      assert.equal(denied.body, '{"error":"ACCESS_DENIED"}');
      const outage = await send('/outage');
      assert.equal(outage.status, 503);
      assert.equal(outage.headers['retry-after'], '17');
      assert.equal(received.length, 0);
    });

    test('what the application itself answers passes untouched', async () => {
      for (const status of [401, 403, 404, 500, 502, 503]) {
        const answer = await send(`/allowed?status=${status}`);
        assert.equal(answer.status, status);
        assert.equal(answer.body, 'application');
      }
    });

    test('a renewed session cookie reaches the browser beside the cookies of the application', async () => {
      const sorted = (answer: Answer): readonly string[] =>
        [answer.headers['set-cookie'] ?? []].flat().toSorted();
      assert.deepEqual(sorted(await send('/renewed')), ['app=1; Path=/', 'vratar=new; Path=/; HttpOnly']);
      assert.deepEqual(sorted(await send('/allowed')), ['app=1; Path=/']);
    });

    for (const [what, body] of [
      ['a body of known length', 'x'.repeat(300_000)],
      ['a chunked body', ['x'.repeat(100_000), 'y'.repeat(100_000)]],
    ] as const) {
      test(`${what} goes to the application and not to the gateway`, async () => {
        assert.equal((await send('/allowed', { method: 'POST', body })).status, 200);
        assert.equal(only(received).body, typeof body === 'string' ? body : body.join(''));
        assert.equal(only(asked).body, '');
        assert.equal(only(asked).headers['content-length'] ?? '0', '0');
        assert.equal(only(asked).headers['transfer-encoding'], undefined);
      });
    }

    test('the sign-in page is reached without asking, with all its cookies', async () => {
      const answer = await send('/_vratar/login', { method: 'POST', body: 'username=a' });
      assert.equal(answer.body, 'portal');
      assert.deepEqual(answer.headers['set-cookie'], ['vratar=a; Path=/', 'vratar-csrf=b; Path=/']);
      assert.equal(only(asked).url, '/_vratar/login');
      assert.equal(only(asked).body, 'username=a');
    });

    test('a WebSocket passes with the identity of the person', async () => {
      const outgoing = request({
        port: proxy.port,
        host: '127.0.0.1',
        path: '/allowed',
        headers: {
          Connection: 'Upgrade',
          Upgrade: 'websocket',
          'Sec-WebSocket-Version': '13',
          'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
          'Remote-User': 'mallory',
        },
        agent: false,
      }).end();
      const [response, socket] = (await once(outgoing, 'upgrade', {
        signal: AbortSignal.timeout(5_000),
      })) as [IncomingMessage, Socket];
      socket.destroy();
      assert.equal(response.statusCode, 101);
      assert.deepEqual(upgraded, ['alice']);
    });
  });
}
