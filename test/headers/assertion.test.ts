import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from 'jose';
import { publicKeySet } from '#src/headers/asserted.ts';
import { createAssertionSigner } from '#src/headers/assertion.ts';
import { createKeyRing, rotateKeyRing } from '#src/state/key-ring.ts';
import { principalOf } from '#test/support/principals.ts';

const issuer = 'https://login.example.com';
const facts = { audience: 'wiki', groups: ['staff', 'Отдел, №1'], groupsOverflow: undefined };
const alice = principalOf({ username: 'alice', displayName: 'Алиса', roles: ['editor'] });

describe('an assertion', () => {
  test('is verified by its public key and says who the person is', async () => {
    const ring = createKeyRing(0);
    const nowMs = Date.now();
    const { token } = await createAssertionSigner(issuer, ring.keys).sign(alice, facts, nowMs);
    const published = publicKeySet(ring.keys) as JSONWebKeySet;
    const { payload, protectedHeader } = await jwtVerify(token, createLocalJWKSet(published), {
      issuer,
      audience: 'wiki',
      algorithms: ['ES256'],
    });
    assert.equal(protectedHeader.kid, ring.keys[0]?.kid);
    const issuedAt = Math.floor(nowMs / 1_000);
    assert.deepEqual(payload, {
      iss: issuer,
      aud: 'wiki',
      sub: 'id-alice',
      iat: issuedAt,
      exp: issuedAt + 300,
      username: 'alice',
      email: 'alice@example.test',
      name: 'Алиса',
      provider: 'corp',
      groups: ['staff', 'Отдел, №1'],
      roles: ['editor'],
      accessLevel: 'user',
    });
  });

  test('carries the number of groups when they are too many', async () => {
    const signer = createAssertionSigner(issuer, createKeyRing(0).keys);
    const overflow = { audience: 'wiki', groups: undefined, groupsOverflow: 900 };
    const { token } = await signer.sign(alice, overflow, 0);
    const payload = JSON.parse(Buffer.from(token.split('.')[1] as string, 'base64url').toString()) as Record<
      string,
      unknown
    >;
    assert.equal(payload['groupsOverflow'], 900);
    assert.ok(!('groups' in payload));
  });

  test('is a header value: no blank, no control character', async () => {
    const { token } = await createAssertionSigner(issuer, createKeyRing(0).keys).sign(alice, facts, 0);
    assert.match(token, /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/);
  });

  test('is signed with the next key after a rotation, which verifiers know already', async () => {
    const ring = createKeyRing(0);
    const known = createLocalJWKSet(publicKeySet(ring.keys) as JSONWebKeySet);
    const signer = createAssertionSigner(issuer, ring.keys);
    const { generation } = signer;
    signer.useKeys(rotateKeyRing(ring, 1_000).keys);
    assert.equal(signer.generation, generation + 1);
    const { token } = await signer.sign(alice, facts, Date.now());
    assert.equal(decodeProtectedHeader(token).kid, ring.keys[1]?.kid);
    await jwtVerify(token, known, { issuer, audience: 'wiki' });
  });

  test('public keys hold nothing private', () => {
    for (const key of publicKeySet(createKeyRing(0).keys).keys) {
      assert.deepEqual(Object.keys(key), ['kty', 'crv', 'x', 'y', 'kid', 'use', 'alg']);
    }
  });
});
