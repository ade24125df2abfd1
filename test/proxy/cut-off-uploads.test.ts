import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { connect as connectTls } from 'node:tls';
import { type Authority, createAuthority } from '#test/servers/certificates.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { http2Frame } from '#test/support/http2-frame.ts';
import { until } from '#test/support/until.ts';

const host = 'app.localhost';

/** What the application received on each connection, and which of them are over. */
const received = new Map<Socket, string>();
const closed = new Set<Socket>();
const clients = new Set<Socket>();
const server = createServer((socket) => {
  received.set(socket, '');
  socket.on('error', () => undefined);
  socket.on('close', () => closed.add(socket));
  socket.on('data', (bytes: Buffer) => {
    const text = `${received.get(socket)}${bytes.toString('latin1')}`;
    received.set(socket, text);
    if (isWhole(text)) socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n');
  });
});

function isWhole(text: string): boolean {
  return text.endsWith('\r\n0\r\n\r\n') || /Content-Length: 9\r\n(?:.+\r\n)*\r\n.{9}$/.test(text);
}

let authority: Authority;
let gateway: TestGateway;

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  authority = await createAuthority();
  gateway = await startGateway({
    config: {
      server: {
        publicUrl: 'https://login.localhost',
        tls: await authority.issue({ hosts: [host] }),
        trustedProxies: [],
      },
      providers: [],
      applications: [
        {
          name: 'app',
          hosts: [host],
          upstream: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
          rules: [{ access: 'public' }],
        },
      ],
    },
  });
});
after(async () => {
  for (const socket of [...clients, ...received.keys()]) socket.destroy();
  await gateway[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
  server.close();
});

/** Begins an upload of nine bytes, sends five, and does what `cut` says. */
type Cut = (path: string, length: number | undefined, arrived: () => Promise<unknown>) => Promise<void>;

/** A literal field value behind the number of its name in the static table (RFC 7541 section 6.2.1). */
function field(name: number, value: string): Buffer {
  return Buffer.concat([Buffer.from([0x40 | name, value.length]), Buffer.from(value)]);
}

function dial(protocols: string[]): Socket {
  const socket = connectTls({
    port: gateway.port,
    host: '127.0.0.1',
    rejectUnauthorized: false,
    servername: host,
    ALPNProtocols: protocols,
  });
  return socket.on('error', () => undefined);
}

/** Node's own client ends a stream like a whole one before it resets it: these frames are written by hand. */
function overHttp2(cut: (socket: Socket) => void): Cut {
  return async (path, length, arrived) => {
    const socket = dial(['h2']);
    clients.add(socket);
    socket.resume();
    socket.write('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n');
    socket.write(http2Frame(0x4, 0, 0, Buffer.alloc(0)));
    const fields = [Buffer.from([0x83, 0x87]), field(4, path), field(1, host)];
    if (length !== undefined) fields.push(field(28, String(length)));
    socket.write(http2Frame(0x1, 0x4, 1, Buffer.concat(fields)));
    socket.write(http2Frame(0x0, 0, 1, Buffer.from('hello')));
    await arrived();
    cut(socket);
  };
}

/** RST_STREAM with this code. */
function reset(code: number): Cut {
  return overHttp2((socket) => socket.write(http2Frame(0x3, 0, 1, Buffer.from([0, 0, 0, code]))));
}

function overHttp1(cut: (socket: Socket) => void): Cut {
  return async (path, length, arrived) => {
    const socket = dial(['http/1.1']);
    const framing = length === undefined ? 'Transfer-Encoding: chunked' : `Content-Length: ${length}`;
    socket.write(`POST ${path} HTTP/1.1\r\nHost: ${host}\r\n${framing}\r\n\r\n`);
    socket.write(length === undefined ? '5\r\nhello\r\n' : 'hello');
    await arrived();
    cut(socket);
    socket.resume();
    await until(() => socket.closed);
  };
}

const cuts: Readonly<Record<string, Cut>> = {
  'HTTP/2, whose stream is cancelled': reset(0x8),
  'HTTP/2, whose stream is reset without an error': reset(0x0),
  'HTTP/2, whose connection ends': overHttp2((socket) => socket.destroy()),
  'HTTP/1.1, whose connection ends': overHttp1((socket) => socket.end()),
  'HTTP/1.1, whose connection is cut': overHttp1((socket) => socket.destroy()),
};

describe('an upload over', () => {
  let count = 0;
  for (const [name, cut] of Object.entries(cuts)) {
    for (const length of [undefined, 9]) {
      test(`${name}, is not whole for the application either: ${length === undefined ? 'of unknown length' : 'of a length'}`, async () => {
        const path = `/${++count}`;
        const ours = (): [Socket, string] | undefined =>
          [...received].find(([, text]) => text.startsWith(`POST ${path} `));
        await cut(path, length, async () => await until(() => ours()?.[1].includes('hello')));
        const [socket] = await until(ours);
        await until(() => closed.has(socket), { what: 'the end of the connection to the application' });
        assert.equal(isWhole(received.get(socket) ?? ''), false);
      });
    }
  }

  test('HTTP/2 that ends as it should is whole', async () => {
    for (const fields of [{}, { 'content-length': 9 }]) {
      const session = connectHttp2(`https://127.0.0.1:${gateway.port}`, {
        rejectUnauthorized: false,
        servername: host,
      });
      const stream = session.request({ ':method': 'POST', ':path': '/whole', ':authority': host, ...fields });
      stream.write('hello');
      stream.end(' you');
      const [head] = (await once(stream, 'response')) as [{ ':status'?: number }];
      assert.equal(head[':status'], 200);
      session.destroy();
    }
  });
});
