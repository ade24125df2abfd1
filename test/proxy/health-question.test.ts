import assert from 'node:assert/strict';
import { once } from 'node:events';
import { type AddressInfo, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { HealthQuestion } from '#src/proxy/health-question.ts';
import { Connector } from '#src/proxy/http1/connect.ts';
import { until } from '#test/support/until.ts';

/** Every `everyMs`; ends with the socket. */
function repeat(socket: Socket, bytes: string, everyMs: number): void {
  const timer = setInterval(() => socket.write(bytes), everyMs);
  socket.once('close', () => clearInterval(timer));
}

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';

interface Row {
  readonly name: string;
  readonly answer: (socket: Socket) => void;
  /** `undefined`: it works. */
  readonly refusal?: RegExp;
  /** Whether the connection is kept for the next question. */
  readonly isKept: boolean;
}

const rows: readonly Row[] = [
  {
    name: 'that answers works',
    answer: (socket) => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'),
    isKept: true,
  },
  {
    name: 'that answers without a body works',
    answer: (socket) => socket.write('HTTP/1.1 204 No Content\r\n\r\n'),
    isKept: true,
  },
  {
    name: 'that points elsewhere works, and nobody goes there',
    answer: (socket) =>
      socket.write('HTTP/1.1 302 Found\r\nLocation: /elsewhere\r\nContent-Length: 0\r\n\r\n'),
    isKept: true,
  },
  {
    name: 'that answers until the end of the connection works',
    answer: (socket) => socket.end('HTTP/1.0 200 OK\r\n\r\nok'),
    isKept: false,
  },
  {
    name: 'that answers without end works, and is not listened to',
    answer: (socket) => {
      socket.write(chunked);
      repeat(socket, `2000\r\n${'x'.repeat(0x2000)}\r\n`, 1);
    },
    isKept: false,
  },
  {
    name: 'that fails',
    answer: (socket) => socket.write('HTTP/1.1 503 Service Unavailable\r\nContent-Length: 0\r\n\r\n'),
    refusal: /503/,
    isKept: true,
  },
  {
    name: 'that does not know the path',
    answer: (socket) => socket.write('HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n'),
    refusal: /404/,
    isKept: true,
  },
  {
    name: 'that fails without end',
    answer: (socket) => {
      socket.write(chunked.replace('200', '500'));
      repeat(socket, `2000\r\n${'x'.repeat(0x2000)}\r\n`, 1);
    },
    refusal: /500/,
    isKept: false,
  },
  { name: 'that says nothing', answer: () => undefined, refusal: /in time|silent/, isKept: false },
  {
    name: 'that says its head byte by byte',
    answer: (socket) => {
      socket.write('HTTP/1.1 200 OK\r\nX: ');
      repeat(socket, 'a', 10);
    },
    refusal: /in time|silent/,
    isKept: false,
  },
  {
    name: 'that says its body byte by byte',
    answer: (socket) => {
      socket.write(chunked);
      repeat(socket, '1\r\na\r\n', 10);
    },
    refusal: /in time/,
    isKept: false,
  },
  { name: 'that hangs up', answer: (socket) => socket.end(), refusal: /closed/, isKept: false },
  {
    name: 'that hangs up within its answer',
    answer: (socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no'),
    refusal: /closed/,
    isKept: false,
  },
  {
    name: 'that speaks another protocol',
    answer: (socket) => socket.write('220 mail.example.com ESMTP\r\n'),
    refusal: /does not speak HTTP/,
    isKept: false,
  },
  {
    name: 'that changes the protocol',
    answer: (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\n\r\n'),
    refusal: /protocol/,
    isKept: false,
  },
];

interface Site extends AsyncDisposable {
  readonly question: HealthQuestion;
  readonly received: string[];
  readonly open: Set<Socket>;
  connections: number;
}

async function siteOf(answer: (socket: Socket) => void, timeoutMs: number): Promise<Site> {
  const open = new Set<Socket>();
  const received: string[] = [];
  const server = createServer((socket) => {
    site.connections++;
    open.add(socket);
    socket.on('error', () => undefined);
    socket.once('close', () => open.delete(socket));
    socket.on('data', (bytes: Buffer) => {
      received.push(bytes.toString('latin1'));
      answer(socket);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const question = new HealthQuestion(
    new Connector({ host: '127.0.0.1', port }, timeoutMs),
    `127.0.0.1:${port}`,
    { path: '/healthz', interval: 60_000, timeout: timeoutMs },
  );
  const site: Site = {
    question,
    received,
    open,
    connections: 0,
    async [Symbol.asyncDispose]() {
      question[Symbol.dispose]();
      server.close();
      await until(() => open.size === 0, { what: 'the end of all connections' });
    },
  };
  return site;
}

describe('a server asked for its health', () => {
  for (const { name, answer, refusal, isKept } of rows) {
    test(refusal === undefined ? name : `${name} does not work`, async () => {
      // Long enough for what ends by itself, on a busy machine too.
      const timeoutMs = /in time/.test(refusal?.source ?? '') ? 250 : 10_000;
      await using site = await siteOf(answer, timeoutMs);
      for (let i = 1; i <= 2; i++) {
        if (refusal === undefined) await site.question.ask();
        else await assert.rejects(async () => await site.question.ask(), refusal);
        await until(() => site.open.size === (isKept ? 1 : 0));
        assert.equal(site.connections, isKept ? 1 : i);
      }
      assert.equal(site.received.length, 2);
      assert.match(site.received[0] ?? '', /^GET \/healthz HTTP\/1\.1\r\nHost: 127\.0\.0\.1:\d+\r\n/);
    });
  }

  test('that cannot be connected to does not work', async () => {
    const site = await siteOf(() => undefined, 5_000);
    await site[Symbol.asyncDispose]();
    await assert.rejects(async () => await site.question.ask());
  });

  test('is asked no more when the gateway ends, and whoever waits is told', async () => {
    const site = await siteOf(() => undefined, 30_000);
    const asked = site.question.ask();
    const behind = site.question.ask();
    await until(() => site.received.length === 1);
    await Promise.all([
      assert.rejects(asked, /the gateway ends/),
      assert.rejects(behind, /the gateway ends/),
      site[Symbol.asyncDispose](),
    ]);
  });

  test('while it does not answer, does not answer whoever waits behind either', async () => {
    await using site = await siteOf(() => undefined, 250);
    const outcomes = await Promise.allSettled([site.question.ask(), site.question.ask()]);
    assert.deepEqual(
      outcomes.map(({ status }) => status),
      ['rejected', 'rejected'],
    );
  });
});
