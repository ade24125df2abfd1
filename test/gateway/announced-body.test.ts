/** A front proxy that announces a body in its question and never sends it, like nginx without `Content-Length ""`. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import type { TestGateway } from '#test/servers/gateway.ts';
import { protectedServer, startNginx } from '#test/servers/nginx.ts';
import { startUpstream } from '#test/servers/upstream.ts';
import { ask, Visitor } from '#test/support/http-client.ts';
import { appHost, startSite } from './site.ts';

let gateway: TestGateway;
before(async () => {
  gateway = await startSite();
});
after(async () => await gateway[Symbol.asyncDispose]());

function question(path: string, ...fields: readonly string[]): string {
  const metadata = [
    'Host: gw.example.test',
    `X-Original-URL: http://app.example.test${path}`,
    'X-Original-Method: GET',
    ...fields,
  ];
  return `GET /_vratar/auth/nginx HTTP/1.1\r\n${metadata.join('\r\n')}\r\n\r\n`;
}

/** Everything the gateway says to two questions on one connection. */
async function twoQuestions(first: string): Promise<string> {
  const socket = connect({ port: gateway.port, host: '127.0.0.1' });
  await once(socket, 'connect');
  socket.write(first + question('/public/second', 'Connection: close'));
  return await text(socket);
}

describe('a question that announces a body', () => {
  for (const framing of ['Content-Length: 5', 'Content-Length: 300000', 'Transfer-Encoding: chunked']) {
    test(`is answered, and is the last one on its connection: ${framing}`, async () => {
      const said = await twoQuestions(question('/public/first', framing));
      assert.match(said, /^HTTP\/1\.1 200 /);
      assert.match(said, /\r\nConnection: close\r\n/i);
      assert.equal(said.match(/HTTP\/1\.1 /g)?.length, 1, said);
    });
  }

  for (const framing of ['Content-Length: 0', 'X-Other: 5']) {
    test(`of no byte leaves the connection to the next question: ${framing}`, async () => {
      const said = await twoQuestions(question('/public/first', framing));
      assert.deepEqual(said.match(/HTTP\/1\.1 \d+/g), ['HTTP/1.1 200', 'HTTP/1.1 200']);
    });
  }

  test('by a real nginx does not spoil the next person’s request', async () => {
    await using application = await startUpstream();
    await using nginx = await startNginx({
      gateway: `127.0.0.1:${gateway.port}`,
      servers: (port) => protectedServer({ port, application: application.url }),
      spoil: (snippet) => snippet.replace('    proxy_set_header Content-Length "";\n', ''),
    });
    const visitor = new Visitor(nginx.port, [appHost]);
    await visitor.signIn('alice', gateway.passwords.get('staff:alice') as string);
    for (const body of ['a=1', 'x'.repeat(5_000), 'x'.repeat(300_000)]) {
      assert.equal((await visitor.ask('/upload', { method: 'POST', body })).status, 200);
      const neighbour = await ask({ port: nginx.port, path: '/public/x', headers: [appHost] });
      assert.equal(neighbour.status, 200);
    }
  });
});
