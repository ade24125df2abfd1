import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { TestGateway } from '#test/servers/gateway.ts';
import { startUpstream, type TestUpstream, valuesOf } from '#test/servers/upstream.ts';
import { type Answer, ask, askAsNginx } from '#test/support/http-client.ts';
import { siteConfig, startSite } from './site.ts';

type Header = readonly [string, string];

let upstream: TestUpstream;
let gateway: TestGateway;
before(async () => {
  upstream = await startUpstream();
  const rules = [
    { networks: ['198.51.100.0/24'], access: 'deny' },
    { networks: ['203.0.113.0/24', '2001:db8::/32', '127.0.0.0/8'], access: 'public' },
  ];
  gateway = await startSite(undefined, {
    ...siteConfig(),
    applications: [{ name: 'app', hosts: ['app.example.test'], upstream: upstream.url, rules }],
  });
});
after(async () => {
  await gateway[Symbol.asyncDispose]();
  await upstream[Symbol.asyncDispose]();
});

const proxied = async (...headers: readonly Header[]): Promise<Answer> =>
  await ask({ port: gateway.port, headers: [['Host', 'app.example.test'], ...headers] });
const forwardAuth = async (...headers: readonly Header[]): Promise<Answer> =>
  await askAsNginx(gateway.port, 'https://app.example.test/', headers);

describe('the client of a request', () => {
  const rows: { name: string; headers: readonly Header[]; status: number }[] = [
    {
      name: 'an open network by Forwarded',
      headers: [['Forwarded', 'for=203.0.113.9;proto=https']],
      status: 200,
    },
    { name: 'IPv6 by Forwarded', headers: [['Forwarded', 'for="[2001:db8::9]:4711"']], status: 200 },
    { name: 'a denied network by Forwarded', headers: [['Forwarded', 'for=198.51.100.9']], status: 403 },
    {
      name: 'a denied network, behind an open one the client made up',
      headers: [['Forwarded', 'for=203.0.113.9, for=198.51.100.9']],
      status: 403,
    },
    {
      name: 'a denied network, in a second field',
      headers: [
        ['Forwarded', 'for=203.0.113.9'],
        ['Forwarded', 'for=198.51.100.9'],
      ],
      status: 403,
    },
    {
      name: 'an open network by both fields',
      headers: [
        ['Forwarded', 'for=203.0.113.9'],
        ['X-Forwarded-For', '203.0.113.9'],
      ],
      status: 200,
    },
  ];
  for (const { name, headers, status } of rows) {
    test(`is from ${name}: ${status}`, async () => {
      assert.equal((await forwardAuth(...headers)).status, status);
      assert.equal((await proxied(...headers)).status, status);
    });
  }

  const contradictions: { name: string; headers: readonly Header[] }[] = [
    {
      name: 'out of a denied network',
      headers: [
        ['X-Forwarded-For', '198.51.100.9'],
        ['Forwarded', 'for=203.0.113.9'],
      ],
    },
    {
      name: 'by a field nobody can read, to the address of the proxy',
      headers: [
        ['X-Forwarded-For', '198.51.100.9'],
        ['Forwarded', 'for="'],
      ],
    },
    {
      name: 'the other way round',
      headers: [
        ['X-Forwarded-For', '203.0.113.9'],
        ['Forwarded', 'for=198.51.100.9'],
      ],
    },
  ];
  for (const { name, headers } of contradictions) {
    test(`cannot be moved ${name}: the request is refused`, async () => {
      const before = upstream.started;
      assert.equal((await forwardAuth(...headers)).status, 403);
      assert.equal((await proxied(...headers)).status, 400);
      assert.equal(upstream.started, before);
    });
  }

  test('is told to the application in one field, and the other is removed', async () => {
    await proxied(['Forwarded', 'for=203.0.113.9;host=evil.test']);
    const { headers } = upstream.received.at(-1) as { headers: readonly string[] };
    assert.deepEqual(valuesOf(headers, 'Forwarded'), []);
    assert.deepEqual(valuesOf(headers, 'X-Forwarded-For'), ['203.0.113.9']);
  });
});

describe('a second description of the original request is refused, also where the first would do', () => {
  for (const header of [
    ['X-Forwarded-Proto', 'https'],
    ['X-Forwarded-Host', 'app.example.test'],
    ['X-Forwarded-Method', 'GET'],
    ['X-Forwarded-Uri', '/'],
    ['X-Original-URI', '/'],
    ['X-Original-Method', 'GET'],
    ['X-Original-URL', 'https://app.example.test/'],
  ] as const) {
    test(header[0], async () => {
      assert.equal((await forwardAuth(header, header)).status, 403);
    });
  }
});
