import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { type Answerer, answerOf, PoolSite, still, trickle } from '#test/proxy/http1/pool-site.ts';
import { until } from '#test/support/until.ts';

const megabyte = Buffer.alloc(1_048_576, 'x');

describe('the body of a request', () => {
  const answerAtEnd =
    (end: string): Answerer =>
    (accepted) => {
      void until(() => accepted.received.endsWith(end), { timeoutMs: 20_000 }).then(() =>
        accepted.socket.write(answerOf('')),
      );
    };

  test('of a length leaves as it is', async () => {
    await using site = await PoolSite.start(answerAtEnd('\r\n\r\nhello'));
    const body = Readable.from([Buffer.from('he'), Buffer.alloc(0), Buffer.from('llo')]);
    assert.equal((await site.answered({ method: 'POST', body, bodyLength: 5 })).end, 'answered');
    assert.equal(
      (await site.answered({ method: 'POST', body: Readable.from([Buffer.from('hello')]), bodyLength: 5 }))
        .end,
      'answered',
    );
    assert.equal(site.accepted.length, 1);
  });

  test('of unknown length leaves in chunks, of which none is empty but the last', async () => {
    await using site = await PoolSite.start(answerAtEnd('0\r\n\r\n'));
    const body = Readable.from([Buffer.from('hello'), Buffer.alloc(0), Buffer.alloc(17, 'x')]);
    await site.answered({ method: 'POST', body });
    const [, sent] = (site.accepted[0]?.received ?? '').split('\r\n\r\n5');
    assert.equal(sent, `\r\nhello\r\n11\r\n${'x'.repeat(17)}\r\n0\r\n\r\n`);
  });

  const broken: readonly {
    name: string;
    pieces: readonly string[];
    finish: (body: PassThrough) => unknown;
    /** Its code, or its message where it has none. */
    error: string;
  }[] = [
    {
      name: 'is longer than announced',
      pieces: ['hello', '!'],
      finish: (body) => body.end(),
      error: 'REQUEST_MALFORMED',
    },
    {
      name: 'is shorter than announced',
      pieces: ['hell'],
      finish: (body) => body.end(),
      error: 'REQUEST_MALFORMED',
    },
    {
      name: 'breaks',
      pieces: ['hell'],
      finish: (body) => body.destroy(new Error('broken')),
      error: 'broken',
    },
    {
      name: 'is cut off without a word',
      pieces: ['hell'],
      finish: (body) => body.destroy(),
      error: 'the request was cut off',
    },
  ];

  for (const { name, pieces, finish, error } of broken) {
    test(`that ${name} ends its connection, and no byte too many leaves`, async () => {
      await using site = await PoolSite.start(() => undefined);
      const body = new PassThrough();
      const asker = site.ask({ method: 'POST', body, bodyLength: 5 });
      await until(() => asker.connection);
      for (const piece of pieces) {
        body.write(piece);
        await until(() => body.readableLength === 0);
      }
      finish(body);
      assert.equal(await asker.ended(), 'failed');
      assert.equal(asker.error?.code ?? asker.error?.message, error);
      await until(() => site.open === 0 && site.accepted.length === 1);
      assert.doesNotMatch(site.accepted[0]?.received ?? '', /!/);
    });
  }

  test('that broke while its request waited fails the request, not the connection', async () => {
    await using site = await PoolSite.start(({ socket }) => void socket.write(answerOf('')), {
      connections: 1,
    });
    const body = new PassThrough();
    body.on('error', () => undefined);
    const first = site.ask();
    const second = site.ask({ method: 'POST', body });
    body.destroy(new Error('cut'));
    assert.equal(await second.ended(), 'failed');
    assert.equal(second.error?.message, 'cut');
    assert.equal(second.connection, undefined);
    assert.equal(await first.ended(), 'answered');
    await site.answered();
    assert.equal(site.accepted.length, 1);
  });

  for (const then of ['stays', 'ends'] as const) {
    test(`that is answered before its end ends there, and so does the connection when the server ${then}`, async () => {
      await using site = await PoolSite.start(({ socket }) => {
        if (then === 'ends') socket.end(answerOf('early'));
        else socket.write(answerOf('early'));
      });
      const { body, stop } = trickle();
      const asker = await site.answered({ method: 'POST', body, bodyLength: 1_000_000 });
      assert.equal(asker.end, 'answered');
      assert.equal(asker.body, 'early');
      await until(() => site.open === 0);
      stop();
      assert.equal(body.destroyed, false);
      assert.equal(body.isPaused(), true);
      assert.equal(body.listenerCount('data'), 0);
      body.on('error', () => undefined).destroy(new Error('later, and nobody’s concern'));
    });
  }

  test('that is answered until the end of the connection before its own end is answered whole', async () => {
    await using site = await PoolSite.start(({ socket }) => void socket.end('HTTP/1.1 413 X\r\n\r\nearly'));
    const { body, stop } = trickle();
    const asker = await site.answered({ method: 'POST', body });
    stop();
    assert.deepEqual([asker.end, asker.head?.status, asker.body], ['answered', 413, 'early']);
  });

  test('waits for a server that does not read', async () => {
    await using site = await PoolSite.start(({ socket }) => void socket.pause());
    let read = 0;
    const body = new Readable({
      read() {
        read += megabyte.length;
        this.push(megabyte);
      },
    });
    const asker = site.ask({ method: 'POST', body });
    assert.ok((await still(() => read)) < 20 * megabyte.length, `${read} bytes`);
    asker.connection?.abort(asker, new Error('enough'));
    body.destroy();
  });
});
