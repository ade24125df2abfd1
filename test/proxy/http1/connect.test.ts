import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, beforeEach, describe, test } from 'node:test';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { TlsContext, type TlsFiles } from '#src/lib/tls-context.ts';
import { Connector, connectTimeout, type ServerAddress } from '#src/proxy/http1/connect.ts';
import { answerOf, PoolSite, still } from '#test/proxy/http1/pool-site.ts';
import { type Authority, type Certificate, createAuthority } from '#test/servers/certificates.ts';
import { freePort } from '#test/support/free-port.ts';
import { until } from '#test/support/until.ts';

interface Outcome {
  readonly code: unknown;
  readonly socket: Socket | null;
}

/** How often each attempt was told of its end. */
const told: number[] = [];
after(() => assert.deepEqual(new Set(told), new Set([1])));

async function connect(connector: Connector): Promise<Outcome> {
  const attempt = told.push(0) - 1;
  return await new Promise<Outcome>((resolve) =>
    connector.connect(undefined, (error, socket) => {
      told[attempt] = (told[attempt] ?? 0) + 1;
      resolve({ code: (error as { code?: unknown } | null)?.code, socket });
    }),
  );
}

async function listening(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

describe('a connection to a server', () => {
  test('is refused where nobody listens', async () => {
    const port = await freePort();
    assert.deepEqual(await connect(new Connector({ host: '127.0.0.1', port }, 5_000)), {
      code: 'ECONNREFUSED',
      socket: null,
    });
  });

  test('goes over a unix socket, or fails where there is none', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'vratar-connect-'));
    const path = join(folder, 'socket');
    const connector = new Connector({ host: 'nobody.invalid', port: 1, path }, 5_000);
    try {
      assert.deepEqual(await connect(connector), { code: 'ENOENT', socket: null });
      const server = createServer((socket) => socket.end()).listen(path);
      await once(server, 'listening');
      const { code, socket } = await connect(connector);
      assert.equal(code, undefined);
      socket?.destroy();
      server.close();
      await once(server, 'close');
    } finally {
      await rm(folder, { recursive: true });
    }
  });
});

describe('a connection over TLS', () => {
  let authority: Authority;
  let identity: Certificate;
  let server: Server;
  let port: number;
  let accepted: TLSSocket[] = [];

  before(async () => {
    authority = await createAuthority();
    identity = await authority.issue({ hosts: ['client.test'] });
    const { certificateFile, keyFile } = await authority.issue({ hosts: ['app.test', '127.0.0.1'] });
    const [ca, cert, key] = await Promise.all(
      [authority.caFile, certificateFile, keyFile].map(async (file) => await readFile(file)),
    );
    server = createTlsServer({ cert, key, ca, requestCert: true, rejectUnauthorized: false }, (socket) => {
      accepted.push(socket);
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => {
        for (const [, path] of bytes.toString('latin1').matchAll(/GET (\S+)/g))
          socket.write(answerOf((path as string).repeat(20_000)));
      });
    });
    server.on('tlsClientError', () => undefined);
    port = await listening(server);
  });

  beforeEach(() => void (accepted = []));

  after(async () => {
    for (const socket of accepted) socket.destroy();
    server.close();
    await authority[Symbol.asyncDispose]();
  });

  interface Trust extends TlsFiles {
    readonly name?: string;
  }

  function connector(
    { name = 'app.test', ...files }: Trust,
    address: Partial<ServerAddress> = {},
    timeoutMs = 5_000,
  ): Connector {
    const context = new TlsContext({ caFile: authority.caFile, ...files });
    return new Connector({ host: '127.0.0.1', port, ...address, tls: { name, context } }, timeoutMs);
  }

  const trusted: Readonly<Record<string, Trust>> = {
    'by its name': {},
    'by its address': { name: '127.0.0.1' },
  };

  for (const [name, tls] of Object.entries(trusted)) {
    test(`is opened to a server that is known ${name}`, async () => {
      const { code, socket } = await connect(connector(tls));
      assert.equal(code, undefined);
      assert.equal((socket as TLSSocket).authorized, true);
      // RFC 6066 section 3: an address is no name.
      const peer = await until(() => accepted.at(-1));
      assert.equal(peer.servername, tls.name === undefined ? 'app.test' : false);
      socket?.destroy();
      await until(() => socket?.closed);
    });
  }

  const refused: Readonly<Record<string, { tls: Trust; code: string }>> = {
    'of another name': { tls: { name: 'other.test' }, code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    'of a name above': { tls: { name: 'test' }, code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    'of another address': { tls: { name: '127.0.0.2' }, code: 'ERR_TLS_CERT_ALTNAME_INVALID' },
    'of an authority nobody knows': { tls: { caFile: undefined }, code: 'SELF_SIGNED_CERT_IN_CHAIN' },
  };

  for (const [name, { tls, code }] of Object.entries(refused)) {
    test(`is refused to a server ${name}, again and again`, async () => {
      const one = connector(tls);
      for (let i = 0; i < 3; i++) assert.deepEqual(await connect(one), { code, socket: null });
    });
  }

  test('shows our certificate', async () => {
    const { socket } = await connect(connector(identity));
    const peer = await until(() => accepted.at(-1)?.getPeerCertificate());
    assert.match(peer.subjectaltname ?? '', /client\.test/);
    assert.equal(accepted.at(-1)?.authorized, true);
    socket?.destroy();
  });

  test('is taken up again where the last one ended', async () => {
    const one = connector({});
    const { socket } = await connect(one);
    let hasTicket = false;
    (socket as TLSSocket).on('session', () => (hasTicket = true));
    socket?.resume();
    await until(() => hasTicket);
    socket?.destroy();
    const { socket: second } = await connect(one);
    assert.equal((second as TLSSocket).isSessionReused(), true);
    second?.destroy();
  });

  test('carries answers that are not mixed with those on others', async () => {
    await using site = await PoolSite.start(() => undefined, { connector: connector({}), connections: 6 });
    const paths = Array.from({ length: 24 }, (_, i) => `/${i}.`);
    await Promise.all(
      paths.map(async (path) => assert.equal((await site.answered({ path })).body, path.repeat(20_000))),
    );
    assert.equal(site.accepted.length, 0);
  });

  test('holds the server back when its asker pauses, and brings all in the end', async () => {
    await using site = await PoolSite.start(() => undefined, { connector: connector({}) });
    const path = `/${'x'.repeat(499)}`;
    const asker = site.ask({ path });
    asker.reactions.onData = () => {
      if (asker.pieces.length === 1) asker.connection?.pause(asker);
    };
    await until(() => asker.pieces.length > 0);
    // One read of the socket holds some records, each of which is a piece.
    assert.ok((await still(() => Buffer.concat(asker.pieces).length)) <= 131_072);
    asker.connection?.resume(asker);
    assert.equal(await asker.ended(), 'answered');
    assert.ok(asker.body === path.repeat(20_000));
  });

  const unresponsive: Readonly<Record<string, { answer: (socket: Socket) => void; code: string }>> = {
    'that never answers the handshake is given up in time': { answer: () => undefined, code: connectTimeout },
    'that hangs up in the handshake is as good as not there': {
      answer: (socket) => void socket.end(),
      code: 'ECONNREFUSED',
    },
    'that resets in the handshake is as good as not there': {
      answer: (socket) => void socket.resetAndDestroy(),
      code: 'ECONNREFUSED',
    },
    'that does not speak it fails': {
      answer: (socket) => void socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
      code: 'ERR_SSL_PACKET_LENGTH_TOO_LONG',
    },
  };

  for (const [name, { answer, code }] of Object.entries(unresponsive)) {
    test(`to one ${name}`, async () => {
      const open = new Set<Socket>();
      const other = createServer((socket) => {
        open.add(socket);
        socket.on('error', () => undefined);
        socket.once('data', () => answer(socket));
      });
      const outcome = await connect(connector({}, { port: await listening(other) }, 300));
      assert.equal(outcome.socket, null);
      assert.match(String(outcome.code), new RegExp(`^(${code}|ERR_SSL_\\w+)$`));
      for (const socket of open) socket.destroy();
      other.close();
      await once(other, 'close');
    });
  }
});
