import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { type Answerer, answerOf, PoolSite, still } from '#test/proxy/http1/pool-site.ts';
import { until } from '#test/support/until.ts';

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const megabytes = 50;
const megabyte = Buffer.alloc(1_048_576, 'x');

/** Fifty megabytes, at the pace of whoever reads; `sent` counts what left. */
function endless(framing: 'length' | 'chunked'): { answer: Answerer; sent: () => number } {
  let sent = 0;
  const answer: Answerer = ({ socket }) => {
    const isChunked = framing === 'chunked';
    socket.write(
      isChunked ? chunked : `HTTP/1.1 200 OK\r\nContent-Length: ${megabytes * megabyte.length}\r\n\r\n`,
    );
    let left = megabytes;
    const next = (): void => {
      if (left-- === 0) {
        if (isChunked) socket.write('0\r\n\r\n');
        return;
      }
      if (isChunked) socket.write('100000\r\n');
      socket.write(megabyte, () => {
        sent += megabyte.length;
        next();
      });
      if (isChunked) socket.write('\r\n');
    };
    next();
  };
  return { answer, sent: () => sent };
}

describe('an asker', () => {
  for (const framing of ['length', 'chunked'] as const) {
    test(`that pauses holds the server back, and gets all in the end: ${framing}`, async () => {
      const { answer, sent } = endless(framing);
      await using site = await PoolSite.start(answer);
      const asker = site.ask();
      asker.reactions.onData = () => {
        if (asker.pieces.length === 1) asker.connection?.pause(asker);
      };
      await until(() => asker.pieces.length > 0);
      // What the two kernels hold is all that may leave.
      assert.ok((await still(sent)) < 20 * megabyte.length, `${sent()} bytes`);
      assert.ok(Buffer.concat(asker.pieces).length <= 65_536);
      asker.connection?.resume(asker);
      assert.equal(await asker.ended(), 'answered');
      assert.equal(asker.body.length, megabytes * megabyte.length);
    });
  }

  test('that gives up ends its connection, and hears of it once', async () => {
    await using site = await PoolSite.start(
      ({ socket }) => void socket.write(answerOf('hello').slice(0, -1)),
    );
    const asker = site.ask();
    await until(() => asker.body === 'hell');
    const error = new Error('given up');
    asker.connection?.abort(asker, error);
    asker.connection?.abort(asker, new Error('again'));
    assert.equal(asker.error, error);
    await until(() => site.open === 0);
  });

  test('whose answer ended has no say any more over the connection', async () => {
    await using site = await PoolSite.start(({ socket }, path) => {
      if (path === '/first') socket.write(answerOf('first'));
      else socket.write(answerOf('second').slice(0, -1));
    });
    const first = await site.answered({ path: '/first' });
    const second = site.ask({ path: '/second' });
    await until(() => second.body === 'secon');
    assert.equal(second.connection, first.connection);
    first.connection?.pause(first);
    first.connection?.abort(first, new Error('late'));
    site.accepted[0]?.socket.write('d');
    assert.equal(await second.ended(), 'answered');

    // A pause is the asker's own to end.
    const third = site.ask({ path: '/third' });
    await until(() => third.pieces.length > 0);
    third.connection?.pause(third);
    first.connection?.resume(first);
    site.accepted[0]?.socket.write('d');
    await nextTurn();
    assert.equal(third.end, undefined);
    third.connection?.resume(third);
    assert.equal(await third.ended(), 'answered');
    assert.equal(site.accepted.length, 1);
  });

  test('that pauses at the end of its answer holds nobody else up', async () => {
    await using site = await PoolSite.start(({ socket }) => {
      socket.write(`${chunked}3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n`);
    });
    const first = site.ask();
    first.reactions.onData = () => first.connection?.pause(first);
    assert.equal(await first.ended(), 'answered');
    assert.equal((await site.answered()).body, 'hello');
    assert.equal(site.accepted.length, 1);
  });

  type Callback = 'onHead' | 'onData' | 'onEnd';
  const answers: readonly { name: string; bytes: string; hears: readonly Callback[] }[] = [
    { name: 'a length', bytes: answerOf('hello'), hears: ['onHead', 'onEnd'] },
    { name: 'half a body', bytes: answerOf('hello').slice(0, -2), hears: ['onHead', 'onData'] },
    {
      name: 'chunks',
      bytes: `${chunked}1\r\na\r\n1\r\nb\r\n1\r\nc\r\n0\r\n\r\n`,
      hears: ['onHead', 'onData', 'onEnd'],
    },
    {
      name: 'half of the chunks',
      bytes: `${chunked}1\r\na\r\n1\r\nb\r\n1\r\nc`,
      hears: ['onHead', 'onData'],
    },
    {
      name: 'chunks that break',
      bytes: `${chunked}1\r\na\r\n1\r\nb\r\n1\r\nc\r\nZ`,
      hears: ['onHead', 'onData'],
    },
    {
      name: 'a body until the end of the connection',
      bytes: 'HTTP/1.1 200 OK\r\n\r\nhello',
      hears: ['onHead', 'onData', 'onEnd'],
    },
  ];

  for (const { name, bytes, hears } of answers) {
    const answer: Answerer = ({ socket }, path) => {
      // What an answer before it left behind must not be taken for this one's.
      if (path === '/first') socket.write(answerOf('first'));
      else if (hears.includes('onEnd')) socket.end(bytes);
      else socket.write(bytes);
    };

    for (const callback of hears) {
      if (callback !== 'onEnd') {
        test(`that gives up in ${callback} hears of nothing behind it: ${name}`, async () => {
          await using site = await PoolSite.start(answer);
          await site.answered({ path: '/first' });
          const asker = site.ask();
          const error = new Error('given up');
          asker.reactions[callback] = () => asker.connection?.abort(asker, error);
          assert.equal(await asker.ended(), 'failed');
          assert.equal(asker.error, error);
          assert.equal(asker.pieces.length, callback === 'onHead' ? 0 : 1);
          await until(() => site.open === 0);
        });
      }

      test(`that throws in ${callback} fails by itself, and loses its connection: ${name}`, async () => {
        await using site = await PoolSite.start(answer);
        await site.answered({ path: '/first' });
        const asker = site.ask();
        const error = new Error('a fault of ours');
        asker.reactions[callback] = () => {
          throw error;
        };
        assert.equal(await asker.ended(), 'failed');
        assert.equal(asker.error, error);
        await until(() => site.open === 0);
      });
    }
  }
});
