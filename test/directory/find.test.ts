/** People whom somebody else vouches for, found by their account name. */
import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { until } from '#test/support/until.ts';
import { openDirectory, type TestDirectory } from './directories.ts';

const server = await startSlapd();
after(async () => await server[Symbol.asyncDispose]());

/** Reached before it is asked: a busy machine must not turn the first question into an outage. */
async function open(): Promise<TestDirectory> {
  const corp = openDirectory({ servers: [server.url] });
  await until(() => corp.directory.health().servers.every(({ available }) => available), {
    timeoutMs: 30_000,
  });
  return corp;
}

const find = async (corp: TestDirectory, username: string) =>
  await corp.directory.find(username, AbortSignal.timeout(20_000));

test('finds the person whom a password would have verified', async () => {
  await using corp = await open();
  const verified = await corp.verify('alice', 'alice-password');
  const found = await find(corp, 'ALICE');
  assert.ok(verified.kind === 'verified');
  assert.deepEqual(found, { kind: 'found', person: verified.person, stale: false });
});

const ended = [
  ['nobody', 'unknown-account'],
  ['locked', 'account-locked'],
  ['twin', 'ambiguous-account'],
  ['alice\nmail: x', 'unknown-account'],
  ['*', 'unknown-account'],
  ['', 'unknown-account'],
] as const;
for (const [username, reason] of ended) {
  test(`vouching for ${JSON.stringify(username)} is worth nothing: ${reason}`, async () => {
    await using corp = await open();
    assert.deepEqual(await find(corp, username), { kind: 'ended', reason });
  });
}

test('many questions at once are one search', async () => {
  await using corp = await open();
  await server.clearOperations();
  const outcomes = await Promise.all(Array.from({ length: 200 }, async () => await find(corp, 'bob')));
  assert.ok(outcomes.every(({ kind }) => kind === 'found'));
  const searches = (await server.operations()).filter(({ filter }) => filter.includes('(uid=bob)'));
  assert.equal(searches.length, 1);
});

test('while the directory is away nobody is found, not even from memory', async () => {
  await using own = await startSlapd();
  await using corp = openDirectory({ servers: [own.url] });
  await until(async () => (await find(corp, 'bob').catch(() => undefined))?.kind === 'found', {
    timeoutMs: 30_000,
  });
  await own.kill();
  await assert.rejects(
    find(corp, 'bob'),
    (error) => error instanceof GatewayError && error.code === 'PROVIDER_UNAVAILABLE',
  );
});
