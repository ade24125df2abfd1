import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { answerOf, PoolSite, type Question, trickle } from '#test/proxy/http1/pool-site.ts';
import { until } from '#test/support/until.ts';

interface Row {
  readonly name: string;
  readonly question?: Question;
  /** Sent for the first request; the second one is answered as it should be. */
  readonly bytes: string;
  /** What the server does then. */
  readonly last?: 'end' | 'reset';
  readonly expect: { readonly status?: number; readonly body?: string; readonly code?: string };
  /** Whether the next request goes on the same connection. */
  readonly isReused: boolean;
}

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const interim = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';
const head: Question = { method: 'HEAD' };
const ok = { status: 200 };
const isLost = { code: 'UPSTREAM_RESET' };
const isWrong = { code: 'UPSTREAM_PROTOCOL' };

const rows: readonly Row[] = [
  { name: 'of a length', bytes: answerOf('hello'), expect: { ...ok, body: 'hello' }, isReused: true },
  { name: 'of no length at all', bytes: answerOf(''), expect: { ...ok, body: '' }, isReused: true },
  {
    name: 'in chunks',
    bytes: `${chunked}3\r\nhel\r\n2;a=b\r\nlo\r\n0\r\nX: a\r\n\r\n`,
    expect: { ...ok, body: 'hello' },
    isReused: true,
  },
  { name: 'in no chunk', bytes: `${chunked}0\r\n\r\n`, expect: { ...ok, body: '' }, isReused: true },
  {
    name: 'until the end of the connection',
    bytes: 'HTTP/1.1 200 OK\r\n\r\nhello',
    last: 'end',
    expect: { ...ok, body: 'hello' },
    isReused: false,
  },
  {
    name: 'with the end of the connection behind its head',
    bytes: 'HTTP/1.1 200 OK\r\n\r\n',
    last: 'end',
    expect: { ...ok, body: '' },
    isReused: false,
  },
  {
    name: 'that closes',
    bytes: answerOf('hello', 'Connection: close'),
    expect: { ...ok, body: 'hello' },
    isReused: false,
  },
  {
    name: 'of HTTP/1.0',
    bytes: 'HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello',
    expect: { ...ok, body: 'hello' },
    isReused: false,
  },
  {
    name: '204',
    bytes: 'HTTP/1.1 204 No Content\r\n\r\n',
    expect: { status: 204, body: '' },
    isReused: true,
  },
  {
    name: '204 with chunks, which it cannot have',
    bytes: 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n',
    expect: { status: 204, body: '' },
    isReused: false,
  },
  {
    name: '204 with chunks that are still to come',
    bytes: 'HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n\r\n',
    expect: { status: 204, body: '' },
    isReused: false,
  },
  {
    name: '304 with a length',
    bytes: 'HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\n',
    expect: { status: 304, body: '' },
    isReused: true,
  },
  {
    name: 'to HEAD without a length',
    question: head,
    bytes: 'HTTP/1.1 200 OK\r\n\r\n',
    expect: { ...ok, body: '' },
    isReused: true,
  },
  {
    name: 'to HEAD with a length, whose body may still come',
    question: head,
    bytes: 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n',
    expect: { ...ok, body: '' },
    isReused: false,
  },
  {
    name: 'to HEAD with a body',
    question: head,
    bytes: answerOf('hello'),
    expect: { ...ok, body: '' },
    isReused: false,
  },
  {
    name: 'behind interim ones',
    bytes: `HTTP/1.1 100 Continue\r\n\r\n${interim}${answerOf('hello')}`,
    expect: { ...ok, body: 'hello' },
    isReused: true,
  },
  {
    name: 'behind 32 interim ones',
    bytes: `${interim.repeat(32)}${answerOf('hello')}`,
    expect: { ...ok, body: 'hello' },
    isReused: true,
  },
  { name: 'behind more interim ones', bytes: interim.repeat(33), expect: isWrong, isReused: false },
  {
    name: 'behind an interim one with a body, which it cannot have',
    bytes: `HTTP/1.1 100 Continue\r\nContent-Length: 5\r\n\r\nhello${answerOf('hello')}`,
    expect: isWrong,
    isReused: false,
  },
  {
    name: 'with a second one behind it',
    bytes: answerOf('hello') + answerOf('EVIL!'),
    expect: { ...ok, body: 'hello' },
    isReused: false,
  },
  {
    name: 'in chunks, with a second one behind it',
    bytes: `${chunked}5\r\nhello\r\n0\r\n\r\n${answerOf('EVIL!')}`,
    expect: { ...ok, body: 'hello' },
    isReused: false,
  },
  {
    name: 'with a line end behind it',
    bytes: `${answerOf('hello')}\r\n`,
    expect: { ...ok, body: 'hello' },
    isReused: false,
  },
  { name: 'that is none', bytes: '', last: 'end', expect: isLost, isReused: false },
  {
    name: 'that is none but a reset',
    bytes: '',
    last: 'reset',
    expect: { code: 'ECONNRESET' },
    isReused: false,
  },
  {
    name: 'that ends in its head',
    bytes: 'HTTP/1.1 200 OK\r\nX',
    last: 'end',
    expect: isLost,
    isReused: false,
  },
  { name: 'that ends behind an interim one', bytes: interim, last: 'end', expect: isLost, isReused: false },
  {
    name: 'that ends in its body',
    bytes: answerOf('hello').slice(0, -1),
    last: 'end',
    expect: { ...ok, body: 'hell', ...isLost },
    isReused: false,
  },
  {
    name: 'that ends in its chunks',
    bytes: `${chunked}5\r\nhello\r\n`,
    last: 'end',
    expect: { ...ok, body: 'hello', ...isLost },
    isReused: false,
  },
  {
    name: 'that ends before the end of its last chunk',
    bytes: `${chunked}5\r\nhello\r\n0\r\n`,
    last: 'end',
    expect: { ...ok, body: 'hello', ...isLost },
    isReused: false,
  },
  {
    name: 'whose chunks break the grammar',
    bytes: `${chunked}5\r\nhello!\r\n`,
    expect: { ...ok, ...isWrong },
    isReused: false,
  },
  {
    name: 'whose head breaks the grammar',
    bytes: 'HTTP/1.1 200 OK\r\nX : a\r\n\r\n',
    expect: isWrong,
    isReused: false,
  },
  { name: 'that is no HTTP', bytes: 'SSH-2.0-OpenSSH_9.2\r\n', expect: isWrong, isReused: false },
  {
    name: 'whose head is too large',
    bytes: `HTTP/1.1 200 OK\r\nX: ${'a'.repeat(70_000)}`,
    expect: isWrong,
    isReused: false,
  },
  {
    name: 'that changes the protocol although nobody asked',
    bytes: 'HTTP/1.1 101 Switching Protocols\r\n\r\n',
    expect: isWrong,
    isReused: false,
  },
];

describe('an answer', () => {
  for (const { name, question, bytes, last, expect, isReused } of rows) {
    for (const pieces of [1, 40]) {
      test(`${name}${pieces > 1 ? ', in pieces' : ''}`, async () => {
        await using site = await PoolSite.start(async ({ socket, requests }, path) => {
          if (path !== '/first') {
            socket.write(answerOf('second'));
            return;
          }
          assert.equal(requests, 1);
          const length = Math.max(1, Math.ceil(bytes.length / pieces));
          for (let at = 0; at < bytes.length; at += length) {
            socket.write(bytes.slice(at, at + length), 'latin1');
            if (pieces > 1) await nextTurn();
          }
          if (last === 'end') socket.end();
          if (last === 'reset') socket.resetAndDestroy();
        });
        const { end, head: answered, body, error } = await site.answered({ ...question, path: '/first' });
        assert.equal(end, expect.code === undefined ? 'answered' : 'failed');
        assert.equal(answered?.status, expect.status);
        if (expect.body !== undefined) assert.equal(body, expect.body);
        assert.equal(error?.code, expect.code);
        const second = await site.answered({ path: '/second' });
        assert.equal(second.body, 'second');
        assert.equal(site.accepted.length, isReused ? 1 : 2);
        await until(() => site.open === 1, { what: 'the end of the other connection' });
      });
    }
  }

  test('to HEAD whose body comes in a packet of its own is not the beginning of the next one', async () => {
    await using site = await PoolSite.start(async ({ socket }, path) => {
      if (path !== '/first') {
        socket.write(answerOf('second'));
        return;
      }
      const evil = answerOf('EVIL!');
      socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${evil.length}\r\n\r\n`);
      await nextTurn();
      socket.write(evil);
    });
    const first = site.ask({ ...head, path: '/first' });
    first.reactions.onEnd = () => void site.ask({ path: '/second' });
    await until(() => site.askers[1]?.end);
    assert.equal(site.askers[1]?.body, 'second');
  });

  test('may come behind as many interim ones as the one before it', async () => {
    await using site = await PoolSite.start(({ socket }) => {
      socket.write(interim.repeat(20) + answerOf('hello'));
    });
    for (let i = 0; i < 3; i++) assert.equal((await site.answered()).body, 'hello');
    assert.equal(site.accepted.length, 1);
  });

  test('is handed out in the order it came, whatever its pieces', async () => {
    const body = Buffer.alloc(300_000, 'abcdefghijklmnopqrstuvwxyz0123456789').toString();
    const chunks = Array.from({ length: 300 }, (_, i) => body.slice(i * 1_000, (i + 1) * 1_000));
    const text = chunks.map((chunk) => `3e8\r\n${chunk}\r\n`).join('');
    await using site = await PoolSite.start(({ socket }, path) => {
      if (path === '/chunks') socket.write(`${chunked}${text}0\r\n\r\n`);
      else socket.write(answerOf(body));
    });
    for (const path of ['/chunks', '/length']) assert.equal((await site.answered({ path })).body, body);
    assert.equal(site.accepted.length, 1);
  });

  test('is not mixed with others that come at the same time', async () => {
    const bodyOf = (path: string): string => path.repeat(20_000);
    await using site = await PoolSite.start(({ socket }, path) => void socket.write(answerOf(bodyOf(path))));
    const paths = Array.from({ length: 24 }, (_, i) => `/${i}.`);
    await Promise.all(
      paths.map(async (path) => assert.equal((await site.answered({ path })).body, bodyOf(path))),
    );
  });
});

describe('a change of the protocol', () => {
  const switching = 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n';

  test('hands over the connection with what came behind the head, and all that follows', async () => {
    await using site = await PoolSite.start(
      ({ socket }) => void socket.write(`${switching}\x81\x01a`, 'latin1'),
    );
    const asker = await site.answered({ isUpgrade: true });
    assert.equal(asker.end, 'upgraded');
    assert.equal(asker.head?.status, 101);
    const { socket } = asker;
    assert.ok(socket !== undefined);
    let text = '';
    socket.on('data', (bytes: Buffer) => (text += bytes.toString('latin1')));
    socket.resume();
    await until(() => text.length === 3);
    site.accepted[0]?.socket.write('more');
    await until(() => text === '\x81\x01amore');
    socket.write('out');
    await until(() => site.accepted[0]?.received.endsWith('out'));
    let isEnded = false;
    socket.on('end', () => (isEnded = true));
    site.accepted[0]?.socket.end();
    await until(() => isEnded);
  });

  test('leaves what becomes of the connection to whoever has it, a reset too', async () => {
    await using site = await PoolSite.start(({ socket }) => void socket.write(switching));
    const asker = await site.answered({ isUpgrade: true });
    let error: unknown;
    asker.socket?.on('error', (caught) => (error = caught));
    asker.socket?.resume();
    site.accepted[0]?.socket.resetAndDestroy();
    await until(() => error);
    assert.equal(asker.end, 'upgraded');
  });

  test('within the body of the request is refused', async () => {
    await using site = await PoolSite.start(({ socket }) => void socket.write(switching));
    const { body, stop } = trickle();
    const asker = await site.answered({ method: 'POST', body, isUpgrade: true });
    stop();
    assert.equal(asker.error?.code, 'UPSTREAM_PROTOCOL');
  });

  test('that is declined is an answer like any other, and its connection serves others', async () => {
    await using site = await PoolSite.start(({ socket }) => void socket.write(answerOf('no')));
    const asker = await site.answered({ isUpgrade: true });
    assert.deepEqual([asker.end, asker.body], ['answered', 'no']);
    for (let i = 0; i < 3; i++) assert.equal((await site.answered()).body, 'no');
    assert.equal(site.accepted.length, 1);
  });

  test('that its asker cannot take fails, and ends the connection', async () => {
    await using site = await PoolSite.start(({ socket }) => void socket.write(switching));
    const asker = site.ask({ isUpgrade: true });
    asker.reactions.onUpgraded = () => {
      throw new Error('a fault of ours');
    };
    assert.equal(await asker.ended(), 'failed');
    await until(() => site.open === 0);
  });
});
