import assert from 'node:assert/strict';
import { createSecretKey } from 'node:crypto';
import { after, before, describe, test } from 'node:test';
import { preauthMac } from '#src/preauth/mint.ts';
import { key, startMail } from '#test/preauth/site.ts';
import { impossible, vectors } from '#test/preauth/vectors.ts';
import { type Answer, ask } from '#test/support/http-client.ts';
import { startZimbra, type TestZimbra } from './zimbra.ts';

type Parameters = Readonly<Record<string, string | undefined>>;

/** What a link of ours says, but for `change`; signed after the change. */
function link(change: Parameters = {}, signedAs: { isAdmin?: boolean } = {}): URLSearchParams {
  const { account = 'alice@example.test', ...rest } = change;
  const timestamp = Number(rest['timestamp'] ?? Date.now());
  const expires = Number(rest['expires'] ?? 0);
  const isSound = Number.isSafeInteger(timestamp) && Number.isSafeInteger(expires) && account !== '';
  const values = { account, by: 'name', timestamp, expires, isAdmin: signedAs.isAdmin ?? false } as const;
  const preauth = isSound ? preauthMac(values, createSecretKey(Buffer.from(key))) : 'x';
  const all = { account, timestamp: String(timestamp), expires: String(expires), preauth, ...rest };
  const written = Object.entries({ ...all, ...change }).filter(([, value]) => value !== undefined);
  return new URLSearchParams(written as [string, string][]);
}

let zimbra: TestZimbra;
let carbonio: TestZimbra;
before(async () => {
  zimbra = await startMail();
  carbonio = await startMail({ product: 'carbonio' });
});
after(async () => {
  await zimbra[Symbol.asyncDispose]();
  await carbonio[Symbol.asyncDispose]();
});

async function get(url: string, query: URLSearchParams): Promise<Answer> {
  const path = `/service/preauth${query.size === 0 ? '' : `?${query.toString()}`}`;
  return await ask({ port: Number(new URL(url).port), path });
}

describe('the servlet says no in these words', () => {
  const cases: readonly (readonly [name: string, query: () => URLSearchParams, text: string])[] = [
    ['no parameter', () => new URLSearchParams(), 'invalid request: missing required param: preauth'],
    [
      'no account',
      () => link({ account: undefined, preauth: 'x' }),
      'invalid request: missing required param: account',
    ],
    [
      'no timestamp',
      () => link({ timestamp: undefined }),
      'invalid request: missing required param: timestamp',
    ],
    ['no expires', () => link({ expires: undefined }), 'invalid request: missing required param: expires'],
    ['empty preauth', () => link({ preauth: '' }), 'invalid request: preAuth must not be empty'],
    [
      'wrong preauth',
      () => link({ preauth: '0'.repeat(40) }),
      'authentication failed for [alice@example.test]',
    ],
    [
      'unknown account',
      () => link({ account: 'x@example.test' }),
      'authentication failed for [x@example.test]',
    ],
    ['no such kind', () => link({ by: 'Name' }), 'invalid request: unknown key: Name'],
    [
      '301 s ago',
      () => link({ timestamp: String(Date.now() - 301_000) }),
      'authentication failed for [alice@example.test]',
    ],
    [
      '301 s ahead',
      () => link({ timestamp: String(Date.now() + 301_000) }),
      'authentication failed for [alice@example.test]',
    ],
    [
      'seconds instead of milliseconds',
      () => link({ timestamp: String(Math.floor(Date.now() / 1_000)) }),
      'authentication failed for [alice@example.test]',
    ],
    [
      'a domain without a key',
      () => link({ account: 'nokey@keyless.test' }),
      'invalid request: domain is not configured for preauth',
    ],
    [
      'a closed account',
      () => link({ account: 'gone@example.test' }),
      'account is not active:gone@example.test',
    ],
    ['maintenance', () => link({ account: 'away@example.test' }), 'account is in maintenance mode'],
    [
      'a token nobody issued',
      () => new URLSearchParams({ isredirect: '1', authtoken: 'x' }),
      'authtoken is invalid',
    ],
    ['a redirectURL', () => link({ redirectURL: '/zimbra/' }), 'Bad Request'],
  ];
  for (const [name, query, text] of cases) {
    test(`${name}: ${text}`, async () => {
      const answer = await get(zimbra.url, query());
      assert.equal(answer.status, 400);
      assert.ok(answer.body.includes(`HTTP ERROR 400 ${text}</h2>`), answer.body);
    });
  }

  test('a timestamp that is no number is an error of its own', async () => {
    assert.equal((await get(zimbra.url, link({ timestamp: 'now' }))).status, 500);
  });

  test('an administrator without the right is told so, on the port of administrators', async () => {
    const asAdmin = link({ admin: '1' }, { isAdmin: true });
    const answer = await get(zimbra.adminUrl, asAdmin);
    assert.ok(answer.body.includes('permission denied: not an admin account'), answer.body);
    const root = link({ account: 'root1@example.test', admin: '1' }, { isAdmin: true });
    assert.equal((await get(zimbra.adminUrl, root)).headers.location, `${zimbra.adminUrl}/zimbraAdmin`);
    assert.equal((await get(zimbra.url, root)).status, 400);
  });

  test('Carbonio leads to its own pages, cuts a redirectURL to its path, and says one thing otherwise', async () => {
    assert.equal((await get(carbonio.url, link())).headers.location, `${carbonio.url}/`);
    const elsewhere = await get(carbonio.url, link({ redirectURL: 'https://evil.test/x' }));
    assert.equal(elsewhere.headers.location, `${carbonio.url}/x`);
    const used = await get(carbonio.url, new URLSearchParams({ authtoken: 'x' }));
    assert.ok(used.body.includes('authtoken is invalid/or not registered'));
    assert.match(elsewhere.values('set-cookie').join(), /; Secure; SameSite=Lax$/);
  });

  test('ten failures lock an account, in the same words', async () => {
    await using strict = await startMail();
    for (let i = 0; i < 10; i++) await get(strict.url, link({ preauth: 'x' }));
    const answer = await get(strict.url, link());
    assert.ok(answer.body.includes('authentication failed for [alice@example.test]'));
  });

  test('an end in 1970 is accepted, and the web client asks for a password', async () => {
    const answer = await get(zimbra.url, link({ expires: '3600000' }));
    assert.equal(answer.status, 302);
    const [cookie = ''] = answer.values('set-cookie').join().split(';');
    const page = await ask({
      port: Number(new URL(zimbra.url).port),
      path: '/zimbra/mail',
      headers: [['Cookie', cookie]],
    });
    assert.ok(page.body.includes('Web Client Log In'));
  });
});

describe('signatures, checked by the server itself', () => {
  for (const { name, key: digits, account, by, admin, expires, timestamp, mac } of vectors) {
    test(`takes the published one: ${name}`, async () => {
      const [local = '', domain = 'default.test'] = account.split('@');
      await using server = await startZimbra({
        domains: { [domain]: digits },
        accounts: [
          {
            name: by === 'name' ? `${local}@${domain}` : `x@${domain}`,
            foreignPrincipal: account,
            isAdmin: true,
          },
        ],
        clockOffsetMs: timestamp - Date.now(),
      });
      const query = new URLSearchParams({
        account,
        by,
        timestamp: String(timestamp),
        expires: String(expires),
        preauth: mac.toUpperCase(),
        ...(admin ? { admin: '1' } : {}),
      });
      assert.equal((await get(admin ? server.adminUrl : server.url, query)).status, 302);
    });
  }

  for (const { account, admin, mac } of impossible) {
    for (const timestamp of ['1579862639', '1579862639000']) {
      test(`refuses what a guide prints for ${account} at ${timestamp}`, async () => {
        await using server = await startZimbra({
          domains: { 'company.ru': '9b34da63e5c1cba4cf7eb8262bacb18f712f6abafb02cf670234cb9bca63cb31' },
          accounts: [{ name: account, isAdmin: true }],
          clockOffsetMs: Number(timestamp) - Date.now(),
        });
        const query = new URLSearchParams({ account, timestamp, expires: '0', preauth: mac });
        if (admin) query.set('admin', '1');
        for (const url of [server.url, server.adminUrl]) {
          const answer = await get(url, query);
          assert.equal(answer.status, 400);
          assert.ok(answer.body.includes(`authentication failed for [${account}]`));
        }
      });
    }
  }
});
