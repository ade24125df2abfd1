/** A proxy that listens while everything goes wrong around StartTLS: no name and no password is ever sent in clear. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createAuthority } from '#test/servers/certificates.ts';
import { result, startScriptedLdapServer, tags } from '#test/servers/scripted-ldap-server.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { startTcpShim, type TcpShim } from '#test/servers/tcp-shim.ts';
import { until } from '#test/support/until.ts';
import { openDirectory, type TestDirectory } from './directories.ts';

const authority = await createAuthority();
const certificate = await authority.issue({ hosts: ['127.0.0.1'] });
const server = await startSlapd({ tls: { authority, certificate } });
after(async () => {
  await server[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
});

const tls = { caFile: authority.caFile };
const secrets = ['alice-password', 'vratar-password', 'cn=vratar', 'uid=alice', '(uid='];
const timings = { connectMs: 500, probeMs: 500, wholeMs: 5_000, retryMs: [50], slowRetryMs: [50] };

function assertNothingInClear(sent: Buffer): void {
  assert.ok(sent.length > 0, 'the proxy saw nothing');
  for (const secret of secrets) assert.ok(!sent.includes(secret), `${secret} was sent in clear text`);
}

const harms: readonly { name: string; harm: (shim: TcpShim, corp: TestDirectory) => Promise<void> }[] = [
  {
    name: 'bytes are put behind the answer to StartTLS',
    harm: async (shim) => {
      shim.reset();
      shim.append = result(2, tags.bindResponse, 0);
    },
  },
  {
    name: 'connections are reset again and again in the handshake',
    harm: async (shim, corp) => {
      for (let round = 0; round < 3; round++) {
        shim.holdsHandshakes = true;
        shim.reset();
        const signIn = corp.judge('alice', 'alice-password').catch(() => undefined);
        await until(() => shim.held > 0, { timeoutMs: 30_000, what: 'a handshake' });
        shim.reset();
        shim.holdsHandshakes = false;
        await signIn;
      }
    },
  },
  {
    name: 'connections under TLS are reset',
    harm: async (shim) => shim.reset(),
  },
  {
    name: 'the network swallows everything for a while',
    harm: async (shim, corp) => {
      shim.isSilent = true;
      await corp.judge('alice', 'alice-password').catch(() => undefined);
      shim.reset();
      shim.isSilent = false;
    },
  },
  {
    name: 'the server is killed and comes back',
    harm: async (_shim, corp) => {
      await server.kill();
      await corp.judge('alice', 'alice-password').catch(() => undefined);
      await server.restart();
    },
  },
];

for (const { name, harm } of harms) {
  test(`${name}: sign-ins go on under TLS, and nothing is sent in clear text`, async () => {
    await using shim = await startTcpShim(server.port);
    await using corp = openDirectory({
      servers: [`ldap://127.0.0.1:${shim.port}`],
      options: { startTls: true, tls },
      timings,
    });
    assert.equal(await corp.judge('alice', 'alice-password'), 'verified');
    await harm(shim, corp);
    const outcome = await until(
      async () => await corp.judge('alice', 'alice-password').catch(() => undefined),
      {
        timeoutMs: 30_000,
        what: 'a sign-in afterwards',
      },
    );
    assert.equal(outcome, 'verified');
    assertNothingInClear(shim.sent);
  });
}

test('clear text in a packet of its own before the handshake ends the connection', async () => {
  const received: Buffer[] = [];
  await using liar = await startScriptedLdapServer((request, socket) => {
    if (request.tag !== tags.extended) return undefined;
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    setTimeout(() => socket.write(result(2, tags.bindResponse, 0)), 20);
    return result(1, 0x78, 0);
  });
  await using corp = openDirectory({ servers: [liar.url], options: { startTls: true, tls }, timings });
  await assert.rejects(corp.verify('alice', 'alice-password'), { name: 'GatewayError' });
  assertNothingInClear(Buffer.concat(received));
});

test('a server that plays StartTLS and then goes on in clear text learns nothing', async () => {
  const received: Buffer[] = [];
  await using liar = await startScriptedLdapServer((request, socket) => {
    socket.on('data', (chunk: Buffer) => received.push(chunk));
    if (request.tag === tags.extended) return result(request.messageId, 0x78, 0);
    return result(request.messageId, tags.bindResponse, 0);
  });
  await using corp = openDirectory({ servers: [liar.url], options: { startTls: true, tls }, timings });
  for (let attempt = 0; attempt < 3; attempt++) {
    await assert.rejects(corp.verify('alice', 'alice-password'), { name: 'GatewayError' });
  }
  assertNothingInClear(Buffer.concat(received));
});
