import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer, type RequestListener, type Server } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { type AddressInfo, createServer as createNetServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Authority, createAuthority } from '#test/servers/certificates.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { type Received, startUpstream, valuesOf } from '#test/servers/upstream.ts';
import { freePort } from '#test/support/free-port.ts';
import { type Answer, ask } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const app = ['Host', 'app.example.test'] as const;

async function site(upstream: string | readonly string[], proxy: object = {}): Promise<TestGateway> {
  return await startGateway({
    config: {
      server: { publicUrl: 'http://gw.example.test' },
      providers: [],
      applications: [
        {
          name: 'app',
          hosts: [app[1]],
          upstream,
          proxy,
          rules: [{ access: 'public' }],
        },
      ],
    },
  });
}

async function get(gateway: TestGateway, path = '/', method = 'GET', body?: string): Promise<Answer> {
  return await ask({
    port: gateway.port,
    path,
    method,
    headers: [app],
    ...(body === undefined ? {} : { body }),
  });
}

const eventsOf = (gateway: TestGateway, event: string): number =>
  gateway.logs.filter((line) => line.event === event).length;

async function upstreamCodes(gateway: TestGateway): Promise<ReadonlyMap<string, number>> {
  const lines = (await gateway.metrics()).matchAll(
    /^vratar_upstream_requests_total\{application="app",code="([^"]+)"\} (\d+)$/gm,
  );
  return new Map([...lines].map(([, code, count]) => [code as string, Number(count)]));
}

/** A server of raw bytes: what it does with a connection is the test's. */
async function rawServer(onConnection: (socket: Socket) => void): Promise<{ url: string } & AsyncDisposable> {
  const sockets = new Set<Socket>();
  const server = createNetServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    onConnection(socket);
  });
  await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    [Symbol.asyncDispose]: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

async function listening(server: Server, at: object): Promise<Server & AsyncDisposable> {
  await new Promise<void>((resolve) => server.listen(at, resolve));
  return Object.assign(server, {
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  });
}

describe('an application with several servers', () => {
  test('has its requests spread over them', async () => {
    await using first = await startUpstream();
    await using second = await startUpstream();
    await using gateway = await site([first.url, second.url]);
    for (let i = 0; i < 10; i++) assert.equal((await get(gateway)).status, 200);
    assert.equal(first.received.length, 5);
    assert.equal(second.received.length, 5);
  });

  test('sends nothing more to one that is busy while another one is not', async () => {
    const held = Promise.withResolvers<void>();
    await using slow = await startUpstream((_request, response) => {
      void held.promise.then(() => response.end('late'));
    });
    await using quick = await startUpstream();
    await using gateway = await site([slow.url, quick.url]);
    const waiting = get(gateway);
    await until(() => slow.started === 1 || quick.started === 1);
    const second = quick.started === 1 ? get(gateway) : undefined;
    await until(() => slow.started === 1);
    for (let i = 0; i < 6; i++) assert.equal((await get(gateway)).status, 200);
    assert.equal(slow.started, 1);
    held.resolve();
    await Promise.all([waiting, second]);
  });

  test('goes on without one that is gone, at no cost for requests, and takes it back', async () => {
    const port = await freePort();
    await using other = await startUpstream();
    await using gateway = await site([`http://127.0.0.1:${port}`, other.url]);
    for (let i = 0; i < 12; i++)
      assert.equal((await get(gateway, '/', i % 2 === 0 ? 'GET' : 'POST')).status, 200);
    assert.equal(eventsOf(gateway, 'upstream.unavailable'), 1);
    let asked = 0;
    await using _back = await listening(
      createServer((_request, response) => {
        asked++;
        response.end('back');
      }),
      { host: '127.0.0.1', port },
    );
    await until(() => eventsOf(gateway, 'upstream.available') === 1, { timeoutMs: 15_000 });
    await until(async () => (await get(gateway)).status === 200 && asked > 0);
  });

  test('answers 502 when none of them works, and says so in the log once for each', async () => {
    const ports = [await freePort(), await freePort()];
    await using gateway = await site(ports.map((port) => `http://127.0.0.1:${port}`));
    for (let i = 0; i < 10; i++) {
      const { status, body } = await get(gateway);
      assert.equal(status, 502);
      assert.equal((JSON.parse(body) as { error: string }).error, 'UPSTREAM_UNREACHABLE');
    }
    assert.equal(eventsOf(gateway, 'upstream.unavailable'), 2);
  });

  test('asks one whose answer got lost again only when that changes nothing', async () => {
    // Reads the request and hangs up, as a server does that closes a kept connection in this moment.
    let hungUp = 0;
    await using lost = await rawServer((socket) => {
      socket.once('data', () => {
        hungUp++;
        socket.destroy();
      });
    });
    await using whole = await startUpstream();
    await using gateway = await site([lost.url, whole.url]);
    const statuses: number[] = [];
    for (let i = 0; i < 4; i++) statuses.push((await get(gateway)).status);
    assert.deepEqual(statuses, [200, 200, 200, 200]);
    assert.ok(hungUp > 0);
    const posted: number[] = [];
    for (let i = 0; i < 4; i++) posted.push((await get(gateway, '/', 'POST', 'a=b')).status);
    assert.deepEqual(
      posted.toSorted((a, b) => a - b),
      [200, 200, 502, 502],
    );
  });

  test('keeps away from one whose health path fails, although it takes connections', async () => {
    let isHealthy = true;
    const behaviour: RequestListener = (request, response) => {
      if (request.url === '/healthz' && !isHealthy) response.writeHead(503);
      response.end('first');
    };
    await using first = await startUpstream(behaviour);
    await using second = await startUpstream((_request, response) => void response.end('second'));
    await using gateway = await site([first.url, second.url], {
      health: { path: '/healthz', interval: '500ms', timeout: '500ms' },
    });
    isHealthy = false;
    await until(() => eventsOf(gateway, 'upstream.unavailable') === 1, { timeoutMs: 15_000 });
    for (let i = 0; i < 6; i++) assert.equal((await get(gateway)).body, 'second');
    isHealthy = true;
    await until(() => eventsOf(gateway, 'upstream.available') === 1, { timeoutMs: 15_000 });
  });
});

describe('a server is reached', () => {
  const folder = mkdtempSync(join(tmpdir(), 'vratar-upstream-'));
  let authority: Authority;
  before(async () => {
    authority = await createAuthority();
  });
  after(async () => {
    await authority[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  test('over a unix socket', async () => {
    const path = join(folder, 'app.sock');
    await using _server = await listening(
      createServer((request, response) => void response.end(request.headers.host)),
      { path },
    );
    await using gateway = await site(`unix:${path}`);
    assert.equal((await get(gateway)).body, app[1]);
  });

  test('by its own name, and told the way in the standard field, when it wants that', async () => {
    await using upstream = await startUpstream();
    await using gateway = await site(upstream.url, { hostHeader: 'upstream', forwardedField: true });
    const { headers } = JSON.parse((await get(gateway)).body) as Received;
    assert.deepEqual(valuesOf(headers, 'host'), [`127.0.0.1:${upstream.port}`]);
    assert.deepEqual(valuesOf(headers, 'x-forwarded-host'), [app[1]]);
    assert.deepEqual(valuesOf(headers, 'forwarded'), [`for=127.0.0.1;host="${app[1]}";proto=http`]);
  });

  test('over TLS, verified by its own authority, with our certificate', async () => {
    const server = await authority.issue({ hosts: ['backend.example.test'] });
    const client = await authority.issue({ hosts: ['gateway.example.test'] });
    const ca = readFileSync(authority.caFile);
    await using secure = await listening(
      createSecureServer(
        {
          cert: readFileSync(server.certificateFile),
          key: readFileSync(server.keyFile),
          ca,
          requestCert: true,
          rejectUnauthorized: true,
        },
        (_request, response) => void response.end('secure'),
      ) as unknown as Server,
      { host: '127.0.0.1', port: 0 },
    );
    const url = `https://127.0.0.1:${(secure.address() as AddressInfo).port}`;
    const identity = { certificateFile: client.certificateFile, keyFile: client.keyFile };
    const cases: readonly (readonly [what: string, tls: object, status: number])[] = [
      ['all of it', { caFile: authority.caFile, ...identity, serverName: 'backend.example.test' }, 200],
      ['another name', { caFile: authority.caFile, ...identity, serverName: 'other.example.test' }, 502],
      ['no authority', { ...identity, serverName: 'backend.example.test' }, 502],
      ['no certificate of ours', { caFile: authority.caFile, serverName: 'backend.example.test' }, 502],
    ];
    for (const [what, tls, status] of cases) {
      await using gateway = await site(url, { tls });
      assert.equal((await get(gateway)).status, status, what);
    }
  });
});

describe('a server that does not do its part', () => {
  const slow: readonly {
    readonly what: string;
    readonly onConnection: (socket: Socket) => void;
    readonly timeouts: object;
    readonly status: number;
    readonly code: string;
  }[] = [
    {
      what: 'takes a request and is silent: 504',
      onConnection: () => undefined,
      timeouts: { head: '200ms' },
      status: 504,
      code: 'UPSTREAM_TIMEOUT',
    },
    {
      what: 'answers byte by byte without end: 504 at the total time',
      onConnection: (socket) => {
        socket.write('HTTP/1.1 200 OK\r\nX-Slow: ');
        const timer = setInterval(() => socket.write('a'), 20);
        socket.once('close', () => clearInterval(timer));
      },
      timeouts: { total: '400ms' },
      status: 504,
      code: 'UPSTREAM_TIMEOUT',
    },
    {
      what: 'sends ten megabytes of header: 502',
      onConnection: (socket) => {
        socket.write('HTTP/1.1 200 OK\r\n');
        for (let i = 0; i < 10; i++) socket.write(`X-Much: ${'a'.repeat(1_000_000)}\r\n`);
      },
      timeouts: {},
      status: 502,
      code: 'UPSTREAM_PROTOCOL',
    },
    {
      what: 'speaks something else: 502',
      onConnection: (socket) => void socket.end('SSH-2.0-OpenSSH_9.2\r\n'),
      timeouts: {},
      status: 502,
      code: 'UPSTREAM_PROTOCOL',
    },
  ];
  for (const { what, onConnection, timeouts, status, code } of slow) {
    test(what, async () => {
      const closed = Promise.withResolvers<void>();
      await using server = await rawServer((socket) => {
        socket.once('close', () => closed.resolve());
        socket.once('data', () => onConnection(socket));
      });
      await using gateway = await site(server.url, { timeouts });
      const answer = await get(gateway);
      assert.equal(answer.status, status);
      assert.equal((JSON.parse(answer.body) as { error: string }).error, code);
      assert.equal((await upstreamCodes(gateway)).get(code), 1);
      await closed.promise;
    });
  }

  test('is silent within its answer: the client is cut off, and can tell', async () => {
    await using upstream = await startUpstream((_request, response) => {
      response.writeHead(200, { 'Content-Length': '100' });
      response.write('half');
    });
    await using gateway = await site(upstream.url, { timeouts: { idle: '300ms' } });
    await assert.rejects(get(gateway));
    assert.equal((await upstreamCodes(gateway)).get('aborted'), 1);
  });

  test('is overloaded: what would wait too long in line gets 503 at once', async () => {
    const held = Promise.withResolvers<void>();
    await using upstream = await startUpstream((_request, response) => {
      void held.promise.then(() => response.end('late'));
    });
    await using gateway = await site(upstream.url, { connections: 1, queue: 1 });
    const first = get(gateway);
    await until(() => upstream.started === 1);
    const others = Array.from({ length: 4 }, async () => await get(gateway));
    await until(async () => ((await upstreamCodes(gateway)).get('UPSTREAM_BUSY') ?? 0) === 3);
    held.resolve();
    const statuses = (await Promise.all([first, ...others])).map(({ status }) => status);
    assert.deepEqual(
      statuses.toSorted((a, b) => a - b),
      [200, 200, 503, 503, 503],
    );
  });
});
