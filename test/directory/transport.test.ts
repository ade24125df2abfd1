import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createAuthority } from '#test/servers/certificates.ts';
import { ber, message, result, startScriptedLdapServer, tags } from '#test/servers/scripted-ldap-server.ts';
import { type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { startTcpShim } from '#test/servers/tcp-shim.ts';
import { openDirectory } from './directories.ts';

const authority = await createAuthority();
const other = await createAuthority('Somebody else');
const started: AsyncDisposable[] = [authority, other];
const start = async (
  hosts: readonly string[],
  dates: { from?: string; until?: string } = {},
): Promise<Slapd> => {
  const certificate = await authority.issue({ hosts, ...dates });
  const server = await startSlapd({ tls: { authority, certificate } });
  started.unshift(server);
  return server;
};
const good = await start(['127.0.0.1']);
const expired = await start(['127.0.0.1'], { from: '20200101000000Z', until: '20200201000000Z' });
const named = await start(['localhost', 'ldap.example.test']);
after(async () => {
  for (const each of started) await each[Symbol.asyncDispose]();
});

const tls = { caFile: authority.caFile };
const expectations: readonly {
  name: string;
  server: Slapd;
  options?: Record<string, unknown>;
  expect: 'verified' | 'PROVIDER_MISCONFIGURED';
}[] = [
  { name: 'a good certificate', server: good, expect: 'verified' },
  {
    name: 'an unknown authority',
    server: good,
    options: { tls: { caFile: other.caFile } },
    expect: 'PROVIDER_MISCONFIGURED',
  },
  {
    name: "only the system's authorities",
    server: good,
    options: { tls: {} },
    expect: 'PROVIDER_MISCONFIGURED',
  },
  { name: 'an expired certificate', server: expired, expect: 'PROVIDER_MISCONFIGURED' },
  {
    name: 'a certificate for localhost when an address is asked',
    server: named,
    expect: 'PROVIDER_MISCONFIGURED',
  },
  {
    name: 'a certificate for the configured server name',
    server: named,
    options: { tls: { ...tls, serverName: 'ldap.example.test' } },
    expect: 'verified',
  },
  {
    name: 'another configured server name',
    server: named,
    options: { tls: { ...tls, serverName: 'other.example.test' } },
    expect: 'PROVIDER_MISCONFIGURED',
  },
];

for (const { name, server, options = { tls }, expect } of expectations) {
  for (const mode of ['ldaps', 'StartTLS'] as const) {
    test(`${mode}, ${name}: ${expect}, and no secret crosses the wire in clear text`, async () => {
      await using shim = await startTcpShim(mode === 'ldaps' ? server.securePort : server.port);
      await using corp = openDirectory({
        servers: [`${mode === 'ldaps' ? 'ldaps' : 'ldap'}://127.0.0.1:${shim.port}`],
        options: { startTls: mode === 'StartTLS', ...options },
      });
      const outcome = corp.judge('alice', 'alice-password').catch((error: { code: string }) => error.code);
      assert.equal(await outcome, expect);
      assert.ok(shim.sent.length > 0);
      for (const secret of ['alice-password', 'vratar-password', 'cn=vratar']) {
        assert.ok(!shim.sent.includes(secret), `${secret} was sent in clear text`);
      }
    });
  }
}

test('the shim of these tests does see what a plain connection sends', async () => {
  await using shim = await startTcpShim(good.port);
  await using corp = openDirectory({ servers: [`ldap://127.0.0.1:${shim.port}`] });
  assert.equal(await corp.judge('alice', 'alice-password'), 'verified');
  assert.ok(shim.sent.includes('alice-password'));
});

const oneBind = (bytes: Buffer) => bytes.includes('password');

const startTlsAnswers: readonly { name: string; answer: Buffer | undefined; code: string }[] = [
  { name: 'refused (52)', answer: result(1, 0x78, 52), code: 'PROVIDER_UNAVAILABLE' },
  { name: 'not known (2)', answer: result(1, 0x78, 2), code: 'PROVIDER_MISCONFIGURED' },
  { name: 'never answered', answer: undefined, code: 'PROVIDER_UNAVAILABLE' },
  { name: 'answered for another message', answer: result(2, 0x78, 0), code: 'PROVIDER_PROTOCOL' },
  {
    name: 'answered with a bind response',
    answer: result(1, tags.bindResponse, 0),
    code: 'PROVIDER_PROTOCOL',
  },
  { name: 'answered with an empty response', answer: message(1, ber(0x78)), code: 'PROVIDER_PROTOCOL' },
  {
    name: 'answered with bytes behind it',
    answer: Buffer.concat([result(1, 0x78, 0), result(2, tags.bindResponse, 0)]),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'answered with two gigabytes announced',
    answer: Buffer.from('3084800000000201', 'hex'),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'answered with HTTP',
    answer: Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'),
    code: 'PROVIDER_PROTOCOL',
  },
  { name: 'accepted, then no handshake follows', answer: result(1, 0x78, 0), code: 'PROVIDER_UNAVAILABLE' },
];

for (const { name, answer, code } of startTlsAnswers) {
  test(`StartTLS ${name}: ${code} in time, and nothing is sent in clear text`, async () => {
    await using server = await startScriptedLdapServer((request) =>
      request.tag === tags.extended ? answer : undefined,
    );
    await using corp = openDirectory({
      servers: [server.url],
      options: { startTls: true, tls },
      timings: { connectMs: 400, probeMs: 400, wholeMs: 3_000 },
    });
    const startedAt = performance.now();
    await assert.rejects(corp.verify('alice', 'alice-password'), { code });
    assert.ok(performance.now() - startedAt < 4_500);
    assert.ok(server.requests.length > 0);
    assert.ok(!server.requests.some(({ bytes }) => oneBind(bytes)));
  });
}

test('a StartTLS connection that is reset is opened anew under TLS, never in clear text', async () => {
  await using shim = await startTcpShim(good.port);
  await using corp = openDirectory({
    servers: [`ldap://127.0.0.1:${shim.port}`],
    options: { startTls: true, tls },
  });
  for (let round = 0; round < 3; round++) {
    assert.equal(await corp.judge('alice', 'alice-password'), 'verified');
    shim.reset();
  }
  assert.ok(!shim.sent.includes('password'));
});

test('ldaps to a plain port and ldap to a TLS port fail in time', async () => {
  for (const url of [`ldaps://127.0.0.1:${good.port}`, `ldap://127.0.0.1:${good.securePort}`]) {
    await using corp = openDirectory({
      servers: [url],
      options: { tls },
      timings: { connectMs: 500, probeMs: 500 },
    });
    const startedAt = performance.now();
    await assert.rejects(corp.verify('alice', 'alice-password'), { name: 'GatewayError' });
    assert.ok(performance.now() - startedAt < 4_500);
  }
});
