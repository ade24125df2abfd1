import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { connect } from 'node:http2';
import { connect as connectTcp } from 'node:net';
import { describe, test } from 'node:test';
import { type Listener, listen } from '#src/http/listener.ts';
import { readTlsIdentity } from '#src/lib/tls-identity.ts';
import { converse, headerValues } from '#test/corpus/wire-client.ts';
import { createAuthority } from '#test/servers/certificates.ts';

async function listener(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
  idleMs?: number,
): Promise<Listener & AsyncDisposable & { readonly port: number }> {
  const listening = await listen({ address: { kind: 'tcp', host: '127.0.0.1', port: 0 }, handler, idleMs });
  const { address } = listening;
  if (address.kind !== 'tcp') throw new Error('not a TCP address');
  return { ...listening, port: address.port, [Symbol.asyncDispose]: async () => await listening.drain(0) };
}

const post = (body: string, expectation = '100-continue'): Buffer =>
  Buffer.from(
    `POST / HTTP/1.1\r\nHost: a\r\nExpect: ${expectation}\r\nContent-Length: ${body.length}\r\n\r\n`,
  );

test('a client that asks first is told to go on when somebody reads the body', async () => {
  await using server = await listener((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => response.end(text));
  });
  const { answers, interim } = await converse({
    port: server.port,
    bytes: Buffer.concat([post('body'), Buffer.from('body'), post('next'), Buffer.from('next')]),
    answers: 2,
  });
  assert.deepEqual(
    answers.map(({ body }) => body),
    ['body', 'next'],
  );
  assert.deepEqual(interim, [100, 100]);
});

test('a client that asks first is refused without being told to go on, and the connection ends', async () => {
  await using server = await listener((_request, response) => {
    response.writeHead(401, { 'Content-Length': '0' });
    response.end();
  });
  const conversation = await converse({ port: server.port, bytes: post('body'), untilClosed: true });
  assert.deepEqual(
    conversation.answers.map(({ status }) => status),
    [401],
  );
  assert.deepEqual(conversation.interim, []);
  assert.ok(conversation.isClosedByGateway);
  assert.deepEqual(headerValues(conversation.answers[0] ?? { headers: [] }, 'connection'), ['close']);
});

test('an expectation other than 100-continue is refused', async () => {
  await using server = await listener((_request, response) => response.end());
  const { answers } = await converse({
    port: server.port,
    bytes: post('body', 'miracles'),
    untilClosed: true,
  });
  assert.deepEqual(
    answers.map(({ status }) => status),
    [417],
  );
});

test('no tunnel is opened', async () => {
  await using server = await listener((_request, response) => response.end());
  const { answers, isClosedByGateway } = await converse({
    port: server.port,
    bytes: Buffer.from('CONNECT 127.0.0.1:22 HTTP/1.1\r\nHost: a\r\n\r\nSSH-2.0\r\n'),
    untilClosed: true,
  });
  assert.deepEqual(
    answers.map(({ status }) => status),
    [405],
  );
  assert.ok(isClosedByGateway);
});

test('requests sent without waiting are handled one at a time, in order, up to a limit', async () => {
  let atOnce = 0;
  let most = 0;
  const seen: string[] = [];
  await using server = await listener((request, response) => {
    most = Math.max(most, ++atOnce);
    seen.push(request.url as string);
    setImmediate(() => {
      atOnce--;
      response.end(request.url);
    });
  });
  const bytes = Buffer.from(
    Array.from({ length: 1_000 }, (_, i) => `GET /${i} HTTP/1.1\r\nHost: a\r\n\r\n`).join(''),
  );
  const { answers, isClosedByGateway } = await converse({ port: server.port, bytes, untilClosed: true });
  assert.equal(most, 1);
  assert.deepEqual(
    answers.map(({ body }) => body),
    seen,
  );
  // The client learns with the last answer that the rest was not looked at, and may send it again.
  assert.ok(answers.length > 10 && answers.length < 200, String(answers.length));
  assert.deepEqual(headerValues(answers.at(-1) ?? { headers: [] }, 'connection'), ['close']);
  assert.ok(isClosedByGateway);
});

test('a few requests sent without waiting are all answered, bodies included', async () => {
  await using server = await listener((request, response) => {
    let text = '';
    request.on('data', (chunk: Buffer) => (text += chunk.toString()));
    request.on('end', () => setImmediate(() => response.end(text)));
  });
  const body = 'b'.repeat(200_000);
  const one = `POST / HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`;
  const { answers } = await converse({ port: server.port, bytes: Buffer.from(one.repeat(8)), answers: 8 });
  assert.deepEqual(
    answers.map(({ body: echoed }) => echoed.length),
    Array.from({ length: 8 }, () => body.length),
  );
});

describe('a connection that is silent for as long as it may be', () => {
  const idleMs = 150;
  const late = async (): Promise<void> => await new Promise((resolve) => setTimeout(resolve, 4 * idleMs));

  test('is closed between two requests', async () => {
    await using server = await listener((_request, response) => void response.end('here'), idleMs);
    const { answers, isClosedByGateway } = await converse({
      port: server.port,
      bytes: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
      untilClosed: true,
    });
    assert.deepEqual([answers.length, isClosedByGateway], [1, true]);
  });

  test('is closed within a body', async () => {
    await using server = await listener((request) => void request.resume(), idleMs);
    const { answers, isClosedByGateway } = await converse({
      port: server.port,
      bytes: Buffer.from('POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\nhalf'),
      untilClosed: true,
    });
    assert.deepEqual([answers.length, isClosedByGateway], [0, true]);
  });

  test('is closed when its client reads nothing of an answer that was given long ago', async () => {
    const closed = Promise.withResolvers<void>();
    await using server = await listener((_request, response) => {
      response.once('close', () => closed.resolve());
      response.end(Buffer.alloc(64 * 1_048_576));
    }, idleMs);
    const client = connectTcp(server.port, '127.0.0.1').on('error', () => undefined);
    client.pause();
    client.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
    await closed.promise;
    client.destroy();
  });

  test('stays while the answer to its request is being made, and while the answer itself is silent', async () => {
    await using server = await listener((_request, response) => {
      void late().then(async () => {
        response.write('first ');
        await late();
        response.end('second');
      });
    }, idleMs);
    const { answers } = await converse({
      port: server.port,
      bytes: Buffer.from('GET / HTTP/1.1\r\nHost: a\r\n\r\n'),
      answers: 1,
    });
    assert.equal(answers[0]?.body, 'first second');
  });

  test('stays over HTTP/2 while a request is answered, and is closed then', async () => {
    await using authority = await createAuthority();
    const { certificateFile, keyFile } = await authority.issue({ hosts: ['a.localhost'] });
    const { identity } = readTlsIdentity({ certificateFile, keyFile });
    const listening = await listen({
      address: { kind: 'tcp', host: '127.0.0.1', port: 0 },
      handler: (_request, response) => void late().then(() => response.end('late')),
      tls: identity,
      idleMs,
    });
    const { address } = listening;
    if (address.kind !== 'tcp') throw new Error('not a TCP address');
    const session = connect(`https://a.localhost:${address.port}`, {
      host: '127.0.0.1',
      rejectUnauthorized: false,
    });
    const closed = once(session, 'close');
    const stream = session.request({ ':path': '/' });
    let body = '';
    for await (const chunk of stream) body += String(chunk);
    assert.equal(body, 'late');
    await closed;
    await listening.drain(0);
  });
});
