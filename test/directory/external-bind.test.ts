/** The service account known by a certificate: no password anywhere, and what becomes of it when the files change. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { chmod, copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { createServer as createTlsServer } from 'node:tls';
import { checkDirectory } from '#src/directory/check.ts';
import { directoryOptions } from '#src/directory/options.ts';
import { readLines } from '#test/config/reading.ts';
import { accounts } from '#test/servers/accounts.ts';
import { type Certificate, createAuthority } from '#test/servers/certificates.ts';
import { startDirsrv, whyNoDirsrv } from '#test/servers/dirsrv.ts';
import { peopleOfAccounts } from '#test/servers/dirsrv-data.ts';
import { ber, message, result, tags } from '#test/servers/scripted-ldap-server.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { service } from '#test/servers/slapd-data.ts';
import { startTcpShim } from '#test/servers/tcp-shim.ts';
import { until } from '#test/support/until.ts';
import { openDirectory, parseOptions } from './directories.ts';

const authority = await createAuthority();
const other = await createAuthority('Somebody else');
const certificate = await authority.issue({ hosts: ['127.0.0.1'] });
const known = await authority.issue({ hosts: ['vratar'] });
const untrusted = await other.issue({ hosts: ['vratar'] });
const server = await startSlapd({
  tls: { authority, certificate },
  globalLines: ['TLSVerifyClient try', `authz-regexp "^cn=vratar$" "${service.dn}"`],
});
const folder = await mkdtemp(join(tmpdir(), 'vratar-external-'));
after(async () => {
  for (const each of [server, authority, other]) await each[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const byCertificate = (files: Certificate, more: Record<string, unknown> = {}) => ({
  bind: { method: 'external' },
  tls: { caFile: authority.caFile, ...files },
  ...more,
});
const alice = ['alice', 'alice-password'] as const;

for (const mode of ['ldaps', 'StartTLS'] as const) {
  test(`${mode}: searches run as whom the certificate names, and binds of people as themselves`, async () => {
    const url = mode === 'ldaps' ? server.secureUrl : server.url;
    const options = byCertificate(known, { startTls: mode === 'StartTLS' });
    await server.clearOperations();
    await using corp = openDirectory({ servers: [url], options });
    // Anonymous sees nobody there.
    assert.equal(await corp.judge(...alice), 'verified');
    assert.equal(await corp.judge('alice', 'wrong'), 'wrong-password');
    const binds = (await server.operations()).filter(({ kind }) => kind === 'bind').map(({ dn }) => dn);
    assert.ok(!binds.includes(service.dn), 'a password of the service account was used');
    assert.deepEqual(
      await checkDirectory(parseOptions([url], options), { signal: AbortSignal.timeout(30_000) }),
      [],
    );
  });
}

test('a server that does not ask for certificates makes it a matter of configuration, and the check says which', async () => {
  await using plain = await startSlapd({ tls: { authority, certificate } });
  const options = byCertificate(known);
  await using corp = openDirectory({ servers: [plain.secureUrl], options });
  await assert.rejects(corp.verify(...alice), { code: 'PROVIDER_MISCONFIGURED' });
  const findings = await checkDirectory(parseOptions([plain.secureUrl], options), {
    signal: AbortSignal.timeout(30_000),
  });
  assert.deepEqual(
    findings.map(({ code, path }) => ({ code, path })),
    [{ code: 'service-account-refused', path: ['bind'] }],
  );
});

test('a server that demands a certificate gets it, also when the service account has a password', async () => {
  await using strict = await startSlapd({
    tls: { authority, certificate },
    globalLines: ['TLSVerifyClient demand'],
  });
  const files = { caFile: authority.caFile, ...known };
  await using corp = openDirectory({ servers: [strict.secureUrl], options: { tls: files } });
  assert.equal(await corp.judge(...alice), 'verified');
  await using bare = openDirectory({
    servers: [strict.secureUrl],
    options: { tls: { caFile: authority.caFile } },
  });
  await assert.rejects(bare.verify(...alice), { code: 'PROVIDER_UNAVAILABLE' });
});

async function install({ certificateFile, keyFile }: Certificate): Promise<Certificate> {
  const files = { certificateFile: join(folder, 'own.crt'), keyFile: join(folder, 'own.key') };
  await copyFile(certificateFile, files.certificateFile);
  await copyFile(keyFile, files.keyFile);
  return files;
}

test('files that were replaced are read for the next connection; files that do not fit are not taken', async () => {
  await using shim = await startTcpShim(server.securePort);
  const files = await install(untrusted);
  await using corp = openDirectory({
    servers: [`ldaps://127.0.0.1:${shim.port}`],
    options: byCertificate(files),
    timings: { retryMs: [50], slowRetryMs: [50] },
  });
  await assert.rejects(corp.verify(...alice), { name: 'GatewayError' });
  await install(known);
  const outcome = await until(async () => await corp.judge(...alice).catch(() => undefined), {
    timeoutMs: 30_000,
    what: 'a sign-in with the new certificate',
  });
  assert.equal(outcome, 'verified');
  await writeFile(files.keyFile, readFileSync(untrusted.keyFile));
  shim.reset();
  assert.equal(await corp.judge(...alice), 'verified');
});

const answers: readonly { name: string; answer: Buffer | 'close' | undefined; code: string }[] = [
  { name: 'refused (49)', answer: result(1, tags.bindResponse, 49), code: 'PROVIDER_MISCONFIGURED' },
  { name: 'answered with busy', answer: result(1, tags.bindResponse, 51), code: 'PROVIDER_UNAVAILABLE' },
  {
    name: 'answered for another message',
    answer: result(2, tags.bindResponse, 0),
    code: 'PROVIDER_PROTOCOL',
  },
  { name: 'answered with a search result', answer: result(1, tags.searchDone, 0), code: 'PROVIDER_PROTOCOL' },
  {
    name: 'answered with an empty body',
    answer: message(1, ber(tags.bindResponse)),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'answered twice',
    answer: Buffer.concat([result(1, tags.bindResponse, 0), result(1, tags.bindResponse, 0)]),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'answered with two gigabytes announced',
    answer: Buffer.from('30847fffffff020101', 'hex'),
    code: 'PROVIDER_PROTOCOL',
  },
  { name: 'answered with HTTP', answer: Buffer.from('HTTP/1.1 400\r\n\r\n'), code: 'PROVIDER_PROTOCOL' },
  {
    name: 'answered in part',
    answer: result(1, tags.bindResponse, 0).subarray(0, 5),
    code: 'PROVIDER_UNAVAILABLE',
  },
  { name: 'never answered', answer: undefined, code: 'PROVIDER_UNAVAILABLE' },
  { name: 'answered by the end of the connection', answer: 'close', code: 'PROVIDER_UNAVAILABLE' },
];

for (const { name, answer, code } of answers) {
  test(`a service bind ${name}: ${code}, and no password is sent`, async () => {
    const received: Buffer[] = [];
    const liar = createTlsServer(
      { cert: readFileSync(certificate.certificateFile), key: readFileSync(certificate.keyFile) },
      (socket) => {
        socket.on('error', () => socket.destroy());
        socket.on('data', (chunk: Buffer) => {
          received.push(chunk);
          if (answer === 'close') socket.end();
          else if (answer !== undefined) socket.write(answer);
        });
      },
    ).listen(0, '127.0.0.1');
    await once(liar, 'listening');
    const address = liar.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    try {
      await using corp = openDirectory({
        servers: [`ldaps://127.0.0.1:${port}`],
        options: byCertificate(known),
        timings: { connectMs: 1_000, probeMs: 1_000, wholeMs: 8_000 },
      });
      await assert.rejects(corp.verify(...alice), { code });
    } finally {
      liar.close();
    }
    assert.ok(Buffer.concat(received).includes('EXTERNAL'));
    assert.ok(!Buffer.concat(received).includes('alice-password'));
  });
}

test('389 Directory Server takes the certificate for the service account', {
  skip: whyNoDirsrv() ?? false,
}, async () => {
  await using directory = await startDirsrv();
  await using corp = openDirectory({
    servers: [directory.secureUrl],
    options: {
      kind: 'freeIpa',
      bind: { method: 'external' },
      tls: { caFile: directory.caFile, ...directory.serviceCertificate },
      users: { baseDn: peopleOfAccounts },
      groups: {},
    },
  });
  const [anna] = accounts;
  assert.ok(anna !== undefined);
  assert.equal(await corp.judge(anna.username, anna.password), 'verified');
});

const base = { name: 'corp', kind: 'openLdap', users: { baseDn: 'dc=x' } };
const pair = { certificateFile: known.certificateFile, keyFile: known.keyFile };
const refused: readonly { name: string; change: Record<string, unknown>; path: string; message: RegExp }[] = [
  {
    name: 'EXTERNAL in clear text',
    change: { servers: ['ldap://127.0.0.1'], bind: { method: 'external' }, tls: pair },
    path: 'bind.method',
    message: /ldaps:\/\/ or startTls/,
  },
  {
    name: 'EXTERNAL without a certificate',
    change: { servers: ['ldaps://a'], bind: { method: 'external' } },
    path: 'tls.certificateFile',
    message: /needed/,
  },
  {
    name: 'EXTERNAL with a password',
    change: { servers: ['ldaps://a'], bind: { method: 'external', password: 'x' }, tls: pair },
    path: 'bind.password',
    message: /not with method external/,
  },
  {
    name: 'a certificate without its key',
    change: { servers: ['ldaps://a'], tls: { certificateFile: known.certificateFile } },
    path: 'tls.keyFile',
    message: /belong together/,
  },
  {
    name: 'a DN without a password',
    change: { servers: ['ldaps://a'], bind: { dn: 'cn=x' } },
    path: 'bind.password',
    message: /needed/,
  },
  {
    name: 'discovery without a domain',
    change: { servers: 'srv', users: { baseDn: 'o=x' } },
    path: 'servers',
    message: /names no domain/,
  },
  {
    name: 'discovery in a domain that is none',
    change: { servers: { srv: 'example..com' } },
    path: 'servers',
    message: /example\.com/,
  },
];

for (const { name, change, path, message: expected } of refused) {
  test(`refused with its place: ${name}`, () => {
    const parsed = directoryOptions.safeParse({ ...base, ...change });
    const issues = JSON.stringify(parsed.error?.issues);
    const issue = parsed.error?.issues.find((each) => each.path.join('.') === path);
    assert.match(issue?.message ?? `no issue at ${path}: ${issues}`, expected);
  });
}

for (const { mode, expect } of [
  { mode: 0o600, expect: 0 },
  { mode: 0o640, expect: 1 },
]) {
  test(`a key of mode ${mode.toString(8)} is warned about ${expect} times`, async () => {
    const files = await install(known);
    await chmod(files.keyFile, mode);
    const servers = ['ldaps://ldap.example.com'];
    const { problems, warnings } = readLines(
      JSON.stringify({
        server: { publicUrl: 'https://login.example.com' },
        directories: [{ ...base, servers, bind: { method: 'external' }, tls: files }],
        providers: [{ name: 'corp', type: 'ldap', directory: 'corp' }],
      }),
    );
    assert.deepEqual(problems, []);
    const told = warnings.filter((line) => line.includes('directories[0].tls.keyFile: the file is readable'));
    assert.equal(told.length, expect);
  });
}
