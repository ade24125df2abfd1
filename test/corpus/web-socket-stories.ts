/** Rows about WebSockets (class `websocket`, and the one of the encoding of identities in an upgrade). */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { startGateway } from '#test/servers/gateway.ts';
import { startTcpShim } from '#test/servers/tcp-shim.ts';
import { valuesOf } from '#test/servers/upstream.ts';
import { startWebSocketUpstream, type WebSocketUpstream } from '#test/servers/web-socket-upstream.ts';
import { ManualClock } from '#test/support/clock.ts';
import { until } from '#test/support/until.ts';
import { type AttackRow, expandRepeats } from './attack-rows.ts';
import { addPerson, dnOf } from './encode-rows.ts';
import { passwordOf, rightPassword } from './people.ts';
import { type Rig, Site, sessionCookieName } from './rig.ts';
import { signOut } from './session-stories.ts';
import type { Story } from './sign-in-stories.ts';
import { hosts, siteConfig } from './site.ts';
import { converse } from './wire-client.ts';

interface Place extends AsyncDisposable {
  readonly site: Site;
  readonly upstream: WebSocketUpstream;
  readonly clock: ManualClock;
}

/** A gateway of its own, in front of an application that speaks WebSocket. */
async function place(rig: Rig): Promise<Place> {
  const { slapd } = await rig.servers();
  const upstream = await startWebSocketUpstream();
  const clock = new ManualClock();
  const config = await siteConfig({ upstream: upstream.url, directories: [slapd.url] }, {});
  const gateway = await startGateway({ config, clock });
  return {
    site: new Site(gateway, {}),
    upstream,
    clock,
    [Symbol.asyncDispose]: async () => {
      await gateway[Symbol.asyncDispose]();
      await upstream[Symbol.asyncDispose]();
    },
  };
}

type Field = readonly [name: string, value: string];

/** Fields that the client of the package writes itself. */
const ofTheHandshake = new Set(['upgrade', 'sec-websocket-version', 'sec-websocket-key', 'host']);

function open(port: number, target: string, ticket: string | undefined, fields: readonly Field[]): WebSocket {
  const own = fields.filter(([name]) => !ofTheHandshake.has(name.toLowerCase()));
  // Several fields of one name are one list.
  const headers: Record<string, string[]> = { Host: [hosts.app], Connection: [] };
  for (const [name, value] of own) (headers[name] ??= []).push(value);
  if (ticket !== undefined) headers['Cookie'] = [`${sessionCookieName}=${ticket}`];
  const flat = Object.entries(headers).map(([name, values]) => [name, values.join(', ')]);
  const socket = new WebSocket(`ws://127.0.0.1:${port}${target}`, {
    headers: Object.fromEntries(flat) as Record<string, string>,
  });
  socket.on('error', () => undefined);
  return socket;
}

async function statusOf(socket: WebSocket): Promise<number> {
  return await new Promise((resolve) => {
    socket.once('open', () => resolve(101));
    socket.once('unexpected-response', (_request, response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
  });
}

const handshake = (target: string, ticket: string, version = '13', more = ''): string =>
  `GET ${target} HTTP/1.1\r\nHost: ${hosts.app}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n` +
  `Origin: https://${hosts.app}\r\nSec-WebSocket-Version: ${version}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n` +
  `Cookie: ${sessionCookieName}=${ticket}\r\n${more}\r\n`;

async function aliceIn(site: Site): Promise<string> {
  return await site.signIn('alice', passwordOf('alice'));
}

async function aliceOpens({ site }: Place, ticket: string, port = site.gateway.port): Promise<WebSocket> {
  const socket = open(port, '/ws', ticket, [['Origin', `https://${hosts.app}`]]);
  await once(socket, 'open');
  return socket;
}

/** A row that is one handshake. */
const oneHandshake: Story = async (row, rig) => {
  await using there = await place(rig);
  const { site, upstream } = there;
  const { session, target = '/ws', headers = [] } = row.input;
  const ticket = session === undefined ? undefined : await site.ticketOf(session);
  const socket = open(site.gateway.port, target, ticket, headers);
  assert.equal(await statusOf(socket), row.expect['status']);
  expectReceived(row, upstream);
  socket.terminate();
};

function expectReceived({ expect }: AttackRow, upstream: WebSocketUpstream): void {
  if (expect['upstream_requests'] !== undefined) {
    assert.equal(upstream.handshakes.length, expect['upstream_requests']);
  }
  const has = expect['upstream_has'] as Readonly<Record<string, readonly string[] | null>> | undefined;
  const [received] = upstream.handshakes;
  for (const [name, values] of Object.entries(has ?? {})) {
    assert.deepEqual(valuesOf(received?.rawHeaders ?? [], name), values ?? []);
  }
}

export const webSocketStories: Readonly<Record<string, Story>> = {
  'WS-001': oneHandshake,
  'WS-002': oneHandshake,
  'WS-003': oneHandshake,
  'WS-004': oneHandshake,
  'WS-005': oneHandshake,
  // The package's client would normalise the path.
  'WS-006': async (row, rig) => {
    await using there = await place(rig);
    const { site, upstream } = there;
    const bytes = handshake(row.input.target as string, await aliceIn(site));
    const { answers } = await converse({ port: site.gateway.port, bytes: Buffer.from(bytes) });
    assert.equal(answers[0]?.status, row.expect['status']);
    expectReceived(row, upstream);
  },

  'WS-009': async (row, rig) => {
    await using there = await place(rig);
    const { site, upstream } = there;
    const ticket = await aliceIn(site);
    const socket = connect(site.gateway.port, '127.0.0.1');
    let text = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (text += chunk));
    const statuses = (): number[] =>
      [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
    // The application of these rows answers 400 to a handshake of a version it does not know.
    socket.write(handshake('/ws', ticket, '12'));
    await until(() => statuses().length === 1);
    socket.write(
      `GET /admin/x HTTP/1.1\r\nHost: ${hosts.app}\r\nCookie: ${sessionCookieName}=${ticket}\r\n\r\n`,
    );
    await until(() => statuses().length === 2);
    socket.destroy();
    assert.deepEqual(statuses(), row.expect['statuses']);
    assert.equal(upstream.handshakes.length, row.expect['upstream_requests_admin']);
  },

  'WS-010': async (row, rig) => {
    await using there = await place(rig);
    const { site, upstream } = there;
    upstream.refuseWith = 426;
    const bytes = Buffer.from(handshake('/ws', await aliceIn(site), '777'));
    const { answers } = await converse({ port: site.gateway.port, bytes });
    assert.equal(answers[0]?.status, row.expect['status']);
    assert.equal(upstream.sockets.size, 0);
  },

  'WS-011': async (row, rig) => {
    await using there = await place(rig);
    const ticket = await aliceIn(there.site);
    const socket = await aliceOpens(there, ticket);
    const startedAt = performance.now();
    const closed = once(socket, 'close');
    await signOut(there.site, ticket);
    assert.equal((await closed)[0], row.expect['close_code']);
    assert.ok(performance.now() - startedAt <= Number(row.expect['ws_closed_within_s']) * 1_000);
    await until(() => there.upstream.sockets.size === 0);
  },

  'WS-012': async (row, rig) => {
    await using there = await place(rig);
    const socket = await aliceOpens(there, await aliceIn(there.site));
    const closed = once(socket, 'close');
    const startedAt = performance.now();
    there.clock.advance(12 * 3_600_000 + 1_000);
    await closed;
    assert.ok(performance.now() - startedAt <= Number(row.expect['ws_closed_within_s']) * 1_000);
  },

  'WS-013': async (row, rig) => {
    await using there = await place(rig);
    const { clock, upstream, site } = there;
    await using shim = await startTcpShim(site.gateway.port);
    const socket = await aliceOpens(there, await aliceIn(site), shim.port);
    shim.isSilent = true;
    // The row's time on the gateway's clock; what is awaited are looks of the gateway at its connections.
    let passedS = 0;
    while (upstream.sockets.size > 0 && passedS < Number(row.expect['upstream_ws_closed_within_s'])) {
      clock.advance(50_000);
      passedS += 50;
      await sleep(2_100);
    }
    assert.equal(upstream.sockets.size, 0);
    socket.terminate();
  },

  'WS-014': async (row, rig) => {
    await using there = await place(rig);
    const { site } = there;
    const ticket = await aliceIn(site);
    const fields = expandRepeats('${seq:A$i: 1\r\n:1500}');
    const { answers } = await converse({
      port: site.gateway.port,
      bytes: Buffer.from(handshake('/ws', ticket, '13', fields)),
    });
    assert.equal(answers[0]?.status, row.expect['status']);
    (await aliceOpens(there, ticket)).terminate();
  },

  'WS-015': async (_row, rig) => {
    await using there = await place(rig);
    const { site, upstream } = there;
    const ticket = await aliceIn(site);
    for (let i = 0; i < 500; i++) {
      const socket = connect(site.gateway.port, '127.0.0.1');
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      socket.write(handshake('/ws', ticket));
      if (i % 2 === 0) await sleep(1);
      socket.resetAndDestroy();
    }
    await until(() => upstream.sockets.size === 0);
    assert.doesNotMatch(site.gateway.logText, /"level":"error"/);
    (await aliceOpens(there, ticket)).terminate();
  },

  'EN-019': async (row, rig) => {
    const { slapd } = await rig.servers();
    await using there = await place(rig);
    try {
      const username = await addPerson(slapd, row);
      const ticket = await there.site.signIn(username, rightPassword);
      const port = there.site.gateway.port;
      const socket = open(port, '/ws', ticket, [['Origin', `https://${hosts.app}`]]);
      assert.equal(await statusOf(socket), row.expect['status']);
      socket.terminate();
      const expected = row.expect['header_bytes'] as Readonly<Record<string, string>>;
      const [received] = there.upstream.handshakes;
      for (const [name, value] of Object.entries(expected)) {
        assert.deepEqual(valuesOf(received?.rawHeaders ?? [], name), [value]);
      }
    } finally {
      await slapd.modify(`dn: ${dnOf(row)}\nchangetype: delete\n`);
    }
  },
};
