import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Answerer, answerOf, PoolSite } from '#test/proxy/http1/pool-site.ts';
import { until } from '#test/support/until.ts';

const chunked = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n';
const interim = 'HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n';
const megabyte = Buffer.alloc(1_048_576, 'x');

describe('a server', () => {
  const isSlow = { code: 'UPSTREAM_TIMEOUT' };
  /** Sends a byte again and again. */
  const drip =
    (before: string, byte: string): Answerer =>
    ({ socket }) => {
      socket.write(before);
      const timer = setInterval(() => socket.write(byte), 20);
      socket.once('close', () => clearInterval(timer));
      socket.once('end', () => clearInterval(timer));
    };

  const slow: readonly { name: string; answer: Answerer; timeouts: { head?: number; idle?: number } }[] = [
    { name: 'says nothing', answer: () => undefined, timeouts: { head: 100 } },
    {
      name: 'says only the beginning of a head',
      answer: ({ socket }) => void socket.write('HTTP/1.1 200'),
      timeouts: { head: 100 },
    },
    {
      name: 'says its head byte by byte',
      answer: drip('HTTP/1.1 200 OK\r\nX: ', 'a'),
      timeouts: { head: 300 },
    },
    {
      name: 'says no more than an interim answer',
      answer: ({ socket }) => void socket.write(interim),
      timeouts: { head: 100 },
    },
    {
      name: 'falls silent behind its head',
      answer: ({ socket }) => void socket.write(chunked),
      timeouts: { idle: 100 },
    },
    {
      name: 'falls silent within its body',
      answer: ({ socket }) => void socket.write(answerOf('hello').slice(0, -1)),
      timeouts: { idle: 100 },
    },
    {
      name: 'neither ends its answer nor the connection',
      answer: ({ socket }) => void socket.write('HTTP/1.1 200 OK\r\n\r\nhello'),
      timeouts: { idle: 100 },
    },
  ];

  for (const { name, answer, timeouts } of slow) {
    test(`that ${name} is given up`, async () => {
      await using site = await PoolSite.start(answer, { timeouts });
      const asker = await site.answered();
      assert.equal(asker.error?.code, isSlow.code);
      await until(() => site.open === 0);
    });
  }

  test('that answers bit by bit is waited for', async () => {
    const text = 'a slow one';
    await using site = await PoolSite.start(
      ({ socket }) => {
        socket.write(answerOf(text).slice(0, -text.length));
        let at = 0;
        const timer = setInterval(() => {
          socket.write(text.charAt(at));
          if (++at === text.length) clearInterval(timer);
        }, 60);
      },
      { timeouts: { head: 300, idle: 300 } },
    );
    const asker = await site.answered();
    assert.deepEqual([asker.end, asker.body], ['answered', text]);
  });

  test('that took its time for the head has all of it for the body', async () => {
    await using site = await PoolSite.start(
      ({ socket }) => {
        setTimeout(() => socket.write(answerOf('hello').slice(0, -5)), 900);
        setTimeout(() => socket.write('hello'), 1_000);
      },
      { timeouts: { idle: 500 } },
    );
    assert.equal((await site.answered()).body, 'hello');
  });

  test('is not to blame for an asker that pauses', async () => {
    await using site = await PoolSite.start(
      ({ socket }) => void socket.write(answerOf('hello').slice(0, -1)),
      {
        timeouts: { idle: 60 },
      },
    );
    const asker = site.ask();
    asker.reactions.onData = () => asker.connection?.pause(asker);
    await until(() => asker.pieces.length > 0);
    // Many times what it may be silent.
    await sleep(600);
    site.accepted[0]?.socket.write('o');
    asker.connection?.resume(asker);
    assert.equal(await asker.ended(), 'answered');
  });

  test('is not to blame for a request that comes slowly', async () => {
    await using site = await PoolSite.start(
      (accepted) =>
        void until(() => accepted.received.endsWith('0\r\n\r\n')).then(() =>
          accepted.socket.write(answerOf('')),
        ),
      { timeouts: { head: 100 } },
    );
    const body = new PassThrough();
    const asker = site.ask({ method: 'POST', body });
    await sleep(600);
    body.end('at last');
    assert.equal(await asker.ended(), 'answered');
  });

  test('that does not read the request is given up', async () => {
    await using site = await PoolSite.start(({ socket }) => void socket.pause(), { timeouts: { head: 200 } });
    const body = new Readable({
      read() {
        this.push(megabyte);
      },
    });
    const asker = await site.answered({ method: 'POST', body });
    assert.equal(asker.error?.code, isSlow.code);
    body.destroy();
  });
});

describe('a connection without a request is given up', () => {
  const timeouts = { head: 60_000, idle: 60_000, kept: 30_000 };
  /** The first look may come at once, and the second one a second later: what is found by the fourth one is older than 3 s. */
  const rows: readonly { name: string; fields: readonly string[]; looks: number }[] = [
    { name: 'in time', fields: [], looks: 31 },
    { name: 'in time, however long the server would keep it', fields: ['Keep-Alive: timeout=75'], looks: 31 },
    { name: 'a second before the server does', fields: ['Keep-Alive: timeout=5'], looks: 4 },
    { name: 'at once where there is no such second', fields: ['Keep-Alive: timeout=2'], looks: 1 },
    { name: 'at once where the server keeps none', fields: ['Keep-Alive: timeout=0'], looks: 1 },
  ];

  for (const { name, fields, looks } of rows) {
    test(name, async () => {
      await using site = await PoolSite.start(({ socket }) => void socket.write(answerOf('', ...fields)));
      const asker = site.ask();
      let count = 0;
      // Before the pool looks by itself.
      asker.reactions.onEnd = () => {
        while (asker.connection?.isGone === false) {
          count++;
          asker.connection.look(1_000, timeouts);
        }
      };
      assert.equal(await asker.ended(), 'answered');
      assert.equal(count, looks);
    });
  }
});
