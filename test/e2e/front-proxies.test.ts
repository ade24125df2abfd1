/** One journey through every front proxy that the snippets serve, with the composed gateway, a directory and an application. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { startApache } from '#test/servers/apache.ts';
import { startCaddy } from '#test/servers/caddy.ts';
import type { FrontProxy, ProtectedSite } from '#test/servers/front-proxy.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { startHaproxy } from '#test/servers/haproxy.ts';
import { startProtectingNginx } from '#test/servers/nginx.ts';
import { startEnvoyReplay, startTraefikReplay } from '#test/servers/replayed-front-proxies.ts';
import { startEnvoyGrpcReplay } from '#test/servers/replayed-grpc-authorization.ts';
import { type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { startTcpShim, type TcpShim } from '#test/servers/tcp-shim.ts';
import { type Received, startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { type Answer, ask, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';
import { corporateConfig } from './corporate-site.ts';

interface Row {
  readonly name: string;
  readonly start: (site: ProtectedSite & { readonly authorization: string }) => Promise<FrontProxy>;
  /** Status when the gateway is away. */
  readonly outage: number;
  /** Traefik cannot take one cookie out of a header; the script in Envoy's file is not run by the replay. */
  readonly hidesTicket: boolean;
}

const rows: readonly Row[] = [
  { name: 'nginx', start: startProtectingNginx, outage: 503, hidesTicket: true },
  { name: 'Caddy', start: startCaddy, outage: 503, hidesTicket: true },
  { name: 'HAProxy', start: startHaproxy, outage: 503, hidesTicket: true },
  { name: 'Apache', start: startApache, outage: 503, hidesTicket: true },
  { name: 'Traefik (replayed)', start: startTraefikReplay, outage: 500, hidesTicket: false },
  { name: 'Envoy (replayed)', start: startEnvoyReplay, outage: 503, hidesTicket: false },
  { name: 'Envoy over gRPC (replayed)', start: startEnvoyGrpcReplay, outage: 503, hidesTicket: true },
];

const host = ['Host', 'wiki.example.test'] as const;
const navigation = [
  ['Sec-Fetch-Mode', 'navigate'],
  ['Accept', 'text/html'],
] as const;
const script = [
  ['Sec-Fetch-Mode', 'cors'],
  ['Accept', '*/*'],
] as const;

const forged: readonly (readonly [string, string])[] = [
  'Remote-User',
  'REMOTE-USER',
  'Remote-Groups',
  'Remote-Name',
  'Remote-Email',
  'Remote-Roles',
  'Remote-Groups-Overflow',
  'X-Vratar-Assertion',
  'Remote_User',
  'remote_groups',
  'Remote.User',
  'X_Vratar_Assertion',
  'X-Original-URL',
  'X-Original-URI',
  'X-Rewrite-URL',
  'X-Forwarded-Uri',
  'X-Forwarded-Method',
  'X-HTTP-Method-Override',
  'Forwarded',
].map((name) => [name, 'forged'] as const);

interface Front {
  readonly proxy: FrontProxy;
  /** Between the front proxy and the gateway: its pages, and where it answers gRPC. */
  readonly wires: readonly TcpShim[];
}

let slapd: Slapd;
let gateway: TestGateway;
let application: TestUpstream;
const fronts = new Map<string, Front>();
/** Fronts whose wire to the gateway is gone. */
const cut = new Set<string>();

before(async () => {
  slapd = await startSlapd();
  const { directories, ...config } = corporateConfig([slapd.url], { session: { refreshInterval: '1s' } });
  gateway = await startGateway({
    config: {
      ...config,
      server: { grpc: { listen: '127.0.0.1:0' } },
      directories: directories.map((directory) => ({ ...directory, cache: { ttl: '250ms' } })),
    },
  });
  application = await startUpstream();
  for (const { name, start } of rows) {
    const http = await startTcpShim(gateway.port);
    const grpc = await startTcpShim(grpcPort());
    const proxy = await start({
      gateway: `127.0.0.1:${http.port}`,
      authorization: `127.0.0.1:${grpc.port}`,
      application: `127.0.0.1:${application.port}`,
    });
    fronts.set(name, { proxy, wires: [http, grpc] });
  }
});
after(async () => {
  for (const [name, { proxy, wires }] of fronts) {
    await proxy[Symbol.asyncDispose]();
    if (!cut.has(name)) for (const wire of wires) await wire[Symbol.asyncDispose]();
  }
  await application[Symbol.asyncDispose]();
  await gateway[Symbol.asyncDispose]();
  await slapd[Symbol.asyncDispose]();
});

function grpcPort(): number {
  const line = gateway.logs.find(({ event }) => event === 'grpc.listening');
  if (line === undefined) throw new Error('the gateway does not listen for gRPC');
  return (line['address'] as { readonly port: number }).port;
}

function front(name: string): Front {
  return fronts.get(name) as Front;
}

async function signedIn(name: string, account: string): Promise<Visitor> {
  const visitor = new Visitor(front(name).proxy.port, [host]);
  const answer = await visitor.signIn(account, `${account}-password`);
  assert.equal(answer.status, 303, 'the sign-in');
  return visitor;
}

/** What the application received for an answer it gave. */
function receivedIn(answer: Answer): Received {
  assert.equal(answer.status, 200, answer.body);
  return JSON.parse(answer.body) as Received;
}

async function untouched(run: () => Promise<void>): Promise<void> {
  const before = application.started;
  await run();
  assert.equal(application.started, before, 'requests the application got');
}

for (const { name, hidesTicket } of rows) {
  describe(`behind ${name}`, () => {
    test('a person is led to the sign-in page and back to the page asked for', async () => {
      const page = '/spaces/%7Eengineering;v=1?page=2&q=%D1%8F%2F';
      const visitor = new Visitor(front(name).proxy.port, [host]);
      await untouched(async () => {
        const asked = await visitor.ask(page, { headers: navigation });
        assert.equal(asked.status, 302);
        const signIn = new URL(asked.headers.location as string, 'http://wiki.example.test');
        assert.equal(signIn.pathname, '/_vratar/login');
        const returnTo = signIn.searchParams.get('rd') as string;
        assert.equal(returnTo, `http://wiki.example.test${page}`);

        const accepted = await visitor.signIn('ivan', 'пароль-Ивана', { rd: returnTo });
        assert.equal(accepted.status, 303);
        assert.equal(accepted.headers.location, returnTo);
      });
      assert.deepEqual([...visitor.cookies.keys()].sort(), ['vratar', 'vratar-csrf']);

      const { headers, target, method } = receivedIn(await visitor.ask(page, { headers: navigation }));
      assert.equal(method, 'GET');
      assert.equal(target, page);
      assert.deepEqual(valuesOf(headers, 'remote-user'), ['ivan']);
      const displayName = Buffer.from(valuesOf(headers, 'remote-name').join(), 'latin1').toString('utf8');
      assert.equal(displayName, 'Иван Петров');
      assert.match(valuesOf(headers, 'remote-groups').join(), /everyone/);
      assert.deepEqual(valuesOf(headers, 'host'), ['wiki.example.test']);
      if (hidesTicket) assert.doesNotMatch(valuesOf(headers, 'cookie').join(), /vratar/);
    });

    test('a form sent without a session is not sent again after the sign-in', async () => {
      await untouched(async () => {
        const { port } = front(name).proxy;
        const answer = await ask({
          port,
          method: 'POST',
          path: '/x',
          headers: [host, ...navigation],
          body: 'a=1',
        });
        assert.equal(answer.status, 303);
        assert.match(answer.headers.location as string, /\/_vratar\/login\?rd=/);
      });
    });

    test('a script without a session gets 401 with JSON and no redirect', async () => {
      await untouched(async () => {
        const answer = await ask({
          port: front(name).proxy.port,
          path: '/api/x',
          headers: [host, ...script],
        });
        assert.equal(answer.status, 401);
        assert.match(answer.headers['content-type'] as string, /^application\/json/);
        assert.equal((JSON.parse(answer.body) as { error: string }).error, 'SIGN_IN_REQUIRED');
        assert.equal(answer.headers.location, undefined);
      });
    });

    test('a person who may not gets 403', async () => {
      const visitor = await signedIn(name, 'bob');
      await untouched(async () => {
        assert.equal((await visitor.ask('/admin/x', { headers: navigation })).status, 403);
        assert.equal((await visitor.ask('/admin%2Fx', { headers: script })).status, 403);
        assert.equal((await visitor.ask('/public/../admin/x', { headers: script })).status, 403);
      });
    });

    test('nothing a client claims reaches the application, signed in or anonymous', async () => {
      const visitor = await signedIn(name, 'alice');
      const claims = [
        ...forged,
        ['X-Forwarded-For', '203.0.113.9'],
        ['X-Forwarded-Host', 'evil.example.test'],
      ] as const;
      for (const [path, who] of [
        ['/spaces', ['alice']],
        ['/public/x', ['alice']],
      ] as const) {
        const { headers } = receivedIn(await visitor.ask(path, { headers: claims }));
        assert.deepEqual(valuesOf(headers, 'remote-user'), who);
        assert.doesNotMatch(headers.join('\n'), /forged|203\.0\.113\.9|evil/);
      }
      const { port } = front(name).proxy;
      const anonymous = await ask({ port, path: '/public/x', headers: [host, ...claims] });
      const { headers } = receivedIn(anonymous);
      assert.equal(valuesOf(headers, 'remote-user').join(), '');
      assert.doesNotMatch(headers.join('\n'), /forged|203\.0\.113\.9|evil/);
    });

    test('no client asks the forward-auth endpoint itself', async () => {
      const visitor = await signedIn(name, 'alice');
      await untouched(async () => {
        for (const dialect of ['nginx', 'traefik', 'caddy', 'haproxy', 'envoy/spaces']) {
          const answer = await visitor.ask(`/_vratar/auth/${dialect}`, {
            headers: [
              ['X-Original-URL', 'http://wiki.example.test/spaces'],
              ['X-Original-Method', 'GET'],
            ],
          });
          assert.equal(answer.status, 404, dialect);
        }
      });
    });

    test('a body goes to the application and not to the gateway', async () => {
      const visitor = await signedIn(name, 'alice');
      const sent = (): Buffer => Buffer.concat(front(name).wires.map((wire) => wire.sent));
      const sentBefore = sent().length;
      const body = Buffer.alloc(300_000, 'x');
      const received = receivedIn(await visitor.ask('/upload', { method: 'POST', body }));
      assert.equal(received.method, 'POST');
      assert.equal(received.bodyBytes, body.length);
      const question = sent().subarray(sentBefore).toString('latin1');
      assert.ok(question.length < 5_000, `${question.length} bytes went to the gateway`);
      assert.doesNotMatch(question, /content-length: *[1-9]|transfer-encoding/i);
    });

    test('the cookies of the sign-in reach the browser, each as its own header', async () => {
      const visitor = new Visitor(front(name).proxy.port, [host]);
      const page = await visitor.ask('/_vratar/login?lang=ru', { headers: navigation });
      const names = page.values('set-cookie').map((line) => line.split('=', 1)[0]);
      assert.ok(names.includes('vratar-csrf'), names.join());
      assert.equal(new Set(names).size, names.length);
      assert.ok(names.length >= 2, names.join());
    });
  });
}

/** One person per front proxy, signed in before the outages begin. */
const visitors = new Map<string, Visitor>();

describe('while the directory is down', () => {
  before(async () => {
    for (const { name } of rows) visitors.set(name, await signedIn(name, 'alice'));
    await slapd.kill();
    // Sessions are refreshed once they are a second old; only then the outage is noticed.
    await until(
      async () => {
        for (const visitor of visitors.values()) await visitor.ask('/spaces');
        return (await gateway.report()).directories[0]?.servers[0]?.available === false;
      },
      { timeoutMs: 10_000, what: 'the outage of the directory being noticed' },
    );
  });
  after(async () => await slapd.restart());

  for (const { name } of rows) {
    test(`people behind ${name} stay signed in, and a sign-in is 503`, async () => {
      const visitor = visitors.get(name) as Visitor;
      const { headers } = receivedIn(await visitor.ask('/spaces'));
      assert.deepEqual(valuesOf(headers, 'remote-user'), ['alice']);
      const answer = await new Visitor(front(name).proxy.port, [host]).signIn('alice', 'alice-password');
      assert.equal(answer.status, 503);
      assert.ok(Number(answer.headers['retry-after']) >= 1);
    });
  }
});

describe('while the gateway is away', () => {
  for (const { name, outage } of rows) {
    test(`nothing passes ${name}, which answers ${outage}`, async () => {
      const visitor = visitors.get(name) as Visitor;
      receivedIn(await visitor.ask('/spaces'));
      for (const wire of front(name).wires) await wire[Symbol.asyncDispose]();
      cut.add(name);
      await untouched(async () => {
        for (const [path, headers] of [
          ['/spaces', navigation],
          ['/public/x', script],
        ] as const) {
          const answer = await visitor.ask(path, { headers });
          assert.equal(answer.status, outage);
          if (outage === 503 && !name.includes('replayed'))
            assert.ok(Number(answer.headers['retry-after']) >= 1);
        }
      });
    });
  }
});
