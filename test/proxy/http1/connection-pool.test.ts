import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { Connector } from '#src/proxy/http1/connect.ts';
import {
  type Accepted,
  type Answerer,
  answerOf,
  closed,
  PoolSite,
  RecordingAsker,
} from '#test/proxy/http1/pool-site.ts';
import { freePort } from '#test/support/free-port.ts';
import { until } from '#test/support/until.ts';

const switching = 'HTTP/1.1 101 Switching Protocols\r\n\r\n';
const says: Answerer = ({ socket }, path) =>
  void socket.write(path === '/upgrade' ? switching : answerOf(path));

/** Answers nothing by itself, and remembers who asked for what. */
function holding(): { answer: Answerer; held: Map<string, Accepted> } {
  const held = new Map<string, Accepted>();
  return { answer: (accepted, path) => void held.set(path, accepted), held };
}

describe('connections', () => {
  test('are kept, and the one used last is used next', async () => {
    const { answer, held } = holding();
    await using site = await PoolSite.start(answer);
    const first = site.ask({ path: '/first' });
    const second = site.ask({ path: '/second' });
    await until(() => held.size === 2);
    held.get('/second')?.socket.write(answerOf(''));
    await second.ended();
    held.get('/first')?.socket.write(answerOf(''));
    await first.ended();
    for (const path of ['/third', '/fourth']) {
      const asker = site.ask({ path });
      await until(() => held.get(path));
      held.get(path)?.socket.write(answerOf(''));
      await asker.ended();
      assert.equal(asker.connection, first.connection);
    }
    assert.equal(site.accepted.length, 2);
  });

  test('carry one request at a time', async () => {
    const { answer, held } = holding();
    await using site = await PoolSite.start(answer, { connections: 1 });
    site.ask({ path: '/first' });
    const second = site.ask({ path: '/second' });
    await until(() => held.get('/first'));
    // Nothing of the second one may come before the first one is answered.
    held.get('/first')?.socket.write(answerOf('first').slice(0, -1));
    await until(() => site.askers[0]?.body === 'firs');
    assert.equal(second.connection, undefined);
    held.get('/first')?.socket.write('t');
    await until(() => held.get('/second'));
    held.get('/second')?.socket.write(answerOf('second'));
    await second.ended();
    assert.equal(second.body, 'second');
    assert.equal(site.accepted.length, 1);
  });

  test('are as many as allowed, and who waits is served in order', async () => {
    const { answer, held } = holding();
    await using site = await PoolSite.start(answer, { connections: 2 });
    const paths = Array.from({ length: 7 }, (_, i) => `/${i}`);
    for (const path of paths) site.ask({ path });
    for (const [i, path] of paths.entries()) {
      const accepted = await until(() => held.get(path), { what: path });
      assert.ok(held.size <= i + 2);
      accepted.socket.write(answerOf(path));
      await site.askers[i]?.ended();
      assert.equal(site.askers[i]?.body, path);
    }
    assert.equal(site.accepted.length, 2);
  });

  test('that are closed while idle are not used', async () => {
    await using site = await PoolSite.start(says);
    await site.answered({ path: '/first' });
    site.accepted[0]?.socket.end();
    await until(() => site.open === 0);
    assert.equal((await site.answered({ path: '/second' })).body, '/second');
  });

  test('that the server closes as the next request comes are not used', async () => {
    await using site = await PoolSite.start(says);
    await site.answered({ path: '/first' });
    await until(() => site.askers[0]?.end);
    // Both in one turn of the event loop.
    site.accepted[0]?.socket.end();
    assert.equal((await site.answered({ path: '/second' })).body, '/second');
    assert.equal(site.accepted.length, 2);
  });

  test('that say something while idle are closed', async () => {
    await using site = await PoolSite.start(says);
    await site.answered();
    site.accepted[0]?.socket.write('\r\n');
    await until(() => site.open === 0);
  });

  test('never answer the next request with what nobody asked for', async () => {
    await using site = await PoolSite.start(says);
    for (let i = 0; i < 20; i++) {
      await site.answered({ path: `/${i}` });
      await until(() => site.open === 1);
      // Both in one turn of the event loop, and without Nagle: the bytes are there before the request is.
      site.accepted.at(-1)?.socket.write(answerOf('EVIL!'));
      const next = await site.answered({ path: '/next' });
      assert.deepEqual([next.end, next.body], ['answered', '/next']);
    }
  });

  test('are closed when they were idle for long', async () => {
    await using site = await PoolSite.start(says, { timeouts: { kept: 100 } });
    await Promise.all([site.answered(), site.answered()]);
    await until(() => site.open === 0);
  });

  test('are closed before the server said it would', async () => {
    const isKept =
      (fields: string): Answerer =>
      ({ socket }) =>
        void socket.write(answerOf('', fields));
    // The head of an answer gives the period of the looks: they are short.
    const timeouts = { head: 1_000 };
    await using brief = await PoolSite.start(isKept('Keep-Alive: timeout=1'), { timeouts });
    await using long = await PoolSite.start(isKept('Keep-Alive: timeout=60'), { timeouts });
    await Promise.all([brief.answered(), long.answered()]);
    await until(() => brief.open === 0);
    assert.equal(long.open, 1);
  });
});

describe('who waits for a connection', () => {
  test('and withdraws is told nothing, and holds nobody up', async () => {
    const { answer, held } = holding();
    await using site = await PoolSite.start(answer, { connections: 1 });
    site.ask({ path: '/first' });
    const second = site.ask({ path: '/second' });
    site.ask({ path: '/third' });
    await until(() => held.get('/first'));
    site.withdraw(second);
    held.get('/first')?.socket.write(answerOf(''));
    await until(() => held.get('/third'));
    assert.equal(held.has('/second'), false);
    // Of another request of the pool, or of one that is under way, it is no withdrawal.
    site.pool.withdraw(site.askers[2] as RecordingAsker);
    site.pool.withdraw(new RecordingAsker());
    held.get('/third')?.socket.write(answerOf(''));
    assert.equal(await site.askers[2]?.ended(), 'answered');
  });

  test('and does not want it any more leaves it to the next one', async () => {
    await using site = await PoolSite.start(says, { connections: 1 });
    const asker = new RecordingAsker();
    asker.isWanted = false;
    site.ask({ path: '/unwanted' }, asker);
    assert.equal((await site.answered({ path: '/next' })).body, '/next');
    assert.equal(site.accepted.length, 1);
    assert.doesNotMatch(site.accepted[0]?.received ?? '', /unwanted/);
  });

  test('with a request that cannot be said is told, and leaves it to the next one', async () => {
    await using site = await PoolSite.start(says, { connections: 1 });
    const wrong = site.ask({ headers: ['X', 'a\r\nY: b'] });
    assert.equal((await site.answered({ path: '/next' })).body, '/next');
    assert.equal(wrong.error?.code, 'REQUEST_MALFORMED');
    assert.equal(wrong.connection, undefined);
    assert.equal(site.accepted.length, 1);
  });

  test('is told when there is none to be had, each by itself', async () => {
    const connector = new Connector({ host: '127.0.0.1', port: await freePort() }, 5_000);
    await using site = await PoolSite.start(says, { connections: 2, connector });
    const askers = Array.from({ length: 5 }, () => site.ask());
    for (const asker of askers) {
      assert.equal(await asker.ended(), 'failed');
      assert.equal(asker.error?.code, 'ECONNREFUSED');
    }
  });

  test('gets that of an asker that gave up', async () => {
    const { answer, held } = holding();
    await using site = await PoolSite.start(answer, { connections: 1 });
    const first = site.ask({ path: '/first' });
    site.ask({ path: '/second' });
    await until(() => held.get('/first'));
    first.connection?.abort(first, new Error('given up'));
    const accepted = await until(() => held.get('/second'));
    accepted.socket.write(answerOf('second'));
    assert.equal(await site.askers[1]?.ended(), 'answered');
  });
});

describe('what becomes another protocol', () => {
  test('gets a connection of its own, and leaves kept ones alone while there may be more', async () => {
    await using site = await PoolSite.start(says, { connections: 2 });
    await site.answered();
    assert.equal(await site.ask({ path: '/upgrade', isUpgrade: true }).ended(), 'upgraded');
    await site.answered();
    assert.equal(site.accepted.length, 2);
    assert.equal(site.open, 2);
  });

  test('takes the place of the connection that was idle longest when all are open', async () => {
    const { answer, held } = holding();
    await using site = await PoolSite.start(answer, { connections: 2 });
    for (const path of ['/old', '/young']) site.ask({ path });
    for (const [i, path] of ['/old', '/young'].entries()) {
      (await until(() => held.get(path))).socket.write(answerOf(''));
      await site.askers[i]?.ended();
    }
    site.ask({ path: '/upgrade', isUpgrade: true });
    await until(() => held.get('/upgrade'));
    assert.equal(held.get('/old')?.isClosed, true);
    assert.equal(held.get('/young')?.isClosed, false);
    held.get('/upgrade')?.socket.write(switching);
    assert.equal(await site.askers[2]?.ended(), 'upgraded');
  });

  test('waits when all are busy', async () => {
    const { answer, held } = holding();
    await using site = await PoolSite.start(answer, { connections: 1 });
    site.ask({ path: '/first' });
    site.ask({ path: '/upgrade', isUpgrade: true });
    await until(() => held.get('/first'));
    assert.equal(held.size, 1);
    held.get('/first')?.socket.write(answerOf(''));
    (await until(() => held.get('/upgrade'))).socket.write(switching);
    assert.equal(await site.askers[1]?.ended(), 'upgraded');
  });

  test('is no connection of the pool any more', async () => {
    await using site = await PoolSite.start(says, { connections: 1 });
    for (let i = 0; i < 3; i++)
      assert.equal((await site.answered({ path: '/upgrade', isUpgrade: true })).end, 'upgraded');
    assert.equal((await site.answered({ path: '/next' })).body, '/next');
    site.pool.close(closed);
    // The last one alone was the pool's.
    await until(() => site.open === 3);
  });
});

describe('the end of a pool', () => {
  test('is told to everyone: under way, opening, waiting', async () => {
    const { answer, held } = holding();
    await using site = await PoolSite.start(answer, { connections: 2 });
    const underWay = site.ask({ path: '/under-way' });
    await until(() => held.size === 1);
    const others = ['/opening', '/waiting', '/behind'].map((path) => site.ask({ path }));
    // One turn later the second connection is on its way, and the others wait for one.
    await new Promise(setImmediate);
    site.pool.close(closed);
    assert.equal(underWay.error, closed);
    for (const asker of others) {
      assert.equal(await asker.ended(), 'failed');
      assert.equal(asker.error, closed);
    }
    await until(() => site.open === 0);
    assert.equal(held.size, 1);
  });

  test('is told to who asks afterwards, or because of it, and no connection is opened for them', async () => {
    const { answer, held } = holding();
    await using site = await PoolSite.start(answer);
    const first = site.ask({ path: '/first' });
    await until(() => held.size === 1);
    // As a request is that is tried once more; the one beside it waits for the end of this turn.
    first.reactions.onFailed = () => void site.ask({ path: '/again' });
    site.ask({ path: '/beside' });
    site.pool.close(closed);
    await until(() => site.askers.every(({ end }) => end === 'failed'));
    const later = site.ask({ path: '/later' });
    later.reactions.onFailed = () => void site.ask({ path: '/last' });
    await until(() => site.askers[4]?.end);
    assert.equal(site.askers.length, 5);
    assert.ok(site.askers.every(({ error }) => error === closed));
    assert.equal(site.accepted.length, 1);
  });
});
