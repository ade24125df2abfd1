/** Servers that DNS names: which of its records count, and what becomes of sign-ins when they change or DNS is away. */
import assert from 'node:assert/strict';
import { Resolver } from 'node:dns';
import { after, test } from 'node:test';
import fc from 'fast-check';
import { checkDirectory } from '#src/directory/check.ts';
import { serviceNameOf, toServers } from '#src/directory/service-discovery.ts';
import { createAuthority } from '#test/servers/certificates.ts';
import { type NameServer, type ServiceRecord, startNameServer } from '#test/servers/dns.ts';
import { type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { startTcpShim } from '#test/servers/tcp-shim.ts';
import { until } from '#test/support/until.ts';
import { openDirectory, parseOptions, type TestDirectory } from './directories.ts';

const names: readonly {
  name: string;
  servers: string;
  startTls?: boolean;
  expect: { record: string; domain: string } | undefined;
}[] = [
  { name: 'a listed server', servers: 'ldaps://a', expect: undefined },
  {
    name: 'the domain of the base DN',
    servers: 'srv:',
    expect: { record: '_ldaps._tcp.example.com', domain: 'example.com' },
  },
  {
    name: 'StartTLS',
    servers: 'srv:',
    startTls: true,
    expect: { record: '_ldap._tcp.example.com', domain: 'example.com' },
  },
  {
    name: 'another domain',
    servers: 'srv:Berlin.example.org',
    expect: { record: '_ldaps._tcp.Berlin.example.org', domain: 'berlin.example.org' },
  },
  {
    name: "Active Directory's domain controllers",
    servers: 'srv:dc._msdcs.example.com',
    startTls: true,
    expect: { record: '_ldap._tcp.dc._msdcs.example.com', domain: 'example.com' },
  },
  {
    name: "one site's domain controllers",
    servers: 'srv:Berlin._sites.dc._msdcs.example.com',
    expect: { record: '_ldaps._tcp.Berlin._sites.dc._msdcs.example.com', domain: 'example.com' },
  },
];

for (const { name, servers, startTls = false, expect } of names) {
  test(`${name}: asks for ${expect?.record ?? 'nothing'}`, () => {
    const found = serviceNameOf({
      servers: [servers],
      startTls,
      users: { baseDn: 'ou=people, DC=example,dc=com' },
    });
    assert.deepEqual(found && { record: found.record, domain: found.domain }, expect);
  });
}

const example = { record: '_ldaps._tcp.example.com', domain: 'example.com', scheme: 'ldaps' } as const;
const record = (target: string, priority = 0, weight = 0, port = 636) => ({
  name: target,
  port,
  priority,
  weight,
});

const targets: readonly { name: string; target: string; port?: number; urls: string[]; foreign: string[] }[] =
  [
    {
      name: 'a host below the domain',
      target: 'A.Example.com.',
      urls: ['ldaps://a.example.com:636'],
      foreign: [],
    },
    { name: 'the domain itself', target: 'example.com', urls: ['ldaps://example.com:636'], foreign: [] },
    { name: 'a host elsewhere', target: 'evil.test', urls: [], foreign: ['evil.test'] },
    {
      name: 'a domain that ends alike',
      target: 'a.notexample.com',
      urls: [],
      foreign: ['a.notexample.com'],
    },
    {
      name: 'the domain in front of another',
      target: 'example.com.evil.test',
      urls: [],
      foreign: ['example.com.evil.test'],
    },
    { name: 'no such service (RFC 2782)', target: '.', urls: [], foreign: [] },
    { name: 'no such service, as some libraries say it', target: '', urls: [], foreign: [] },
    { name: 'a name that would end the URL', target: 'a.example.com/x', urls: [], foreign: [] },
    { name: 'port 0', target: 'a.example.com', port: 0, urls: [], foreign: [] },
  ];

for (const { name, target, port, urls, foreign } of targets) {
  test(`a record with ${name} gives ${urls.length} servers`, () => {
    const found = toServers([record(target, 0, 0, port)], example, { trustsAnyTarget: false });
    assert.deepEqual(found, { urls, foreign });
  });
}

test('with a configured certificate name a host elsewhere counts as well', () => {
  const found = toServers([record('ldap.test')], example, { trustsAnyTarget: true });
  assert.deepEqual(found, { urls: ['ldaps://ldap.test:636'], foreign: [] });
});

test('servers come in order of priority, whatever is drawn, and none gets lost', () => {
  const records = fc.uniqueArray(
    fc.record({
      host: fc.stringMatching(/^[a-z]{1,8}$/),
      priority: fc.integer({ min: 0, max: 3 }),
      weight: fc.integer({ min: 0, max: 65_535 }),
    }),
    { selector: ({ host }) => host, maxLength: 16 },
  );
  const draws = fc.infiniteStream(fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true }));
  fc.assert(
    fc.property(records, draws, (some, drawn) => {
      const answer = some.map(({ host, priority, weight }) =>
        record(`${host}.example.com`, priority, weight),
      );
      const random = (): number => drawn.next().value as number;
      const { urls } = toServers(answer, example, { trustsAnyTarget: false, random });
      const priorityOf = new Map(
        some.map(({ host, priority }) => [`ldaps://${host}.example.com:636`, priority]),
      );
      const priorities = urls.map((url) => priorityOf.get(url) ?? -1);
      assert.deepEqual(
        priorities,
        priorities.toSorted((a, b) => a - b),
      );
      assert.equal(urls.length, some.length);
    }),
  );
});

test('within a priority the first is drawn in proportion to the weights', () => {
  const answer = [record('light.example.com', 0, 10), record('heavy.example.com', 0, 30)];
  const counts = new Map<string, number>();
  for (let draw = 0; draw < 1_000; draw++) {
    const random = (): number => draw / 1_000;
    const [first = ''] = toServers(answer, example, { trustsAnyTarget: false, random }).urls;
    counts.set(first, (counts.get(first) ?? 0) + 1);
  }
  const heavy = counts.get('ldaps://heavy.example.com:636') ?? 0;
  assert.ok(heavy > 700 && heavy < 800, `${heavy} of 1,000`);
});

const authority = await createAuthority();
const started: AsyncDisposable[] = [authority];
after(async () => {
  for (const each of started) await each[Symbol.asyncDispose]();
});
const start = async (): Promise<Slapd> => {
  const certificate = await authority.issue({ hosts: ['localhost'] });
  const server = await startSlapd({ tls: { authority, certificate } });
  started.unshift(server);
  return server;
};
const first = await start();
const second = await start();

const at = (port: number, more: Partial<ServiceRecord> = {}): ServiceRecord => ({
  record: '_ldaps._tcp.localhost',
  target: 'localhost',
  port,
  ...more,
});

function discover(
  dns: NameServer,
  options: Record<string, unknown> = {},
  timings: Record<string, number> = {},
): TestDirectory {
  const resolver = new Resolver({ timeout: 500, tries: 2 });
  resolver.setServers([dns.address]);
  return openDirectory({
    servers: [],
    options: { servers: { srv: 'localhost' }, tls: { caFile: authority.caFile }, ...options },
    timings: { discoveryMs: 100, discoveryRetryMs: 50, ...timings },
    resolver,
  });
}

const urls = (corp: TestDirectory): string[] => corp.directory.health().servers.map(({ url }) => url);
const url = (port: number): string => `ldaps://localhost:${port}`;
const alice = ['alice', 'alice-password'] as const;

test('the check asks the servers DNS names, and says when it names none', async () => {
  await using dns = await startNameServer([
    at(first.securePort),
    { record: '_ldaps._tcp.example.test', target: 'localhost', port: first.securePort },
  ]);
  const resolver = new Resolver({ timeout: 500, tries: 2 });
  resolver.setServers([dns.address]);
  const check = async (srv: string): Promise<string[]> => {
    const options = parseOptions([], { servers: { srv }, tls: { caFile: authority.caFile } });
    const findings = await checkDirectory(options, { signal: AbortSignal.timeout(30_000), resolver });
    return findings.map(({ path, message }) => `${path.join('.')}: ${message}`);
  };
  assert.deepEqual(await check('localhost'), []);
  assert.deepEqual(await check('nowhere.test'), [
    'servers: DNS has no answer for _ldaps._tcp.nowhere.test (ENOTFOUND); correct servers, or the records in DNS.',
  ]);
  assert.deepEqual(await check('example.test'), [
    'servers: _ldaps._tcp.example.test names no server below example.test, but localhost; correct servers, or the records in DNS.',
  ]);
});

test('the first sign-in waits for DNS and takes the server of the lowest priority', async () => {
  await using dns = await startNameServer([
    at(second.securePort, { priority: 20 }),
    at(first.securePort, { priority: 10 }),
  ]);
  await using corp = discover(dns);
  await first.clearOperations();
  assert.equal(await corp.judge(...alice), 'verified');
  assert.deepEqual(urls(corp), [url(first.securePort), url(second.securePort)]);
  assert.ok((await first.operations()).some(({ kind, dn }) => kind === 'bind' && dn.startsWith('uid=alice')));
});

test('records that change move the sign-ins, and the server left out is left', async () => {
  await using dns = await startNameServer([at(first.securePort)]);
  await using corp = discover(dns, {}, { wholeMs: 1_000 });
  assert.equal(await corp.judge(...alice), 'verified');
  await dns.serve([at(second.securePort)]);
  await until(() => urls(corp).join() === url(second.securePort), {
    timeoutMs: 30_000,
    what: 'the other server',
  });
  assert.equal(await corp.judge(...alice), 'verified');
  await until(async () => (await first.openConnections()) === 0, {
    timeoutMs: 30_000,
    what: 'no connection to the server left out',
  });
});

test('while DNS is away the known servers go on', async () => {
  await using dns = await startNameServer([at(first.securePort)]);
  await using corp = discover(dns);
  assert.equal(await corp.judge(...alice), 'verified');
  await dns.kill();
  const failed = () => corp.log.of('directory-discovery-failed').length;
  await until(() => failed() > 0, { timeoutMs: 30_000, what: 'a question without an answer' });
  assert.equal(await corp.judge(...alice), 'verified');
  assert.deepEqual(urls(corp), [url(first.securePort)]);
});

test('while DNS has no records the known servers go on', async () => {
  await using dns = await startNameServer([at(first.securePort)]);
  await using corp = discover(dns);
  assert.equal(await corp.judge(...alice), 'verified');
  await dns.serve([]);
  const failed = () => corp.log.of('directory-discovery-failed').length;
  await until(() => failed() > 0, { timeoutMs: 30_000, what: 'an answer without records' });
  assert.equal(await corp.judge(...alice), 'verified');
});

test('a start without DNS refuses sign-ins as unavailable, says why, and heals by itself', async () => {
  await using dns = await startNameServer([]);
  await using corp = discover(dns);
  await assert.rejects(corp.verify(...alice), { code: 'PROVIDER_UNAVAILABLE' });
  const [seen] = corp.directory.health().servers;
  assert.equal(seen?.url, '_ldaps._tcp.localhost');
  assert.match(seen?.reason ?? '', /^DNS has no answer for _ldaps\._tcp\.localhost/);
  await dns.serve([at(first.securePort)]);
  await until(() => urls(corp).includes(url(first.securePort)), { timeoutMs: 30_000, what: 'the server' });
  assert.equal(await corp.judge(...alice), 'verified');
});

test('when no known server is available DNS is asked before its time', async () => {
  const going = await start();
  await using dns = await startNameServer([at(going.securePort)]);
  await using corp = discover(dns, {}, { discoveryMs: 3_600_000 });
  assert.equal(await corp.judge(...alice), 'verified');
  await dns.serve([at(first.securePort)]);
  await going.kill();
  const outcome = await until(async () => await corp.judge(...alice).catch(() => undefined), {
    timeoutMs: 30_000,
    what: 'a sign-in at the other server',
  });
  assert.equal(outcome, 'verified');
});

test('a server outside the domain is not even connected to, unless a certificate name is configured', async () => {
  await using shim = await startTcpShim(first.securePort);
  const forged = { record: '_ldaps._tcp.example.test', target: 'localhost', port: shim.port };
  await using dns = await startNameServer([forged]);
  // The domain of the base DN.
  await using corp = discover(dns, { servers: 'srv' });
  await assert.rejects(corp.verify(...alice), { code: 'PROVIDER_UNAVAILABLE' });
  assert.equal(shim.accepted, 0);
  assert.equal(
    corp.directory.health().servers[0]?.reason,
    '_ldaps._tcp.example.test names no server below example.test',
  );
  const tls = { caFile: authority.caFile, serverName: 'localhost' };
  await using named = discover(dns, { servers: 'srv', tls });
  assert.equal(await named.judge(...alice), 'verified');
});

test('a server whose certificate is not for the name in DNS gets no password', async () => {
  const certificate = await authority.issue({ hosts: ['ldap.example.test'] });
  await using other = await startSlapd({ tls: { authority, certificate } });
  await using dns = await startNameServer([at(other.securePort)]);
  await using corp = discover(dns);
  await assert.rejects(corp.verify(...alice), { code: 'PROVIDER_MISCONFIGURED' });
  assert.deepEqual(
    (await other.operations()).filter(({ kind }) => kind === 'bind'),
    [],
  );
});

test('with StartTLS the other record is asked, and nothing crosses the wire in clear text', async () => {
  await using shim = await startTcpShim(first.port);
  await using dns = await startNameServer([at(shim.port, { record: '_ldap._tcp.localhost' })]);
  await using corp = discover(dns, { startTls: true });
  assert.equal(await corp.judge(...alice), 'verified');
  assert.ok(shim.sent.length > 0);
  for (const secret of ['alice-password', 'vratar-password', 'cn=vratar']) {
    assert.ok(!shim.sent.includes(secret), `${secret} was sent in clear text`);
  }
});
