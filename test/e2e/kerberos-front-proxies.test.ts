/** Single sign-on through every front proxy that the snippets serve, with tickets of a real realm. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { acceptsOf, hosts, kerberosConfig, services } from '#test/gateway/kerberos-site.ts';
import { base64, ntlmMessage } from '#test/providers/kerberos/built-tokens.ts';
import { startApache } from '#test/servers/apache.ts';
import { startCaddy } from '#test/servers/caddy.ts';
import type { FrontProxy, ProtectedSite } from '#test/servers/front-proxy.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { startHaproxy } from '#test/servers/haproxy.ts';
import { type Kdc, startKdc } from '#test/servers/kdc.ts';
import { startProtectingNginx } from '#test/servers/nginx.ts';
import { startEnvoyReplay, startTraefikReplay } from '#test/servers/replayed-front-proxies.ts';
import { startEnvoyGrpcReplay } from '#test/servers/replayed-grpc-authorization.ts';
import { type Received, startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { type Answer, ask, Visitor } from '#test/support/http-client.ts';

interface Row {
  readonly name: string;
  readonly start: (site: ProtectedSite & { readonly authorization: string }) => Promise<FrontProxy>;
  /** Hands the page of a refusal on. nginx hands no body on; its own file shows the form (kerberos.test.ts). */
  readonly showsPage: boolean;
  /** Hands the last token of a negotiation on. nginx does with a file of its own, Traefik hands on nothing but cookies. */
  readonly handsReplyOn: boolean;
  /** Traefik's file names the cookie as it is called over https; the script in Envoy's file is not run by the replay. */
  readonly relaysSession?: false;
  readonly hidesTicket?: false;
}

const rows: readonly Row[] = [
  { name: 'nginx', start: startProtectingNginx, showsPage: false, handsReplyOn: false },
  { name: 'Caddy', start: startCaddy, showsPage: true, handsReplyOn: true },
  { name: 'HAProxy', start: startHaproxy, showsPage: true, handsReplyOn: true },
  { name: 'Apache', start: startApache, showsPage: true, handsReplyOn: true },
  {
    name: 'Traefik (replayed)',
    start: startTraefikReplay,
    showsPage: true,
    handsReplyOn: false,
    relaysSession: false,
  },
  {
    name: 'Envoy (replayed)',
    start: startEnvoyReplay,
    showsPage: true,
    handsReplyOn: true,
    hidesTicket: false,
  },
  { name: 'Envoy over gRPC (replayed)', start: startEnvoyGrpcReplay, showsPage: true, handsReplyOn: true },
];

const navigation = [
  ['Sec-Fetch-Mode', 'navigate'],
  ['Accept', 'text/html'],
] as const;
const program = [['Accept', '*/*']] as const;
const ntlm = ['Authorization', `Negotiate ${base64(ntlmMessage)}`] as const;

let kdc: Kdc;
let gateway: TestGateway;
let application: TestUpstream;
const fronts = new Map<string, FrontProxy>();
const resources = new AsyncDisposableStack();

before(async () => {
  kdc = resources.use(await startKdc({ services }));
  application = resources.use(await startUpstream());
  const config = kerberosConfig(kdc);
  const applications = config['applications'] as readonly Record<string, unknown>[];
  gateway = resources.use(
    await startGateway({
      config: {
        ...config,
        server: { ...config.server, grpc: { listen: '127.0.0.1:0' } },
        applications: applications.map(({ upstream: _none, ...rest }) => rest),
      },
    }),
  );
  const line = gateway.logs.find(({ event }) => event === 'grpc.listening');
  if (line === undefined) throw new Error('the gateway does not listen for gRPC');
  const { port: grpcPort } = line['address'] as { readonly port: number };
  for (const { name, start } of rows) {
    const front = await start({
      gateway: `127.0.0.1:${gateway.port}`,
      authorization: `127.0.0.1:${grpcPort}`,
      application: `127.0.0.1:${application.port}`,
    });
    fronts.set(name, resources.use(front));
  }
});
after(async () => await resources.disposeAsync());

async function ticketFor(host: string): Promise<readonly [string, string]> {
  return ['Authorization', `Negotiate ${await kdc.token('alice', `HTTP/${host}`)}`];
}

function receivedIn(answer: Answer): readonly string[] {
  assert.equal(answer.status, 200, answer.body);
  return (JSON.parse(answer.body) as Received).headers;
}

for (const { name, showsPage, handsReplyOn, relaysSession = true, hidesTicket = true } of rows) {
  describe(`behind ${name}`, () => {
    const visitor = (host: string, headers: readonly (readonly [string, string])[] = navigation) =>
      new Visitor((fronts.get(name) as FrontProxy).port, [['Host', host], ...headers]);

    test('a person is led to where their ticket is asked for, and back', async () => {
      const person = visitor(hosts.plain);
      const before = await acceptsOf(gateway);
      const asked = await person.ask('/spaces?page=2');
      assert.equal(asked.status, 302);
      const page = await person.ask(pathOf(asked));
      assert.equal(page.status, 302);
      assert.match(page.headers.location as string, /\/_vratar\/negotiate\?rd=/);
      const challenge = await person.ask(pathOf(page));
      assert.equal(challenge.status, 401);
      assert.deepEqual(challenge.values('www-authenticate'), ['Negotiate']);
      assert.match(challenge.body, /id="username"/);
      const signedIn = await person.ask(pathOf(page), { headers: [await ticketFor(hosts.plain)] });
      assert.equal(signedIn.status, 303);
      assert.equal(signedIn.headers.location, `http://${hosts.plain}/spaces?page=2`);
      const headers = receivedIn(await person.ask('/spaces?page=2'));
      assert.deepEqual(valuesOf(headers, 'remote-user'), ['alice']);
      assert.equal((await acceptsOf(gateway)) - before, 1);
    });

    test('a ticket for the application opens a session, and its answer reaches the browser', async () => {
      const person = visitor(hosts.wiki);
      const answer = await person.ask('/x', { headers: [await ticketFor(hosts.wiki)] });
      const headers = receivedIn(answer);
      assert.deepEqual(valuesOf(headers, 'remote-user'), ['alice']);
      if (hidesTicket) assert.deepEqual(valuesOf(headers, 'authorization'), []);
      const replies = answer.values('www-authenticate');
      assert.equal(replies.length, handsReplyOn ? 1 : 0, replies.join());
      for (const reply of replies) assert.match(reply, /^Negotiate [A-Za-z0-9+/=]+$/);
      if (!relaysSession) return;
      const before = await acceptsOf(gateway);
      assert.deepEqual(valuesOf(receivedIn(await person.ask('/y')), 'remote-user'), ['alice']);
      assert.equal(await acceptsOf(gateway), before);
    });

    test('a program is asked for a ticket on the spot, and gets what it asked for', async () => {
      const client = visitor(hosts.api, program);
      const asked = await client.ask('/data');
      assert.equal(asked.status, 401);
      assert.deepEqual(asked.values('www-authenticate'), ['Negotiate']);
      const headers = receivedIn(await client.ask('/data', { headers: [await ticketFor(hosts.api)] }));
      assert.deepEqual(valuesOf(headers, 'remote-user'), ['alice']);
      assert.deepEqual([...client.cookies.keys()], []);
    });

    test('a machine with NTLM is not asked a second time', async () => {
      const person = visitor(hosts.api);
      const answer = await person.ask('/x', { headers: [ntlm] });
      assert.deepEqual(answer.values('www-authenticate'), []);
      assert.equal(answer.status, showsPage ? 401 : 302);
      assert.equal(/id="username"/.test(answer.body), showsPage);
      assert.ok(person.cookies.has('vratar-nosso'), [...person.cookies.keys()].join());
      if (showsPage) assert.ok(person.cookies.has('vratar-csrf'));
      const again = await person.ask('/x');
      assert.equal(again.status, 302);
      assert.deepEqual(again.values('www-authenticate'), []);
    });

    test('a head with a ticket as long as Windows makes them reaches the gateway', async () => {
      const before = gateway.logs.length;
      const answer = await ask({
        port: (fronts.get(name) as FrontProxy).port,
        path: '/x',
        headers: [['Host', hosts.api], ...program, ['Authorization', `Negotiate ${'A'.repeat(87_380)}`]],
      });
      assert.equal(answer.status, 401);
      const refused = gateway.logs.slice(before).filter(({ event }) => event === 'sign-in.refused');
      assert.deepEqual(
        refused.map(({ reason }) => reason),
        ['token-malformed'],
      );
    });
  });
}

function pathOf(answer: Answer): string {
  const { pathname, search } = new URL(answer.headers.location as string, `http://${hosts.plain}`);
  return pathname + search;
}
