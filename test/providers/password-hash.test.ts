import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { GatewayError } from '#src/errors.ts';
import {
  createDecoyHash,
  createPasswordHash,
  formatPasswordHash,
  type PasswordHash,
  PasswordVerifier,
  parsePasswordHash,
} from '#src/providers/password-hash.ts';

const never = new AbortController().signal;

function parsed(text: string): PasswordHash {
  const hash = parsePasswordHash(text);
  assert.ok(hash !== undefined, text);
  return hash;
}

/** Cheap enough to queue many. */
const quick = parsed(`$argon2id$v=19$m=8,t=1,p=1$${'A'.repeat(22)}$${'A'.repeat(43)}`);

describe('a password hash', () => {
  test('verifies the password it was made from and no other', async () => {
    const hash = parsed(await createPasswordHash('wonderland'));
    const verifier = new PasswordVerifier();
    assert.equal(await verifier.verify(hash, 'wonderland', never), true);
    for (const other of ['wonderlanD', 'wonderland ', 'wonderlan', 'x']) {
      assert.equal(await verifier.verify(hash, other, never), false, other);
    }
  });

  test('has a salt of its own every time', async () => {
    const [first, second] = [await createPasswordHash('same'), await createPasswordHash('same')];
    assert.notDeepEqual(parsed(first).salt, parsed(second).salt);
    assert.notEqual(first, second);
  });

  test('made by the reference implementation is verified', async () => {
    // phc-winner-argon2, src/test.c: argon2id, t=2, m=2^16, p=1.
    const reference =
      '$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
    assert.equal(await new PasswordVerifier().verify(parsed(reference), 'password', never), true);
  });

  test('verifies a password however its accents were typed', async () => {
    const hash = parsed(await createPasswordHash('caf\u00e9'));
    assert.equal(await new PasswordVerifier().verify(hash, 'cafe\u0301', never), true);
  });

  test('survives being written and read again', () => {
    const bytes = (minLength: number): fc.Arbitrary<Buffer> =>
      fc.uint8Array({ minLength, maxLength: 64 }).map((array) => Buffer.from(array));
    fc.assert(
      fc.property(
        fc.integer({ min: 64, max: 262_144 }),
        fc.integer({ min: 1, max: 16 }),
        fc.integer({ min: 1, max: 8 }),
        bytes(8),
        bytes(16),
        (memoryKib, passes, parallelism, salt, tag) => {
          const hash = { memoryKib, passes, parallelism, salt, tag };
          assert.deepEqual(parsePasswordHash(formatPasswordHash(hash)), hash);
        },
      ),
    );
  });

  const salt = 'c29tZXNhbHQ';
  const tag = 'CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc';
  const refused = [
    { case: 'of another variant', text: `$argon2i$v=19$m=65536,t=2,p=1$${salt}$${tag}` },
    { case: 'of another version', text: `$argon2id$v=16$m=65536,t=2,p=1$${salt}$${tag}` },
    { case: 'that would take a gigabyte', text: `$argon2id$v=19$m=1048576,t=2,p=1$${salt}$${tag}` },
    { case: 'that would take minutes', text: `$argon2id$v=19$m=65536,t=1000,p=1$${salt}$${tag}` },
    { case: 'with too many lanes', text: `$argon2id$v=19$m=65536,t=2,p=255$${salt}$${tag}` },
    { case: 'with too little memory for its lanes', text: `$argon2id$v=19$m=32,t=2,p=8$${salt}$${tag}` },
    { case: 'with no passes', text: `$argon2id$v=19$m=65536,t=0,p=1$${salt}$${tag}` },
    { case: 'with a short tag', text: `$argon2id$v=19$m=65536,t=2,p=1$${salt}$CTFhFdXP` },
    { case: 'with a short salt', text: `$argon2id$v=19$m=65536,t=2,p=1$c29t$${tag}` },
    { case: 'with padding', text: `$argon2id$v=19$m=65536,t=2,p=1$${salt}=$${tag}` },
    {
      case: 'with bits beyond the last byte',
      text: `$argon2id$v=19$m=65536,t=2,p=1$${salt}$${tag.slice(0, -1)}d`,
    },
    { case: 'with a line break', text: `$argon2id$v=19$m=65536,t=2,p=1$${salt}$${tag}\n` },
    { case: 'that is empty', text: '' },
  ];
  for (const { case: what, text } of refused) {
    test(`${what} is refused`, () => assert.equal(parsePasswordHash(text), undefined));
  }

  test('as a decoy has the parameters of another and accepts nothing', async () => {
    const decoy = createDecoyHash(quick);
    assert.equal(decoy.memoryKib, quick.memoryKib);
    assert.notDeepEqual(decoy.tag, quick.tag);
    assert.equal(await new PasswordVerifier().verify(decoy, '', never), false);
  });
});

describe('checking passwords', () => {
  test('lets so many wait and tells the rest that it cannot judge', async () => {
    const verifier = new PasswordVerifier();
    const checks = Array.from({ length: 100 }, async () => await verifier.verify(quick, 'x', never));
    const results = await Promise.allSettled(checks);
    const refused = results.filter((result) => result.status === 'rejected');
    assert.equal(refused.length, 34);
    for (const { reason } of refused) {
      assert.ok(reason instanceof GatewayError && reason.code === 'PROVIDER_UNAVAILABLE');
    }
    assert.equal(await verifier.verify(quick, 'x', never), false);
  });

  test('spends nothing on somebody who has gone', async () => {
    const gone = new PasswordVerifier().verify(quick, 'x', AbortSignal.abort());
    await assert.rejects(
      gone,
      (error) => error instanceof GatewayError && error.code === 'PROVIDER_UNAVAILABLE',
    );
  });
});
