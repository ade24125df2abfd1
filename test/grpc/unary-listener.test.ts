import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type ClientHttp2Session, connect, constants, type IncomingHttpHeaders } from 'node:http2';
import { createConnection } from 'node:net';
import { describe, test } from 'node:test';
import { status as grpcCodes } from '@grpc/grpc-js';
import { listenUnary, maxMessageBytes, type UnaryListenerOptions } from '#src/grpc/unary-listener.ts';
import { Envoy } from '#test/servers/envoy-authorization.ts';
import { until } from '#test/support/until.ts';

const method = '/test.Service/Echo';

interface Running extends AsyncDisposable {
  readonly port: number;
  readonly drain: (timeoutMs: number) => Promise<void>;
  readonly refused: string[];
  readonly defects: unknown[];
}

/** A listener that answers with the message it was sent. */
async function listening(options: Partial<UnaryListenerOptions> = {}): Promise<Running> {
  const refused: string[] = [];
  const defects: unknown[] = [];
  const listener = await listenUnary({
    address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
    method,
    admits: () => true,
    answer: (message) => Buffer.from(message),
    onRefused: (status) => void refused.push(status),
    onDefect: (error) => void defects.push(error),
    ...options,
  });
  if (listener.address.kind !== 'tcp') throw new Error('it listens on TCP');
  return {
    port: listener.address.port,
    drain: async (timeoutMs) => await listener.drain(timeoutMs),
    refused,
    defects,
    [Symbol.asyncDispose]: async () => await listener.drain(0),
  };
}

interface Raw {
  readonly status: number;
  readonly body: Buffer;
}

/** One call over a plain HTTP/2 connection, frame by frame as the test wants it. */
async function call(
  session: ClientHttp2Session,
  bytes: Buffer,
  headers: Record<string, string> = {},
): Promise<Raw> {
  const stream = session.request({
    ':method': 'POST',
    ':path': method,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  let status: string | undefined;
  const note = (fields: IncomingHttpHeaders): void => {
    status ??= fields['grpc-status'] as string | undefined;
  };
  stream.on('response', note);
  stream.on('trailers', note);
  const chunks: Buffer[] = [];
  stream.on('data', (chunk: Buffer) => chunks.push(chunk));
  stream.end(bytes);
  await once(stream, 'close');
  return { status: Number(status), body: Buffer.concat(chunks) };
}

function framed(message: Buffer, flag = 0): Buffer {
  const prefix = Buffer.from([flag, 0, 0, 0, 0]);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

async function connected(port: number): Promise<ClientHttp2Session & Disposable> {
  const session = connect(`http://127.0.0.1:${port}`);
  await once(session, 'connect');
  return Object.assign(session, { [Symbol.dispose]: () => session.destroy() });
}

describe('a call', () => {
  test('is answered with a framed message and the status OK', async () => {
    await using server = await listening();
    using session = await connected(server.port);
    const message = Buffer.from('hello');
    assert.deepEqual(await call(session, framed(message)), { status: 0, body: framed(message) });
  });

  test('may carry a message as large as a request with a Kerberos token needs', async () => {
    await using server = await listening();
    using session = await connected(server.port);
    const message = Buffer.alloc(maxMessageBytes, 'x');
    assert.deepEqual(await call(session, framed(message)), { status: 0, body: framed(message) });
  });

  const rows: {
    name: string;
    bytes: Buffer;
    headers?: Record<string, string>;
    expect: keyof typeof grpcCodes;
  }[] = [
    {
      name: 'of another method',
      bytes: framed(Buffer.alloc(1)),
      headers: { ':path': '/test.Service/Other' },
      expect: 'UNIMPLEMENTED',
    },
    {
      name: 'by another HTTP method',
      bytes: framed(Buffer.alloc(1)),
      headers: { ':method': 'PUT' },
      expect: 'UNIMPLEMENTED',
    },
    {
      name: 'of another content type',
      bytes: framed(Buffer.alloc(1)),
      headers: { 'content-type': 'application/json' },
      expect: 'UNIMPLEMENTED',
    },
    { name: 'with a compressed message', bytes: framed(Buffer.alloc(1), 1), expect: 'UNIMPLEMENTED' },
    { name: 'with an unknown flag', bytes: framed(Buffer.alloc(1), 2), expect: 'INVALID_ARGUMENT' },
    { name: 'without a message', bytes: Buffer.alloc(0), expect: 'INVALID_ARGUMENT' },
    { name: 'with half a prefix', bytes: Buffer.from([0, 0, 0]), expect: 'INVALID_ARGUMENT' },
    {
      name: 'with less than announced',
      bytes: framed(Buffer.alloc(9)).subarray(0, 9),
      expect: 'INVALID_ARGUMENT',
    },
    {
      name: 'with two messages',
      bytes: Buffer.concat([framed(Buffer.alloc(2)), framed(Buffer.alloc(2))]),
      expect: 'INVALID_ARGUMENT',
    },
    {
      name: 'with more than is read',
      bytes: framed(Buffer.alloc(maxMessageBytes + 1)),
      expect: 'RESOURCE_EXHAUSTED',
    },
  ];
  for (const { name, bytes, headers, expect } of rows) {
    test(`${name} ends with ${expect} and without a message`, async () => {
      await using server = await listening();
      using session = await connected(server.port);
      const answer = await call(session, bytes, headers);
      assert.deepEqual(answer, { status: grpcCodes[expect], body: Buffer.alloc(0) });
      assert.deepEqual(server.refused, [expect]);
      // The connection is not worse for it.
      assert.equal((await call(session, framed(Buffer.alloc(1)))).status, 0);
    });
  }

  test('of a peer that is not admitted ends before its message is read', async () => {
    await using server = await listening({
      admits: () => false,
      answer: () => assert.fail('the message was read'),
    });
    using session = await connected(server.port);
    assert.equal((await call(session, framed(Buffer.alloc(1)))).status, grpcCodes.PERMISSION_DENIED);
  });

  test('that meets a defect ends with INTERNAL, and the defect is told', async () => {
    const defect = new TypeError('a defect');
    await using server = await listening({
      answer: (message) => {
        if (message.length === 0) throw defect;
        return Promise.reject(defect);
      },
    });
    using session = await connected(server.port);
    for (const message of [Buffer.alloc(0), Buffer.alloc(1)])
      assert.equal((await call(session, framed(message))).status, grpcCodes.INTERNAL);
    assert.deepEqual(server.defects, [defect, defect]);
  });

  test('that is not answered in time ends with DEADLINE_EXCEEDED', async () => {
    await using server = await listening({
      maxCallMs: 50,
      answer: async () => await new Promise<Buffer>(() => undefined),
    });
    using session = await connected(server.port);
    assert.equal((await call(session, framed(Buffer.alloc(1)))).status, grpcCodes.DEADLINE_EXCEEDED);
  });

  for (const [name, path, expect] of [
    ['whose message never ends', method, 'DEADLINE_EXCEEDED'],
    ['that goes on talking after its refusal', '/test.Service/Other', 'UNIMPLEMENTED'],
  ] as const) {
    test(`${name} is cut off`, async () => {
      await using server = await listening({ maxCallMs: 50 });
      using session = await connected(server.port);
      const stream = session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
      });
      stream.on('error', () => undefined);
      stream.resume();
      stream.write(Buffer.alloc(3));
      await once(stream, 'close');
      assert.deepEqual(server.refused, [expect]);
    });
  }

  test('that its caller gave up harms nobody', async () => {
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    await using server = await listening({
      answer: (message) => (message[0] === 1 ? promise : Buffer.from(message)),
    });
    using session = await connected(server.port);
    const given = session.request({
      ':method': 'POST',
      ':path': method,
      'content-type': 'application/grpc',
    });
    given.on('error', () => undefined);
    given.end(framed(Buffer.from([1])));
    await call(session, framed(Buffer.from([2])));
    given.close(constants.NGHTTP2_CANCEL);
    await call(session, framed(Buffer.from([2])));
    resolve(Buffer.from([1]));
    assert.equal((await call(session, framed(Buffer.from([2])))).status, 0);
    assert.deepEqual(server.defects, []);
  });
});

describe('a connection', () => {
  for (const [name, bytes] of [
    ['HTTP/1.1', 'GET / HTTP/1.1\r\nHost: x\r\n\r\n'],
    ['no protocol', '\0'.repeat(200)],
  ] as const) {
    test(`that speaks ${name} is ended, and others go on`, async () => {
      await using server = await listening();
      const socket = createConnection(server.port, '127.0.0.1');
      socket.on('error', () => undefined);
      socket.resume();
      socket.write(bytes);
      await once(socket, 'close');
      using session = await connected(server.port);
      assert.equal((await call(session, framed(Buffer.alloc(1)))).status, 0);
    });
  }

  test('takes more than 256 calls at once', async () => {
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    let waiting = 0;
    await using server = await listening({
      answer: async () => {
        waiting++;
        return await promise;
      },
    });
    using session = await connected(server.port);
    const calls = Array.from({ length: 600 }, async () => await call(session, framed(Buffer.alloc(1))));
    await until(() => waiting === 600, { what: '600 calls under way' });
    resolve(Buffer.alloc(1));
    for (const { status } of await Promise.all(calls)) assert.equal(status, 0);
  });

  test('ends in good order after its last call, and no call of the caller is lost', async () => {
    let answered = 0;
    await using server = await listening({
      maxCallsPerConnection: 100,
      answer: (message) => {
        answered++;
        return Buffer.from(message);
      },
    });
    using envoy = new Envoy(server.port);
    const lanes = Array.from({ length: 32 }, async (_, lane) => {
      for (let i = 0; i < 64; i++) {
        const sent = Buffer.from(`${lane}:${i}`);
        assert.deepEqual(await envoy.call(sent, method), sent);
      }
    });
    await Promise.all(lanes);
    assert.equal(answered, 32 * 64);
  });

  test('ends when it is old, also without a call', async () => {
    await using server = await listening({ maxConnectionAgeMs: 50 });
    using session = await connected(server.port);
    await until(() => session.closed, { what: 'the end of the connection' });
  });

  test('is drained: calls under way are answered, then it ends', async () => {
    const { promise, resolve } = Promise.withResolvers<Buffer>();
    let waiting = 0;
    const server = await listening({
      answer: async () => {
        waiting++;
        return await promise;
      },
    });
    using session = await connected(server.port);
    const answer = call(session, framed(Buffer.alloc(1)));
    await until(() => waiting === 1);
    const drained = server.drain(5_000);
    resolve(Buffer.from('late'));
    assert.equal((await answer).status, 0);
    await drained;
    await until(() => session.destroyed);
  });

  test('is cut when a call outlives the drain', async () => {
    let waiting = 0;
    const server = await listening({
      answer: async () => {
        waiting++;
        return await new Promise<Buffer>(() => undefined);
      },
    });
    using session = await connected(server.port);
    session.on('error', () => undefined);
    const stream = session.request({
      ':method': 'POST',
      ':path': method,
      'content-type': 'application/grpc',
    });
    stream.on('error', () => undefined);
    stream.end(framed(Buffer.alloc(1)));
    await until(() => waiting === 1);
    await server.drain(20);
    await until(() => session.destroyed);
  });
});
