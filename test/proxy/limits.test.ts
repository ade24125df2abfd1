import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdtempSync, rmSync } from 'node:fs';
import { type ClientHttp2Session, type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { connect, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type Authority, createAuthority } from '#test/servers/certificates.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { startUpstream, type TestUpstream } from '#test/servers/upstream.ts';
import { startRapidReset } from '#test/support/rapid-reset.ts';
import { until } from '#test/support/until.ts';

const host = 'app.localhost';
const folder = mkdtempSync(join(tmpdir(), 'vratar-limits-'));
const tls = { certificateFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') };
let authority: Authority;

before(async () => {
  authority = await createAuthority();
  const { certificateFile, keyFile } = await authority.issue({ hosts: [host] });
  copyFileSync(certificateFile, tls.certificateFile);
  copyFileSync(keyFile, tls.keyFile);
});
after(async () => {
  await authority[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

async function site(
  upstream: string,
  { limits = {}, proxy = {} }: { limits?: object; proxy?: object } = {},
): Promise<TestGateway> {
  return await startGateway({
    config: {
      server: { publicUrl: 'https://login.localhost', tls, limits, trustedProxies: [] },
      providers: [],
      applications: [{ name: 'app', hosts: [host], upstream, proxy, rules: [{ access: 'public' }] }],
    },
  });
}

/** What one request saw; `status` 0: no answer. */
interface Seen {
  readonly status: number;
  readonly body: string;
  /** Whether the connection, or the stream, has ended. */
  readonly isEnded: boolean;
}

/** One request whose body is sent piece by piece. */
interface Sending {
  write(bytes: Buffer | string): void;
  end(): void;
  readonly seen: Seen;
}

type Fields = Readonly<Record<string, string>>;
type Send = (
  gateway: TestGateway,
  fields: Fields,
  more?: { pauses?: boolean; path?: string },
) => Promise<Sending>;

const sockets = new Set<Socket>();
const sessions = new Set<ClientHttp2Session>();
after(() => {
  for (const socket of sockets) socket.destroy();
  for (const session of sessions) session.destroy();
});

const options = (gateway: TestGateway) => ({
  port: gateway.port,
  host: '127.0.0.1',
  servername: host,
  rejectUnauthorized: false,
});

/** HTTP/1.1: with a length, or in chunks. */
const overHttp1: Send = async (gateway, fields, { pauses = false, path = '/' } = {}) => {
  const socket = connectTls({ ...options(gateway), ALPNProtocols: ['http/1.1'] });
  sockets.add(socket);
  socket.on('error', () => undefined);
  await once(socket, 'secureConnect');
  const isChunked = fields['content-length'] === undefined;
  let text = '';
  if (pauses) socket.pause();
  else socket.on('data', (chunk: Buffer) => (text += chunk.toString('latin1')));
  const lines = Object.entries({ host, ...fields, ...(isChunked ? { 'transfer-encoding': 'chunked' } : {}) });
  const method = pauses ? 'GET' : 'POST';
  socket.write(
    `${method} ${path} HTTP/1.1\r\n${lines
      .filter(([name]) => !pauses || name === 'host')
      .map(([name, value]) => `${name}: ${value}\r\n`)
      .join('')}\r\n`,
  );
  return {
    write: (bytes) => {
      const body = Buffer.from(bytes);
      if (isChunked) socket.write(`${body.length.toString(16)}\r\n`);
      socket.write(body);
      if (isChunked) socket.write('\r\n');
    },
    end: () => void (isChunked && socket.write('0\r\n\r\n')),
    get seen() {
      const [head = '', body = ''] = text.split('\r\n\r\n');
      return { status: Number(/^HTTP\/1.1 (\d+)/.exec(head)?.[1] ?? 0), body, isEnded: socket.destroyed };
    },
  };
};

const overHttp2: Send = async (gateway, fields, { pauses = false, path = '/' } = {}) => {
  const session = connectHttp2(`https://${host}`, options(gateway));
  sessions.add(session);
  session.on('error', () => undefined);
  await once(session, 'connect');
  const stream: ClientHttp2Stream = session.request(
    { ':method': pauses ? 'GET' : 'POST', ':path': path, ':authority': host, ...fields },
    { endStream: pauses },
  );
  let status = 0;
  let body = '';
  stream.on('error', () => undefined);
  stream.on('response', (headers) => (status = Number(headers[':status'])));
  if (pauses) stream.pause();
  else stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
  return {
    write: (bytes) => void (stream.closed || stream.write(bytes)),
    end: () => void stream.end(),
    get seen() {
      return { status, body, isEnded: stream.closed };
    },
  };
};

const protocols: readonly (readonly [name: string, send: Send])[] = [
  ['HTTP/1.1', overHttp1],
  ['HTTP/2', overHttp2],
];

async function ended(sending: Sending): Promise<Seen> {
  await until(() => sending.seen.isEnded, { timeoutMs: 30_000, what: 'the end of the request' });
  return sending.seen;
}

const errorOf = ({ body }: Seen): unknown => (JSON.parse(body) as { error: unknown }).error;
const settled = async (upstream: TestUpstream): Promise<void> =>
  void (await until(() => upstream.openSockets === 0, { what: 'the end of the connection to the upstream' }));

for (const [protocol, send] of protocols) {
  describe(`over ${protocol}, a body`, () => {
    test('announced as too large is refused before the application hears of it', async () => {
      await using upstream = await startUpstream();
      await using gateway = await site(upstream.url, { proxy: { maxBodySize: '1MiB' } });
      const sending = await send(gateway, { 'content-length': '1048577' });
      const seen = await ended(sending);
      assert.equal(seen.status, 413);
      assert.equal(errorOf(seen), 'REQUEST_TOO_LARGE');
      assert.equal(upstream.started, 0);
    });

    test('of unknown length is refused when it passes the limit, and its request to the application ends', async () => {
      await using upstream = await startUpstream();
      await using gateway = await site(upstream.url, { proxy: { maxBodySize: '1MiB' } });
      const sending = await send(gateway, {});
      for (let i = 0; i < 16; i++) sending.write(Buffer.alloc(65_536));
      await until(() => upstream.started === 1);
      sending.write('x');
      const seen = await ended(sending);
      assert.equal(seen.status, 413);
      await settled(upstream);
      assert.equal(upstream.received.length, 0, 'never whole');
    });

    test('of just the limit passes', async () => {
      await using upstream = await startUpstream();
      await using gateway = await site(upstream.url, { proxy: { maxBodySize: '1MiB' } });
      const sending = await send(gateway, {});
      for (let i = 0; i < 16; i++) sending.write(Buffer.alloc(65_536));
      sending.end();
      await until(() => sending.seen.status === 200);
      assert.equal(upstream.received[0]?.bodyBytes, 1_048_576);
    });

    test('that trickles in is answered 408, and its request to the application ends', async () => {
      await using upstream = await startUpstream();
      await using gateway = await site(upstream.url, {
        limits: { bodyRate: { atLeast: '1KiB', within: '1s' } },
      });
      const sending = await send(gateway, { 'content-length': '1000000' });
      const drip = setInterval(() => sending.write('x'), 100);
      try {
        const seen = await ended(sending);
        assert.equal(seen.status, 408);
        assert.equal(errorOf(seen), 'REQUEST_TIMEOUT');
      } finally {
        clearInterval(drip);
      }
      assert.equal(upstream.started, 1);
      await settled(upstream);
    });

    test('that the application is slow to take is nobody’s fault', async () => {
      await using upstream = await startUpstream((request, response) => {
        request.pause();
        // Longer than the client would be given.
        setTimeout(() => {
          request.resume();
          request.once('end', () => response.end('taken'));
        }, 3_000);
      });
      await using gateway = await site(upstream.url, {
        limits: { bodyRate: { atLeast: '1MiB', within: '1s' } },
      });
      const sending = await send(gateway, {});
      for (let i = 0; i < 256; i++) sending.write(Buffer.alloc(65_536));
      sending.end();
      await until(() => sending.seen.status === 200, { timeoutMs: 30_000, what: 'the answer' });
    });
  });

  describe(`over ${protocol}, an answer`, () => {
    test('that its client never reads is cut off, and the application is let go', async () => {
      let isClosed = false;
      await using upstream = await startUpstream((request, response) => {
        request.socket.once('close', () => (isClosed = true));
        response.writeHead(200, { 'content-length': String(2 ** 30) });
        const push = (): void => {
          while (response.write(Buffer.alloc(65_536)));
          response.once('drain', push);
        };
        push();
      });
      await using gateway = await site(upstream.url, { limits: { unreadAnswer: '1s' } });
      await send(gateway, {}, { pauses: true });
      await until(() => isClosed, { timeoutMs: 30_000, what: 'the end of the connection to the upstream' });
    });

    test('that comes before the body is whole reaches the client, and ends what is left of the body', async () => {
      await using upstream = await startUpstream((request, response) => {
        request.once('data', () => {
          response.writeHead(403, { 'content-length': '2' });
          response.end('no');
        });
      });
      await using gateway = await site(upstream.url);
      const sending = await send(gateway, { 'content-length': '100000000' });
      sending.write(Buffer.alloc(65_536));
      await until(() => sending.seen.status === 403, { what: 'the answer' });
      const more = setInterval(() => sending.write(Buffer.alloc(1_024)), 20);
      try {
        await ended(sending);
      } finally {
        clearInterval(more);
      }
      assert.equal(sending.seen.body, 'no');
      await settled(upstream);
    });
  });
}

describe('a refusal', () => {
  test('reaches a client that sends its whole upload before it reads', async () => {
    await using upstream = await startUpstream();
    await using gateway = await site(upstream.url, { proxy: { maxBodySize: '1MiB' } });
    const socket = connectTls({ ...options(gateway), ALPNProtocols: ['http/1.1'] });
    sockets.add(socket);
    socket.on('error', () => undefined);
    await once(socket, 'secureConnect');
    socket.pause();
    const bytes = 16_777_216;
    socket.write(`POST / HTTP/1.1\r\nHost: ${host}\r\nContent-Length: ${bytes}\r\n\r\n`);
    // More than any buffer on the way holds: it is taken only by who goes on reading.
    for (let sent = 0; sent < bytes && !socket.destroyed; sent += 65_536) {
      if (socket.write(Buffer.alloc(65_536))) continue;
      await Promise.race([once(socket, 'drain'), once(socket, 'close')]);
    }
    let text = '';
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.resume();
    await until(() => text.includes('REQUEST_TOO_LARGE') || socket.destroyed, { timeoutMs: 30_000 });
    assert.match(text, /^HTTP\/1.1 413 /);
  });
});

describe('a request head', () => {
  for (const [protocol, send] of protocols) {
    test(`with more fields than allowed is answered 431 over ${protocol}`, async () => {
      await using upstream = await startUpstream();
      await using gateway = await site(upstream.url, { limits: { fields: 16 } });
      const fields = (count: number): Fields =>
        Object.fromEntries(Array.from({ length: count }, (_, i) => [`x-${i}`, '1']));
      const few = await send(gateway, { 'content-length': '0', ...fields(13) });
      if (protocol === 'HTTP/2') few.end();
      await until(() => few.seen.status === 200);
      const many = await send(gateway, { 'content-length': '0', ...fields(16) });
      if (protocol === 'HTTP/2') many.end();
      await until(() => many.seen.status === 431);
      assert.equal(upstream.started, 1);
    });
  }
});

describe('connections of one address', () => {
  test('beyond the limit are closed, in clear text and over TLS, and the operator is told', async () => {
    await using upstream = await startUpstream();
    await using gateway = await site(upstream.url, { limits: { connectionsPerAddress: 4 } });
    const open = async (): Promise<Socket> => {
      const socket = connect({ port: gateway.port, host: '127.0.0.1' });
      sockets.add(socket);
      socket.on('error', () => undefined);
      socket.resume();
      await once(socket, 'connect');
      return socket;
    };
    for (let i = 0; i < 4; i++) await open();
    const fifth = await open();
    await until(() => fifth.closed);
    await until(() => gateway.logs.some(({ event }) => event === 'listener.connections-refused'));
    assert.match(await gateway.metrics(), /vratar_http_requests_total\{[^}]*code="503"\} 1/);
  });
});

describe('streams of one connection', () => {
  test('are as many as the option says', async () => {
    await using upstream = await startUpstream();
    await using gateway = await site(upstream.url, { limits: { streamsPerConnection: 7 } });
    const session = connectHttp2(`https://${host}`, options(gateway));
    sessions.add(session);
    await once(session, 'remoteSettings');
    assert.equal(session.remoteSettings.maxConcurrentStreams, 7);
  });

  test('that are opened and reset without end close it, and nobody else notices', async () => {
    await using upstream = await startUpstream();
    await using gateway = await site(upstream.url);
    using attack = await startRapidReset(gateway.port, host, 5_000);
    await until(() => attack.isClosed, { timeoutMs: 30_000, what: 'the end of the attack' });
    const other = await overHttp2(gateway, {}, { pauses: true });
    await until(() => other.seen.status === 200);
  });
});
