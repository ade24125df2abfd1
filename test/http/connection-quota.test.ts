import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { ConnectionQuota, clientOf } from '#src/http/connection-quota.ts';
import { until } from '#test/support/until.ts';

interface Guarded extends AsyncDisposable {
  readonly reached: string[];
  /** Whether the connection stays open. */
  open(localAddress: string): Promise<boolean>;
  readonly held: Set<Socket>;
}

async function guarded(perAddress: number): Promise<Guarded> {
  const reached: string[] = [];
  const held = new Set<Socket>();
  const quota = new ConnectionQuota({
    perAddress,
    isExempt: (address) => address === '127.9.9.9',
    onReached: (client) => reached.push(client),
  });
  const server = createServer((socket) => {
    socket.on('error', () => undefined);
    // Shown twice, as a connection is whose upgrade was refused.
    if (!quota.admit(socket) || !quota.admit(socket)) socket.destroy();
    else socket.write('.');
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  return {
    reached,
    held,
    open: async (localAddress) => {
      const socket = connect({ port, host: '127.0.0.1', localAddress });
      socket.on('error', () => undefined);
      held.add(socket);
      socket.once('close', () => held.delete(socket));
      return await new Promise((resolve) => {
        socket.once('data', () => resolve(true));
        socket.once('close', () => resolve(false));
      });
    },
    [Symbol.asyncDispose]: async () => {
      for (const socket of held) socket.destroy();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

describe('the connections of one address', () => {
  test('are bounded, and those of others are not touched', async () => {
    await using site = await guarded(3);
    for (const expected of [true, true, true, false, false])
      assert.equal(await site.open('127.0.0.2'), expected);
    assert.equal(await site.open('127.0.0.3'), true);
    assert.deepEqual(site.reached, ['127.0.0.2'], 'said once');
    for (let i = 0; i < 10; i++) assert.equal(await site.open('127.9.9.9'), true, 'a front proxy');
  });

  test('have room again when they close', async () => {
    await using site = await guarded(2);
    for (const expected of [true, true, false]) assert.equal(await site.open('127.0.0.2'), expected);
    for (const socket of site.held) socket.destroy();
    await until(async () => await site.open('127.0.0.2'), { what: 'room for another connection' });
  });
});

describe('a client is told apart by', () => {
  const cases: readonly (readonly [string, string])[] = [
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8:1:2::9', '2001:db8:1:2::/64'],
    ['2001:db8::9', '2001:db8:0:0::/64'],
    ['2001:0DB8:0001::', '2001:db8:1:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ];
  for (const [address, client] of cases) {
    test(`${address}: ${client}`, () => assert.equal(clientOf(address), client));
  }
});
