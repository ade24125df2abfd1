import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import {
  ber,
  message,
  result,
  type Script,
  searchEntry,
  startScriptedLdapServer,
  tags,
} from '#test/servers/scripted-ldap-server.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { startTcpShim } from '#test/servers/tcp-shim.ts';
import { until } from '#test/support/until.ts';
import { openDirectory } from './directories.ts';

const server = await startSlapd({ bulk: { people: 100, teams: 10 } });
after(async () => await server[Symbol.asyncDispose]());

const person = (n: number): [string, string] => {
  const number = String(n).padStart(6, '0');
  return [`u${number}`, `password-${number}`];
};

test('after the server closed idle connections ten people at once sign in', async () => {
  await using idle = await startSlapd({ idleTimeoutSeconds: 1, bulk: { people: 10, teams: 2 } });
  await using corp = openDirectory({ servers: [idle.url], timings: { idleProbeMs: 60_000 } });
  const all = async () =>
    await Promise.all(Array.from({ length: 10 }, async (_, n) => await corp.judge(...person(n))));
  assert.deepEqual(new Set(await all()), new Set(['verified']));
  await until(async () => (await idle.openConnections()) === 0, {
    timeoutMs: 60_000,
    what: 'the idle time-out',
  });
  assert.deepEqual(new Set(await all()), new Set(['verified']));
});

test('a search connection that lost its service bind is not used as an anonymous one', async () => {
  await using fresh = await startSlapd();
  await using corp = openDirectory({ servers: [fresh.url] });
  assert.equal(await corp.judge('alice', 'alice-password'), 'verified');
  await fresh.kill();
  await fresh.restart();
  // Anonymous sees nobody there: it would read "unknown-account".
  const outcome = await until(async () => await corp.judge('alice', 'alice-password').catch(() => undefined));
  assert.equal(outcome, 'verified');
});

test('answers in pieces of one byte are answers', async () => {
  await using shim = await startTcpShim(server.port);
  await using corp = openDirectory({
    servers: [`ldap://127.0.0.1:${shim.port}`],
    options: { groups: undefined },
  });
  assert.equal(await corp.judge(...person(1)), 'verified');
  shim.trickleMs = 1;
  assert.equal(await corp.judge(...person(2)), 'verified');
});

test('an answer of one byte per 50 ms ends at the limit, and the next server answers', async () => {
  await using shim = await startTcpShim(server.port);
  await using corp = openDirectory({ servers: [`ldap://127.0.0.1:${shim.port}`, server.url] });
  assert.equal(await corp.judge(...person(1)), 'verified');
  shim.trickleMs = 50;
  const startedAt = performance.now();
  assert.equal(await corp.judge(...person(2)), 'verified');
  assert.ok(performance.now() - startedAt < 4_500);
});

test('a network that swallows everything costs one probe, then the next server answers', async () => {
  await using shim = await startTcpShim(server.port);
  await using corp = openDirectory({ servers: [`ldap://127.0.0.1:${shim.port}`, server.url] });
  assert.equal(await corp.judge(...person(1)), 'verified');
  shim.isSilent = true;
  const startedAt = performance.now();
  assert.equal(await corp.judge(...person(2)), 'verified');
  assert.ok(performance.now() - startedAt < 4_500);
  assert.equal(corp.log.of('directory-server-unavailable').length, 1);
  shim.isSilent = false;
  await until(() => corp.directory.health().servers[0]?.available, { what: 'recovery' });
});

test('dead connections do not condemn a server that answers on new ones', async () => {
  await using shim = await startTcpShim(server.port);
  await using corp = openDirectory({
    servers: [`ldap://127.0.0.1:${shim.port}`],
    options: { timeout: '1s' },
  });
  assert.equal(await corp.judge(...person(1)), 'verified');
  shim.abandon();
  assert.equal(await corp.judge(...person(2)), 'verified');
  assert.deepEqual(corp.log.of('directory-server-unavailable'), []);
});

test('connections reset in the middle of work: every sign-in ends, none as a wrong password', async () => {
  await using shim = await startTcpShim(server.port);
  await using corp = openDirectory({ servers: [`ldap://127.0.0.1:${shim.port}`, server.url] });
  const outcomes: string[] = [];
  for (let round = 0; round < 5; round++) {
    const attempts = Array.from({ length: 20 }, async (_, n) => await corp.judge(...person(n)));
    setTimeout(() => shim.reset(), round);
    outcomes.push(...(await Promise.all(attempts)));
  }
  assert.deepEqual(new Set(outcomes), new Set(['verified']));
  assert.equal(outcomes.length, 100);
});

test('a full queue refuses at once, and everybody who waits is answered in the end', async () => {
  await using stopped = await startSlapd();
  await using corp = openDirectory({
    servers: [stopped.url],
    options: { pool: { connections: 1 } },
    timings: { maxWaiting: 8, slowAfterMs: 300, probeMs: 300 },
  });
  assert.equal(await corp.judge('alice', 'alice-password'), 'verified');
  stopped.stop();
  const startedAt = performance.now();
  const endings = await Promise.all(
    Array.from({ length: 100 }, async (_, n) => {
      const code = await corp.judge(`somebody-${n}`, 'x').catch((error: { code: string }) => error.code);
      return { code, tookMs: performance.now() - startedAt };
    }),
  );
  stopped.cont();
  assert.deepEqual(new Set(endings.map(({ code }) => code)), new Set(['PROVIDER_UNAVAILABLE']));
  const times = endings.map(({ tookMs }) => tookMs).toSorted((a, b) => a - b);
  const [atOnce = 0, last = 0] = [times[25], times.at(-1)];
  assert.ok(atOnce < last / 2, `refused after ${atOnce} ms, while others waited ${last} ms`);
  assert.ok(endings.every(({ tookMs }) => tookMs < 7_500));
});

const anEntry = (messageId: number): Buffer =>
  searchEntry(messageId, 'uid=alice,ou=people,dc=example,dc=test', {
    uid: ['alice'],
    entryUUID: ['11111111-1111-1111-1111-111111111111'],
  });

/** Behaves, except where the case says otherwise: service bind and searches first, the verification bind last. */
function behave(misbehave: {
  onBind?: (messageId: number) => Buffer | Buffer[];
  onSearch?: (messageId: number) => Buffer | Buffer[];
}): Script {
  return ({ tag, bytes, messageId }) => {
    if (tag === tags.bind) {
      if (bytes.includes('cn=vratar')) return result(messageId, tags.bindResponse, 0);
      return misbehave.onBind?.(messageId) ?? result(messageId, tags.bindResponse, 0);
    }
    if (tag !== tags.search) return undefined;
    if (!bytes.includes('ou=people')) return result(messageId, tags.searchDone, 0);
    return misbehave.onSearch?.(messageId) ?? [anEntry(messageId), result(messageId, tags.searchDone, 0)];
  };
}

test('the scripted server lets somebody in when it behaves', async () => {
  await using honest = await startScriptedLdapServer(behave({}));
  await using corp = openDirectory({ servers: [honest.url], options: { groups: undefined } });
  assert.equal(await corp.judge('alice', 'x'), 'verified');
});

const lies: readonly { name: string; script: Script; code: string }[] = [
  {
    name: 'a bind answered with an empty body',
    script: behave({ onBind: (id) => message(id, ber(tags.bindResponse)) }),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'a bind answered with a search result',
    script: behave({ onBind: (id) => result(id, tags.searchDone, 0) }),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'a bind answered with an extended response',
    script: behave({ onBind: (id) => result(id, 0x78, 0) }),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'a bind answered twice in one packet',
    script: behave({
      onBind: (id) => Buffer.concat([result(id, tags.bindResponse, 0), result(id, tags.bindResponse, 49)]),
    }),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'a bind answered with a referral',
    script: behave({ onBind: (id) => result(id, tags.bindResponse, 10) }),
    code: 'PROVIDER_MISCONFIGURED',
  },
  {
    name: 'a bind answered with busy',
    script: behave({ onBind: (id) => result(id, tags.bindResponse, 51) }),
    code: 'PROVIDER_UNAVAILABLE',
  },
  {
    name: 'a bind answered with a long text',
    script: behave({
      onBind: (id) =>
        message(
          id,
          ber(tags.bindResponse, ber(0x0a, 0), ber(0x04, 'x'.repeat(60_000)), ber(0x04, 'x'.repeat(5_000))),
        ),
    }),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'a search answered with a bind response',
    script: behave({ onSearch: (id) => result(id, tags.bindResponse, 0) }),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'a search answered with an unknown operation',
    script: behave({ onSearch: (id) => result(id, 0x7d, 0) }),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'a search answered with a referral',
    script: behave({ onSearch: (id) => result(id, tags.searchDone, 10) }),
    code: 'PROVIDER_MISCONFIGURED',
  },
  {
    name: 'a search answered with garbage',
    script: behave({ onSearch: () => Buffer.from('ffffffffffff', 'hex') }),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'a search answered with a broken length',
    script: behave({ onSearch: () => Buffer.from('3089ffffffffffffffffff', 'hex') }),
    code: 'PROVIDER_PROTOCOL',
  },
  {
    name: 'half an answer, then silence',
    script: behave({ onSearch: (id) => anEntry(id).subarray(0, 20) }),
    code: 'PROVIDER_UNAVAILABLE',
  },
  {
    name: 'half an answer, then the end',
    script: (request, socket) => {
      const answer = behave({ onSearch: (id) => anEntry(id).subarray(0, 20) })(request, socket);
      if (request.bytes.includes('ou=people')) setImmediate(() => socket.end());
      return answer;
    },
    code: 'PROVIDER_UNAVAILABLE',
  },
];

for (const { name, script, code } of lies) {
  test(`${name}: ${code}, and nobody is let in`, async () => {
    await using liar = await startScriptedLdapServer(script);
    await using corp = openDirectory({
      servers: [liar.url],
      options: { groups: undefined, timeout: '400ms' },
      timings: { wholeMs: 3_000 },
    });
    await assert.rejects(corp.verify('alice', 'x'), { code });
  });
}

test('two gigabytes announced and sent on and on end after the limit of bytes', async () => {
  let written = 0;
  await using liar = await startScriptedLdapServer((request, socket) => {
    if (!request.bytes.includes('ou=people')) return behave({})(request, socket);
    socket.write(Buffer.from('30848000000002010364', 'hex'));
    const flood = (): void => {
      while (!socket.destroyed && socket.write(Buffer.alloc(65_536))) written += 65_536;
      socket.once('drain', flood);
    };
    flood();
    return undefined;
  });
  await using corp = openDirectory({
    servers: [liar.url],
    timings: { maxBurstBytes: 1_048_576, wholeMs: 5_000 },
  });
  const before = process.cpuUsage();
  await assert.rejects(corp.verify('alice', 'x'), { name: 'GatewayError' });
  const used = process.cpuUsage(before);
  assert.ok(written < 64 * 1_048_576, `${written} bytes were taken`);
  assert.ok(used.user + used.system < 2_000_000, 'reading it took more than 2 s of CPU');
});

test('nothing is sent on a connection whose bind is not answered yet', async () => {
  const violations: string[] = [];
  const waiting = new WeakSet<object>();
  await using slow = await startScriptedLdapServer((request, socket) => {
    if (waiting.has(socket)) violations.push(`0x${request.tag.toString(16)} during a bind`);
    if (request.tag === tags.bind && !request.bytes.includes('cn=vratar')) {
      waiting.add(socket);
      setTimeout(() => {
        waiting.delete(socket);
        socket.write(result(request.messageId, tags.bindResponse, 49));
      }, 30);
      return undefined;
    }
    if (request.tag === tags.search && request.bytes.includes('ou=people')) {
      const uid = /p\d\d/.exec(request.bytes.toString('latin1'))?.[0] ?? '';
      return [
        searchEntry(request.messageId, `uid=${uid},ou=people,dc=example,dc=test`, { uid: [uid] }),
        result(request.messageId, tags.searchDone, 0),
      ];
    }
    return behave({})(request, socket);
  });
  await using corp = openDirectory({
    servers: [slow.url],
    options: { groups: undefined, pool: { connections: 3 } },
  });
  const outcomes = await Promise.all(
    Array.from({ length: 30 }, async (_, n) => await corp.judge(`p${String(n).padStart(2, '0')}`, 'x')),
  );
  assert.deepEqual(new Set(outcomes), new Set(['wrong-password']));
  assert.deepEqual(violations, []);
});

test('a bind without an answer is sent once more, to the other server, and never after an answer', async () => {
  const binds = (requests: readonly { tag: number; bytes: Buffer }[]) =>
    requests.filter(({ tag, bytes }) => tag === tags.bind && !bytes.includes('cn=vratar')).length;
  await using dying = await startScriptedLdapServer((request, socket) => {
    if (request.tag === tags.bind && !request.bytes.includes('cn=vratar')) {
      socket.destroy();
      return undefined;
    }
    return behave({})(request, socket);
  });
  await using refusing = await startScriptedLdapServer(
    behave({ onBind: (id) => result(id, tags.bindResponse, 49) }),
  );
  await using corp = openDirectory({ servers: [dying.url, refusing.url], options: { groups: undefined } });
  assert.equal(await corp.judge('alice', 'x'), 'wrong-password');
  assert.equal(binds(dying.requests), 1);
  assert.equal(binds(refusing.requests), 1);
});
