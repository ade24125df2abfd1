/** One reset of everything between the gateway and a server that lives costs nobody a sign-in. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { createAuthority } from '#test/servers/certificates.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { startTcpShim, type TcpShim } from '#test/servers/tcp-shim.ts';
import { until } from '#test/support/until.ts';
import { openDirectory, type TestDirectory } from './directories.ts';

const authority = await createAuthority();
const certificate = await authority.issue({ hosts: ['127.0.0.1'] });
const server = await startSlapd({ tls: { authority, certificate }, bulk: { people: 10, teams: 2 } });
after(async () => {
  await server[Symbol.asyncDispose]();
  await authority[Symbol.asyncDispose]();
});

const tls = { caFile: authority.caFile };
const person = (n: number): [string, string] => {
  const number = String(n).padStart(6, '0');
  return [`u${number}`, `password-${number}`];
};

const transports: readonly {
  name: string;
  port: number;
  open: (shim: TcpShim) => TestDirectory;
}[] = [
  {
    name: 'StartTLS',
    port: server.port,
    open: (shim) =>
      openDirectory({ servers: [`ldap://127.0.0.1:${shim.port}`], options: { startTls: true, tls } }),
  },
  {
    name: 'ldaps',
    port: server.securePort,
    open: (shim) => openDirectory({ servers: [`ldaps://127.0.0.1:${shim.port}`], options: { tls } }),
  },
];

for (const { name, port, open } of transports) {
  test(`${name}: the proof of life and a sign-in are both reset in the handshake, and the sign-in goes on`, async () => {
    await using shim = await startTcpShim(port);
    shim.holdsHandshakes = true;
    await using corp = open(shim);
    const signIn = corp.judge(...person(1));
    await until(() => shim.held === 2, { what: 'two connections in the middle of the handshake' });
    shim.holdsHandshakes = false;
    shim.reset();
    assert.equal(await signIn, 'verified');
    assert.deepEqual(corp.log.of('directory-server-unavailable'), []);
  });

  test(`${name}: the proof of life alone is reset in the handshake, and the server stays available`, async () => {
    await using shim = await startTcpShim(port);
    shim.holdsHandshakes = true;
    await using corp = open(shim);
    await until(() => shim.held === 1, { what: 'a connection in the middle of the handshake' });
    shim.holdsHandshakes = false;
    shim.reset();
    await until(() => corp.directory.health().servers[0]?.available, { what: 'the proof of life' });
    assert.deepEqual(corp.log.of('directory-server-unavailable'), []);
    assert.equal(shim.accepted, 2);
  });

  test(`${name}: ten people at once find every connection reset, and all of them sign in`, async () => {
    await using shim = await startTcpShim(port);
    await using corp = open(shim);
    const all = async () => await Promise.all(Array.from({ length: 10 }, (_, n) => corp.judge(...person(n))));
    assert.deepEqual(new Set(await all()), new Set(['verified']));
    shim.reset();
    // In the same turn of the event loop: nobody knows of the reset yet.
    assert.deepEqual(new Set(await all()), new Set(['verified']));
    assert.deepEqual(corp.log.of('directory-server-unavailable'), []);
  });

  test(`${name}: idle connections that break on use are given up together, so that a bind is sent twice at most`, async () => {
    await using shim = await startTcpShim(port);
    await using corp = open(shim);
    // So slow that the binds overlap and each has a connection of its own.
    shim.delayMs = 50;
    const signIns = Array.from({ length: 10 }, (_, n) => corp.judge(...person(n)));
    assert.deepEqual(new Set(await Promise.all(signIns)), new Set(['verified']));
    shim.delayMs = 0;
    assert.ok(shim.open >= 4, `only ${shim.open} connections are open`);
    shim.forget();
    assert.equal(await corp.judge(...person(1)), 'verified');
    assert.deepEqual(corp.log.of('directory-server-unavailable'), []);
  });
}
