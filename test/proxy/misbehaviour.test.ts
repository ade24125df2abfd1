import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { type Authority, createAuthority } from '#test/servers/certificates.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { until } from '#test/support/until.ts';

const host = 'app.localhost';

/** What becomes of a connection that asked for a path; the bytes are the server's own. */
const behaviours: Readonly<Record<string, (socket: Socket) => void>> = {
  '/good': (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood'),
  '/late': (socket) =>
    void setTimeout(() => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate'), 700),
  '/hangs-up': (socket) => socket.end(),
  '/resets': (socket) => socket.resetAndDestroy(),
  '/silent': () => undefined,
  '/dies-in-its-head': (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Le'),
  '/ten-megabytes-of-head': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\n');
    for (let i = 0; i < 10; i++) socket.write(`X-Much: ${'a'.repeat(1_000_000)}\r\n`);
  },
  '/two-lengths': (socket) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 5\r\n\r\nhello'),
  '/length-and-chunks': (socket) =>
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n'),
  '/says-fields-twice': (socket) =>
    socket.write(
      'HTTP/1.1 200 OK\r\nContent-Location: /a\r\ncontent-location: /b\r\nX-Content-Type-Options: nosniff\r\nX-Content-Type-Options: nosniff\r\nContent-Length: 2\r\n\r\nok',
    ),
  '/no-http': (socket) => socket.write('SSH-2.0-OpenSSH_9.2\r\n'),
  '/dies-in-its-body': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf');
    setTimeout(() => socket.destroy(), 50);
  },
  '/resets-in-its-body': (socket) => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\n');
    setTimeout(() => socket.resetAndDestroy(), 50);
  },
  '/broken-chunk': (socket) =>
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nhalf\r\nZZ\r\n'),
  '/silent-in-its-body': (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nhalf'),
  '/says-more-than-asked': (socket) =>
    socket.write(
      'HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngoodHTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nEVIL',
    ),
};

interface Answer {
  readonly status: number;
  readonly body: string;
  /** Of the end of the stream. */
  readonly code: number;
}

async function ask(session: ClientHttp2Session, path: string): Promise<Answer> {
  const stream = session.request({ ':path': path, ':authority': host });
  let status = 0;
  let body = '';
  stream.on('response', (headers) => (status = Number(headers[':status'])));
  stream.on('data', (chunk: Buffer) => (body += chunk.toString()));
  stream.on('error', () => undefined);
  await new Promise<void>((resolve) => stream.once('close', () => resolve()));
  return { status, body, code: stream.rstCode };
}

describe('over HTTP/2, an application that', () => {
  const open = new Map<Socket, string>();
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.once('close', () => open.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      const path = /^GET (\S+)/.exec(chunk.toString('latin1'))?.[1] ?? '';
      open.set(socket, path);
      behaviours[path]?.(socket);
    });
  });
  let authority: Authority;
  let gateway: TestGateway;
  let session: ClientHttp2Session;

  before(async () => {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    authority = await createAuthority();
    const { certificateFile, keyFile } = await authority.issue({ hosts: [host] });
    gateway = await startGateway({
      config: {
        server: { publicUrl: 'https://login.localhost', tls: { certificateFile, keyFile } },
        providers: [],
        applications: [
          {
            name: 'app',
            hosts: [host],
            upstream: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
            proxy: { timeouts: { head: '5s', idle: '2s' } },
            rules: [{ access: 'public' }],
          },
        ],
      },
    });
    session = connect(`https://${host}`, {
      port: gateway.port,
      host: '127.0.0.1',
      servername: host,
      rejectUnauthorized: false,
    });
    session.on('error', () => undefined);
    await once(session, 'connect');
  });
  after(async () => {
    session.destroy();
    await gateway[Symbol.asyncDispose]();
    for (const socket of open.keys()) socket.destroy();
    server.close();
    await authority[Symbol.asyncDispose]();
  });

  const cases: readonly (readonly [path: string, status: number, isWhole: boolean])[] = [
    ['/hangs-up', 502, true],
    ['/resets', 502, true],
    ['/silent', 504, true],
    ['/dies-in-its-head', 502, true],
    ['/ten-megabytes-of-head', 502, true],
    ['/two-lengths', 502, true],
    ['/length-and-chunks', 502, true],
    ['/says-fields-twice', 200, true],
    ['/no-http', 502, true],
    ['/dies-in-its-body', 200, false],
    ['/resets-in-its-body', 200, false],
    ['/broken-chunk', 200, false],
    ['/silent-in-its-body', 200, false],
    ['/says-more-than-asked', 200, true],
  ];
  for (const [path, status, isWhole] of cases) {
    test(`${path.slice(1).replaceAll('-', ' ')}: ${status}${isWhole ? '' : ', cut off'}; nobody else's request is touched`, async () => {
      // One is under way on the same connection of the client meanwhile, the next one follows it.
      const other = ask(session, '/late');
      const answer = await ask(session, path);
      assert.equal(answer.status, status);
      assert.equal(answer.code === constants.NGHTTP2_NO_ERROR, isWhole);
      assert.doesNotMatch(answer.body, /EVIL/);
      assert.deepEqual(await ask(session, '/good'), { status: 200, body: 'good', code: 0 });
      assert.deepEqual(await other, { status: 200, body: 'late', code: 0 });
      await until(() => ![...open.values()].includes(path), {
        timeoutMs: 15_000,
        what: 'the end of the connection to the application',
      });
    });
  }
});
