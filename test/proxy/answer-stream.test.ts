import assert from 'node:assert/strict';
import { once } from 'node:events';
import { get, type IncomingMessage } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';

const content = Buffer.alloc(60, 'abc').toString();
const chunks = 50_000;
const server = createServer((socket) => {
  socket.on('error', () => undefined);
  socket.once('data', () => {
    socket.write('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n');
    socket.end(`${`3c\r\n${content}\r\n`.repeat(chunks)}0\r\n\r\n`);
  });
});
let gateway: TestGateway;

before(async () => {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const upstream = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  gateway = await startGateway({
    config: {
      providers: [],
      applications: [{ name: 'app', hosts: ['app.localhost'], upstream, rules: [{ access: 'public' }] }],
    },
  });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  server.close();
});

test('an answer of many small chunks waits for its client once at a time, and comes whole', async () => {
  const warnings: string[] = [];
  const onWarning = ({ message }: Error): number => warnings.push(message);
  process.on('warning', onWarning);
  const request = get({
    port: gateway.port,
    host: '127.0.0.1',
    headers: { host: 'app.localhost' },
    agent: false,
  });
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  let body = '';
  for await (const bytes of answer) {
    body += String(bytes);
    // Slower than the server.
    await sleep(1);
  }
  process.off('warning', onWarning);
  assert.ok(body === content.repeat(chunks));
  assert.deepEqual(warnings, []);
});
