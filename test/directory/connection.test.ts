import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import { type ConnectionOptions, LdapConnection, type SearchRequest } from '#src/directory/connection.ts';
import { dial } from '#src/directory/dial.ts';
import { toEndpoints } from '#src/directory/endpoint.ts';
import { equals } from '#src/directory/filter.ts';
import { encodePasswordModify } from '#src/directory/password-encoding.ts';
import { Secret } from '#src/lib/secret.ts';
import {
  ber,
  type LdapRequest,
  message,
  result,
  type Script,
  searchEntry,
  startScriptedLdapServer,
  tags,
} from '#test/servers/scripted-ldap-server.ts';
import { until } from '#test/support/until.ts';
import { parseOptions } from './directories.ts';

const dn = 'uid=anna,dc=test';
const password = new Secret('anna-password');
const attributes = ['cn'];
const search = (name: string, sizeLimit = 0): SearchRequest => ({
  baseDn: 'dc=test',
  scope: 'sub',
  filter: equals('uid', name),
  attributes,
  sizeLimit,
});

interface Opened extends AsyncDisposable {
  readonly connection: LdapConnection;
  readonly requests: readonly LdapRequest[];
  /** What `onClose` and `onSlow` were called for. */
  readonly events: string[];
}

/** A connection to a server that answers as the script says. */
async function open(script: Script, more: Partial<ConnectionOptions> = {}): Promise<Opened> {
  const server = await startScriptedLdapServer(script);
  const [endpoint] = toEndpoints(parseOptions([server.url]));
  assert.ok(endpoint !== undefined);
  const events: string[] = [];
  const options = {
    operationTimeoutMs: 10_000,
    slowAfterMs: 10_000,
    maxBurstBytes: 100_000,
    onSlow: () => void events.push('slow'),
    onClose: () => void events.push('closed'),
    ...more,
  };
  const wire = await dial(endpoint, { timeoutMs: 5_000, signal: AbortSignal.timeout(10_000) });
  const connection = new LdapConnection(wire, options);
  return {
    connection,
    requests: server.requests,
    events,
    [Symbol.asyncDispose]: async () => {
      connection.destroy('the test is over');
      await server[Symbol.asyncDispose]();
    },
  };
}

const done = (messageId: number, code = 0): Buffer => result(messageId, tags.searchDone, code);
const found = (messageId: number, name: string): Buffer =>
  searchEntry(messageId, `uid=${name},dc=test`, { cn: [name] });
const silent: Script = () => undefined;

test('answers find whoever asked, in any order and mixed with one another', async () => {
  const asked: { messageId: number; name: string }[] = [];
  await using opened = await open(({ messageId, bytes }, socket) => {
    asked.push({ messageId, name: /n\d\d/.exec(bytes.toString('latin1'))?.[0] ?? '' });
    if (asked.length < 20) return undefined;
    const backwards = asked.toReversed();
    for (const { messageId: id, name } of backwards) socket.write(found(id, name));
    for (const { messageId: id, name } of asked) socket.write(found(id, `${name}-too`));
    return backwards.map(({ messageId: id }) => done(id));
  });
  const names = Array.from({ length: 20 }, (_, n) => `n${String(n).padStart(2, '0')}`);
  const answers = await Promise.all(names.map(async (name) => await opened.connection.search(search(name))));
  assert.deepEqual(
    answers.map((entries) => entries.map((entry) => entry['cn'])),
    names.map((name) => [name, `${name}-too`]),
  );
  assert.equal(new Set(opened.requests.map(({ messageId }) => messageId)).size, 20);
});

test('searches of one moment arrive whole, and the first does not wait for the others', async () => {
  await using opened = await open(({ messageId }) => done(messageId));
  const searches = Array.from({ length: 30 }, async () => await opened.connection.search(search('x')));
  assert.deepEqual((await Promise.all(searches)).flat(), []);
  assert.ok(opened.requests.every(({ tag }) => tag === tags.search));
  assert.equal(opened.requests.length, 30);
});

test('a server that sends more entries than the limit is heard to the end, and no more are kept', async () => {
  await using opened = await open(({ messageId }) => [
    ...['a', 'b', 'c', 'd'].map((name) => found(messageId, name)),
    done(messageId),
  ]);
  const entries = await opened.connection.search(search('x', 2));
  assert.deepEqual(
    entries.map((entry) => entry['cn']),
    ['a', 'b'],
  );
  assert.equal((await opened.connection.search(search('x'))).length, 4);
});

test('a search cut at its own limit is an answer, at the limit of the server a failure', async () => {
  await using opened = await open(({ messageId }) => [found(messageId, 'a'), done(messageId, 4)]);
  assert.equal((await opened.connection.search(search('x', 1))).length, 1);
  await assert.rejects(opened.connection.search(search('x')), { kind: 'config', resultCode: 4 });
  assert.ok(opened.connection.isAlive);
});

test("a refused search says the result and, as its cause, the server's own words", async () => {
  await using opened = await open(({ messageId }) =>
    message(messageId, ber(tags.searchDone, ber(0x0a, 32), ber(0x04), ber(0x04, 'no such base'))),
  );
  await assert.rejects(opened.connection.search(search('x')), {
    kind: 'config',
    stage: 'operation',
    resultCode: 32,
    cause: new Error('no such base'),
  });
});

test('references to other servers are passed over', async () => {
  await using opened = await open(({ messageId }) => [
    message(messageId, ber(0x73, ber(0x04, 'ldap://elsewhere.test/dc=test'))),
    found(messageId, 'a'),
    done(messageId),
  ]);
  assert.equal((await opened.connection.search(search('x'))).length, 1);
});

test('a password is answered with everything the server says of it', async () => {
  const policy = ber(
    0x30,
    ber(0x04, '1.3.6.1.4.1.42.2.27.8.5.1'),
    ber(0x04, ber(0x30, ber(0xa0, ber(0x81, 3)), ber(0x81, 1))),
  );
  await using opened = await open(({ messageId }) =>
    message(
      messageId,
      ber(tags.bindResponse, ber(0x0a, 49), ber(0x04), ber(0x04, 'data 775')),
      ber(0xa0, policy),
    ),
  );
  const { resultCode, policyError, graceSignInsLeft, diagnostic } = await opened.connection.bind(
    dn,
    password,
  );
  assert.deepEqual([resultCode, policyError, graceSignInsLeft, diagnostic], [49, 1, 3, 'data 775']);
});

const notices: readonly { name: string; oid: string; isAlive: boolean }[] = [
  {
    name: 'of disconnection ends the connection and what waits',
    oid: '1.3.6.1.4.1.1466.20036',
    isAlive: false,
  },
  { name: 'of another kind is passed over', oid: '1.3.6.1.4.1.1466.20099', isAlive: true },
];

for (const { name, oid, isAlive } of notices) {
  test(`a notice ${name}`, async () => {
    const notice = message(0, ber(0x78, ber(0x0a, 52), ber(0x04), ber(0x04), ber(0x8a, oid)));
    await using opened = await open(({ messageId }) => Buffer.concat([notice, done(messageId)]));
    const searched = opened.connection.search(search('x'));
    if (isAlive) assert.deepEqual(await searched, []);
    else await assert.rejects(searched, { kind: 'unavailable', resultCode: undefined });
    assert.equal(opened.connection.isAlive, isAlive);
  });
}

/** Each is the whole answer to one request of the kind. */
const nonsense: readonly {
  name: string;
  to: 'search' | 'bind' | 'change';
  answer: (messageId: number) => Buffer;
}[] = [
  { name: 'the id of another message', to: 'search', answer: (id) => done(id + 1) },
  { name: 'the id of another message', to: 'bind', answer: (id) => result(id + 1, tags.bindResponse, 0) },
  { name: 'the id of another message', to: 'change', answer: (id) => result(id + 1, 0x78, 0) },
  { name: 'the id 0', to: 'bind', answer: () => result(0, tags.bindResponse, 0) },
  { name: 'an entry', to: 'bind', answer: (id) => found(id, 'a') },
  { name: 'a reference', to: 'bind', answer: (id) => message(id, ber(0x73, ber(0x04, 'ldap://x'))) },
  { name: 'the result of a search', to: 'change', answer: (id) => done(id) },
  { name: 'the result of a modification', to: 'change', answer: (id) => result(id, 0x67, 0) },
  {
    name: 'an intermediate response, which nobody asked for',
    to: 'search',
    answer: (id) => message(id, ber(0x79)),
  },
  {
    name: 'an intermediate response, which nobody asked for',
    to: 'bind',
    answer: (id) => message(id, ber(0x79)),
  },
  { name: 'a request', to: 'search', answer: (id) => message(id, ber(0x42)) },
  {
    name: 'a success and a byte behind it',
    to: 'bind',
    answer: (id) => Buffer.concat([result(id, tags.bindResponse, 0), Buffer.from([0x30])]),
  },
  {
    name: 'a success and a notice behind it',
    to: 'bind',
    answer: (id) => Buffer.concat([result(id, tags.bindResponse, 0), result(0, 0x78, 0)]),
  },
  {
    name: 'a success twice',
    to: 'change',
    answer: (id) => Buffer.concat([result(id, 0x78, 0), result(id, 0x78, 0)]),
  },
  {
    name: 'a success of 20,000 bytes',
    to: 'bind',
    answer: (id) =>
      message(id, ber(tags.bindResponse, ber(0x0a, 0), ber(0x04), ber(0x04, 'x'.repeat(20_000)))),
  },
  {
    name: 'more than may come at once',
    to: 'search',
    answer: (id) => Buffer.concat(Array.from({ length: 5_000 }, () => found(id, 'anna'))),
  },
];

for (const { name, to, answer } of nonsense) {
  test(`a ${to} answered with ${name} is no answer, and ends the connection`, async () => {
    await using opened = await open(({ messageId }) => answer(messageId));
    const { connection, events } = opened;
    const asked = {
      search: async () => await connection.search(search('x')),
      bind: async () => await connection.bind(dn, password),
      change: async () =>
        await connection.changePassword(encodePasswordModify({ old: password, new: new Secret('new') })),
    }[to];
    await assert.rejects(asked, {
      name: 'LdapFailure',
      kind: 'protocol',
      stage: 'operation',
      resultCode: undefined,
    });
    assert.ok(!connection.isAlive);
    assert.deepEqual(events, ['closed']);
    await assert.rejects(connection.search(search('x')), { kind: 'unavailable' });
  });
}

test('bytes that nobody asked for end a connection at rest', async () => {
  let peer: Socket | undefined;
  await using opened = await open(({ messageId }, socket) => {
    peer = socket;
    return result(messageId, tags.bindResponse, 0);
  });
  assert.equal((await opened.connection.bind(dn, password)).resultCode, 0);
  assert.ok(opened.connection.isAlive);
  peer?.write(result(1, tags.bindResponse, 0));
  await until(() => !opened.connection.isAlive, { what: 'the end of the connection' });
});

test('a bind shares its connection with nothing', async () => {
  await using opened = await open(silent);
  const { connection } = opened;
  const bound = assert.rejects(connection.bind(dn, password), { kind: 'unavailable' });
  await assert.rejects(connection.search(search('x')), TypeError);
  await assert.rejects(connection.bind(dn, password), TypeError);
  await until(() => opened.requests.length > 0);
  connection.destroy('the test is over');
  await bound;
  assert.equal(opened.requests.length, 1);
});

test('a bind beside a search is not sent', async () => {
  await using opened = await open(silent);
  const searched = assert.rejects(opened.connection.search(search('x')), { kind: 'unavailable' });
  await assert.rejects(opened.connection.bind(dn, password), TypeError);
  opened.connection.destroy('the test is over');
  await searched;
});

test('a bind without a name or a password is not sent: servers would answer it with success', async () => {
  await using opened = await open(({ messageId }) => result(messageId, tags.bindResponse, 0));
  for (const [name, secret] of [
    ['', password],
    ['EXTERNAL', password],
    [dn, new Secret('')],
  ] as const) {
    await assert.rejects(opened.connection.bind(name, secret), TypeError);
  }
  assert.deepEqual(opened.requests, []);
});

test('what gets no answer ends with its connection at the limit, and is reported as slow before', async () => {
  await using opened = await open(silent, { operationTimeoutMs: 300, slowAfterMs: 50 });
  const { connection, events } = opened;
  const searches = Array.from({ length: 3 }, async () => await connection.search(search('x')));
  const outcomes = await Promise.allSettled(searches);
  assert.deepEqual(
    outcomes.map((outcome) =>
      outcome.status === 'rejected' ? (outcome.reason as { kind: string }).kind : '',
    ),
    ['unavailable', 'unavailable', 'unavailable'],
  );
  assert.deepEqual(events, ['slow', 'slow', 'slow', 'closed']);
});

test('closing says good-bye, ends what waits and is over when the server closed', async () => {
  await using opened = await open(silent);
  const searched = assert.rejects(opened.connection.search(search('x')), { kind: 'unavailable' });
  await until(() => opened.requests.length === 1);
  await opened.connection.close();
  await searched;
  assert.deepEqual(
    opened.requests.map(({ tag }) => tag),
    [tags.search, 0x42],
  );
  assert.deepEqual(opened.events, ['closed']);
});
