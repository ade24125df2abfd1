import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import { Outgoing, type OutgoingOptions } from '#src/lib/outgoing.ts';
import { createAuthority } from '#test/servers/certificates.ts';
import { type Behaviour, startUpstream } from '#test/servers/upstream.ts';
import { freePort } from '#test/support/free-port.ts';

const limits = { timeoutMs: 20_000, maxResponseBytes: 1_000 };

async function asking(
  behaviour: Behaviour | undefined,
  work: (outgoing: Outgoing) => Promise<void>,
  options: Partial<OutgoingOptions> = {},
): Promise<void> {
  await using server = await startUpstream(behaviour);
  await using outgoing = new Outgoing({ origin: server.url, ...limits, ...options });
  await work(outgoing);
}

const failsAs = (code: string) => (error: unknown) => error instanceof GatewayError && error.code === code;

const get = { method: 'GET', path: '/' } as const;

describe('a request of our own', () => {
  test('brings status, headers and body', async () => {
    await asking(undefined, async (outgoing) => {
      const answer = await outgoing.request({
        method: 'POST',
        path: '/x?y',
        body: 'abc',
        headers: { a: 'b' },
      });
      assert.equal(answer.status, 200);
      assert.equal(answer.headers['content-type'], 'application/json');
      const received = JSON.parse(answer.body.toString()) as { target: string; bodyBytes: number };
      assert.deepEqual([received.target, received.bodyBytes], ['/x?y', 3]);
    });
  });

  test('follows no redirect', async () => {
    let requests = 0;
    await asking(
      (_request, response) => {
        requests++;
        response.writeHead(302, { Location: '/elsewhere' }).end();
      },
      async (outgoing) => {
        assert.equal((await outgoing.request(get)).status, 302);
        assert.equal(requests, 1);
      },
    );
  });

  test('reads no more than it may, and takes no word for it', async () => {
    for (const announced of [{ 'Content-Length': 5_000 }, {}]) {
      await asking(
        (_request, response) => response.writeHead(200, announced).end('x'.repeat(5_000)),
        async (outgoing) => {
          await assert.rejects(outgoing.request(get), failsAs('UPSTREAM_PROTOCOL'));
        },
      );
    }
  });

  for (const [name, behaviour] of [
    ['a server that says nothing', () => {}],
    ['a body that never ends', (_request, response) => response.writeHead(200).write('x')],
  ] satisfies [string, Behaviour][]) {
    test(`ends in time with ${name}`, async () => {
      await asking(
        behaviour,
        async (outgoing) => {
          await assert.rejects(outgoing.request(get), failsAs('UPSTREAM_TIMEOUT'));
        },
        { timeoutMs: 300 },
      );
    });
  }

  test('ends when nobody waits any more', async () => {
    await asking(
      () => {},
      async (outgoing) => {
        await assert.rejects(outgoing.request({ ...get, signal: AbortSignal.timeout(50) }), GatewayError);
      },
    );
  });

  test('tells a server that is away from one that hangs up', async () => {
    await using away = new Outgoing({ origin: `http://127.0.0.1:${await freePort()}`, ...limits });
    await assert.rejects(away.request(get), failsAs('UPSTREAM_UNREACHABLE'));
    await asking(
      (request) => request.socket.destroy(),
      async (outgoing) => {
        await assert.rejects(outgoing.request(get), failsAs('UPSTREAM_RESET'));
      },
    );
  });

  test('goes through no proxy, whatever the environment says', async () => {
    const before = { ...process.env };
    process.env['http_proxy'] = process.env['HTTP_PROXY'] = `http://127.0.0.1:${await freePort()}`;
    try {
      await asking(undefined, async (outgoing) => {
        assert.equal((await outgoing.request(get)).status, 200);
      });
    } finally {
      process.env = before;
    }
  });

  test('trusts an authority that is named, and no other', async () => {
    await using authority = await createAuthority();
    const { certificateFile, keyFile } = await authority.issue({ hosts: ['127.0.0.1'] });
    const server = createSecureServer(
      { cert: readFileSync(certificateFile), key: readFileSync(keyFile) },
      (_request, response) => response.end('hello'),
    );
    await new Promise<void>((resolve) => server.listen({ host: '127.0.0.1', port: 0 }, resolve));
    const origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      await using trusting = new Outgoing({ origin, ...limits, ca: readFileSync(authority.caFile, 'utf8') });
      assert.equal((await trusting.request(get)).body.toString(), 'hello');
      await using careful = new Outgoing({ origin, ...limits });
      await assert.rejects(careful.request(get), failsAs('UPSTREAM_UNREACHABLE'));
    } finally {
      server.closeAllConnections();
      server.close();
    }
  });
});
