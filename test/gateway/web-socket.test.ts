import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import { type AddressInfo, connect, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { WebSocket } from 'ws';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { startTcpShim } from '#test/servers/tcp-shim.ts';
import { valuesOf } from '#test/servers/upstream.ts';
import { startWebSocketUpstream, type WebSocketUpstream } from '#test/servers/web-socket-upstream.ts';
import { ManualClock } from '#test/support/clock.ts';
import type { Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';
import { appHost, signedIn, siteConfig } from './site.ts';

const ownOrigin = 'http://app.example.test';

let upstream: WebSocketUpstream;
let gateway: TestGateway;
let alice: Visitor;

function site(url: string, proxy: object = {}): Record<string, unknown> {
  const config = siteConfig(url);
  const [app, ...others] = config.applications;
  return { ...config, applications: [{ ...app, proxy }, ...others] };
}

before(async () => {
  upstream = await startWebSocketUpstream();
  gateway = await startGateway({
    config: site(upstream.url, { webSocketOrigins: ['https://other.example.test'] }),
  });
  alice = await signedIn(gateway, 'alice');
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

interface Opening {
  readonly visitor?: Visitor | undefined;
  readonly path?: string;
  readonly origin?: string | undefined;
  readonly headers?: Readonly<Record<string, string>>;
  readonly port?: number;
}

function open({
  visitor,
  path = '/ws',
  origin = ownOrigin,
  headers = {},
  port = gateway.port,
}: Opening): WebSocket {
  const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, {
    headers: {
      Host: appHost[1],
      ...(visitor === undefined ? {} : { Cookie: visitor.cookieHeader }),
      ...headers,
    },
    ...(origin === undefined ? {} : { origin }),
  });
  socket.on('error', () => undefined);
  return socket;
}

async function opened(opening: Opening): Promise<WebSocket> {
  const socket = open(opening);
  await once(socket, 'open');
  return socket;
}

async function echoOf(socket: WebSocket, message: string | Buffer): Promise<string> {
  const answer = once(socket, 'message');
  socket.send(message);
  return String((await answer)[0]);
}

/** The status a WebSocket is refused with. */
async function refusal(opening: Opening): Promise<number> {
  const socket = open(opening);
  return await new Promise((resolve, reject) => {
    socket.once('open', () => reject(new Error('it was opened')));
    socket.once('unexpected-response', (_request, response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
  });
}

describe('a WebSocket of a person who may', () => {
  test('is opened with their identity, and carries messages of every size both ways', async () => {
    const socket = await opened({
      visitor: alice,
      headers: { 'Remote-User': 'root1', Remote_User: 'root1', 'X-Custom': 'stays' },
    });
    for (const size of [0, 1, 125, 126, 65_535, 65_536, 1_000_000]) {
      assert.equal((await echoOf(socket, 'a'.repeat(size))).length, size);
    }
    const { rawHeaders } = upstream.handshakes.at(-1) as { rawHeaders: string[] };
    assert.deepEqual(valuesOf(rawHeaders, 'remote-user'), ['alice']);
    assert.deepEqual(valuesOf(rawHeaders, 'x-custom'), ['stays']);
    assert.deepEqual(valuesOf(rawHeaders, 'host'), [appHost[1]]);
    assert.equal(valuesOf(rawHeaders, 'cookie').join().includes('vratar'), false);
    assert.match(await gateway.metrics(), /^vratar_web_sockets_open\{application="app"\} 1$/m);
    socket.close(4_001);
    await until(() => upstream.sockets.size === 0);
    await until(async () =>
      /^vratar_web_sockets_open\{application="app"\} 0$/m.test(await gateway.metrics()),
    );
  });

  test('may be opened by a page of an origin that is listed', async () => {
    (await opened({ visitor: alice, origin: 'https://other.example.test' })).terminate();
  });

  test('passes on the close code of either side', async () => {
    const ending = await opened({ visitor: alice });
    await until(() => upstream.sockets.size === 1);
    const ended = once(ending, 'close');
    for (const socket of upstream.sockets) socket.close(4_002, 'enough');
    assert.deepEqual((await ended).map(String), ['4002', 'enough']);
  });

  test('holds back a sender whose receiver does not read', async () => {
    const socket = await opened({ visitor: alice });
    await until(() => upstream.sockets.size === 1);
    const [server] = upstream.sockets;
    socket.pause();
    const chunk = Buffer.alloc(1_000_000);
    for (let i = 0; i < 64; i++) server?.send(chunk);
    await sleep(300);
    assert.ok((server?.bufferedAmount ?? 0) > 20_000_000, 'the gateway does not take it all');
    let received = 0;
    socket.on('message', () => received++);
    socket.resume();
    await until(() => received === 64, { timeoutMs: 20_000 });
    socket.terminate();
  });
});

describe('a WebSocket is refused', () => {
  const cases: readonly (readonly [what: string, opening: () => Opening, status: number])[] = [
    ['to nobody in particular', () => ({}), 401],
    [
      'to a page of another site, although the visitor is signed in',
      () => ({ visitor: alice, origin: 'https://evil.test' }),
      403,
    ],
    ['to a page without an origin', () => ({ visitor: alice, origin: 'null' }), 403],
    ['where a rule denies it', () => ({ visitor: alice, path: '/admin/ws' }), 403],
  ];
  for (const [what, opening, status] of cases) {
    test(`${what}: ${status}`, async () => {
      const before = upstream.handshakes.length;
      assert.equal(await refusal(opening()), status);
      assert.equal(upstream.handshakes.length, before);
    });
  }
});

describe('a WebSocket that is open', () => {
  test('ends with 1008 within five seconds of a sign-out, on both sides', async () => {
    const bob = await signedIn(gateway, 'root1');
    const socket = await opened({ visitor: bob });
    await echoOf(socket, 'still here');
    const ended = once(socket, 'close');
    const startedAt = performance.now();
    await bob.submit('/_vratar/logout', { csrf: bob.cookies.get('vratar-csrf') as string });
    assert.equal((await ended)[0], 1_008);
    assert.ok(performance.now() - startedAt < 5_000);
    await until(() => upstream.sockets.size === 0);
  });

  test('ends in the middle of a message that never ends', async () => {
    const bob = await signedIn(gateway, 'root1');
    const socket = await opened({ visitor: bob });
    await until(() => upstream.sockets.size === 1);
    const [server] = upstream.sockets;
    // The head of a frame of a megabyte, and a little of it.
    (server as unknown as { _socket: Socket })._socket.write(
      Buffer.from([0x82, 127, 0, 0, 0, 0, 0, 16, 0, 0, 1, 2, 3]),
    );
    const ended = once(socket, 'close');
    await bob.submit('/_vratar/logout', { csrf: bob.cookies.get('vratar-csrf') as string });
    await ended;
    await until(() => upstream.sockets.size === 0);
  });

  test('ends when its session has reached its absolute end', async () => {
    const clock = new ManualClock();
    await using timed = await startGateway({ config: site(upstream.url), clock });
    const visitor = await signedIn(timed, 'alice');
    const socket = await opened({ visitor, port: timed.port });
    const ended = once(socket, 'close');
    clock.advance(12 * 3_600_000 + 1_000);
    assert.equal((await ended)[0], 1_008);
  });

  test('does not keep the session of somebody alive who only listens', async () => {
    const clock = new ManualClock();
    await using timed = await startGateway({ config: site(upstream.url), clock });
    const visitor = await signedIn(timed, 'alice');
    const socket = await opened({ visitor, port: timed.port });
    for (let minutes = 0; minutes < 50; minutes += 10) {
      clock.advance(600_000);
      await sleep(10);
    }
    assert.equal(socket.readyState, WebSocket.OPEN);
    const ended = once(socket, 'close');
    clock.advance(11 * 60_000);
    assert.equal((await ended)[0], 1_008);
  });

  test('is given up when its client is silent, and the server learns of it', async () => {
    const clock = new ManualClock();
    await using timed = await startGateway({ config: site(upstream.url), clock });
    await using shim = await startTcpShim(timed.port);
    const visitor = await signedIn(timed, 'alice');
    const before = upstream.sockets.size;
    await opened({ visitor, port: shim.port });
    await until(() => upstream.sockets.size === before + 1);
    shim.isSilent = true;
    clock.advance(46_000);
    await sleep(2_500);
    clock.advance(51_000);
    await until(() => upstream.sockets.size === before, { timeoutMs: 15_000 });
  });

  test('is asked for a sign of life, and lives on', async () => {
    const clock = new ManualClock();
    await using timed = await startGateway({ config: site(upstream.url), clock });
    const visitor = await signedIn(timed, 'alice');
    const socket = await opened({ visitor, port: timed.port });
    const pinged = once(socket, 'ping');
    clock.advance(46_000);
    await pinged;
    await sleep(2_500);
    clock.advance(60_000);
    await sleep(2_500);
    assert.equal(socket.readyState, WebSocket.OPEN);
    socket.terminate();
  });
});

describe('an upgrade that is none', () => {
  const send = async (port: number, text: string, answers: number): Promise<string> =>
    await new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      let received = '';
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        received += chunk;
        if (received.split('HTTP/1.1 ').length > answers) socket.end();
      });
      socket.once('close', () => resolve(received));
      socket.once('error', reject);
      socket.write(text);
    });
  const statuses = (text: string): readonly number[] =>
    [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => Number(status));
  const handshake = (version: string): string =>
    `GET /ws HTTP/1.1\r\nHost: ${appHost[1]}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nOrigin: ${ownOrigin}\r\n` +
    `Sec-WebSocket-Version: ${version}\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nCookie: ${alice.cookieHeader}\r\n\r\n`;

  async function answering(
    behaviour: (socket: Socket) => void,
  ): Promise<{ url: string; requests: string[] } & AsyncDisposable> {
    const requests: string[] = [];
    const server: Server = createServer((request, response) => {
      requests.push(request.url as string);
      response.end('plain');
    });
    server.on('upgrade', (request, socket) => {
      requests.push(request.url as string);
      socket.on('error', () => socket.destroy());
      socket.on('end', () => socket.destroy()).resume();
      behaviour(socket as Socket);
    });
    await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
    return {
      url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      requests,
      [Symbol.asyncDispose]: async () => {
        server.closeAllConnections();
        await new Promise<void>((resolve) => server.close(() => resolve()));
      },
    };
  }

  test('because the application refuses: what follows on the connection is judged like any request', async () => {
    await using refusing = await answering((socket) =>
      socket.end('HTTP/1.1 400 Bad Request\r\nContent-Length: 2\r\nConnection: keep-alive\r\n\r\nno'),
    );
    await using other = await startGateway({ config: site(refusing.url) });
    const visitor = await signedIn(other, 'alice');
    const socket = connect(other.port, '127.0.0.1');
    let received = '';
    socket.setEncoding('latin1').on('data', (chunk: string) => (received += chunk));
    socket.write(handshake('13').replace(alice.cookieHeader, visitor.cookieHeader));
    await until(() => statuses(received).length === 1);
    socket.write(`GET /admin/x HTTP/1.1\r\nHost: ${appHost[1]}\r\nCookie: ${visitor.cookieHeader}\r\n\r\n`);
    await until(() => statuses(received).length === 2);
    assert.deepEqual(statuses(received), [400, 403]);
    assert.deepEqual(refusing.requests, ['/ws']);
    socket.destroy();
  });

  test('because versions differ: the answer of the application passes, nothing is opened', async () => {
    assert.deepEqual(statuses(await send(gateway.port, handshake('777'), 1)), [400]);
  });

  test('because the application accepts another one: 502', async () => {
    await using lying = await answering((socket) =>
      socket.write(
        'HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: bm9uc2Vuc2U=\r\n\r\n',
      ),
    );
    await using other = await startGateway({ config: site(lying.url) });
    const visitor = await signedIn(other, 'alice');
    const text = handshake('13').replace(alice.cookieHeader, visitor.cookieHeader);
    assert.deepEqual(statuses(await send(other.port, text, 1)), [502]);
  });

  for (const protocol of ['h2c', 'foo']) {
    test(`because nobody speaks ${protocol} here: it is an ordinary request`, async () => {
      await using plain = await answering(() => undefined);
      await using other = await startGateway({ config: site(plain.url) });
      const text = `GET /public/x HTTP/1.1\r\nHost: ${appHost[1]}\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: ${protocol}\r\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\r\n\r\n`;
      assert.deepEqual(statuses(await send(other.port, text, 1)), [200]);
      assert.deepEqual(plain.requests, ['/public/x']);
    });
  }

  test('because it came before the answer to the request ahead of it', async () => {
    const text = `GET /_vratar/login HTTP/1.1\r\nHost: ${appHost[1]}\r\n\r\n${handshake('13')}`;
    const before = upstream.handshakes.length;
    assert.ok(!statuses(await send(gateway.port, text, 2)).includes(101));
    assert.equal(upstream.handshakes.length, before);
  });

  test('because the client is gone before it is decided: nothing is left open', async () => {
    for (let i = 0; i < 50; i++) {
      const socket = connect(gateway.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.write(handshake('13'));
      await once(socket, 'connect');
      socket.resetAndDestroy();
    }
    await until(() => upstream.sockets.size === 0);
    assert.equal((await alice.ask('/_vratar/userinfo')).status, 200);
  });
});
