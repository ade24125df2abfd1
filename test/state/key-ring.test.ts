import assert from 'node:assert/strict';
import { chmodSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import {
  createKeyRing,
  isPublished,
  type KeyRing,
  publishedAfterRetirementMs,
  rotateKeyRing,
} from '#src/state/key-ring.ts';
import { openKeyRingFile } from '#src/state/key-ring-file.ts';
import { temporaryDirectory } from './temporary-directory.ts';

const kidsOf = ({ keys }: KeyRing): readonly string[] => keys.map(({ kid }) => kid);
const publishedAt = (ring: KeyRing, nowMs: number): readonly string[] =>
  ring.keys.filter((key) => isPublished(key, nowMs)).map(({ kid }) => kid);

describe('a key ring', () => {
  test('has a key that signs and one that is published ahead of its time', () => {
    const [signing, next, ...more] = createKeyRing(1_000).keys;
    assert.ok(signing !== undefined && next !== undefined && more.length === 0);
    assert.notEqual(signing.kid, next.kid);
    assert.notEqual(signing.jwk.d, next.jwk.d);
  });

  test('signs after a rotation with the key that was published before', () => {
    const ring = createKeyRing(0);
    const [signing, next] = kidsOf(ring);
    const rotated = rotateKeyRing(ring, 10_000);
    assert.equal(kidsOf(rotated)[0], next);
    assert.ok(publishedAt(rotated, 10_000).includes(signing as string));
    assert.equal(new Set(kidsOf(rotated)).size, 3);
  });

  test('publishes a retired key until its last assertion has expired, and then forgets it', () => {
    const ring = createKeyRing(0);
    const [old] = kidsOf(ring);
    const rotated = rotateKeyRing(ring, 10_000);
    const endMs = 10_000 + publishedAfterRetirementMs;
    assert.ok(publishedAt(rotated, endMs - 1).includes(old as string));
    assert.ok(!publishedAt(rotated, endMs).includes(old as string));
    assert.ok(kidsOf(rotateKeyRing(rotated, endMs - 1)).includes(old as string));
    assert.ok(!kidsOf(rotateKeyRing(rotated, endMs)).includes(old as string));
  });

  test('keeps nothing of a compromised ring', () => {
    const ring = createKeyRing(0);
    const replaced = rotateKeyRing(ring, 10_000, { compromised: true });
    assert.equal(replaced.keys.length, 2);
    for (const kid of kidsOf(replaced)) assert.ok(!kidsOf(ring).includes(kid));
  });
});

describe('the file of a key ring', () => {
  test('is made at the first start, for its owner only, and read at the next', () => {
    using folder = temporaryDirectory();
    const path = join(folder.path, 'state', 'keys.json');
    const first = openKeyRingFile(path, 1_000);
    assert.equal(statSync(path).mode & 0o777, 0o600);
    const second = openKeyRingFile(path, 2_000);
    assert.deepEqual(second.ring, first.ring);
    assert.equal(second.isExposed, false);
  });

  test('holds a rotation before it is answered, and leaves no draft behind', () => {
    using folder = temporaryDirectory();
    const path = join(folder.path, 'keys.json');
    const file = openKeyRingFile(path, 1_000);
    const rotated = file.rotate(2_000, { compromised: false });
    assert.deepEqual(file.ring, rotated);
    assert.deepEqual(openKeyRingFile(path, 3_000).ring, rotated);
    assert.deepEqual(readdirSync(folder.path), ['keys.json']);
  });

  test('says when other accounts can read it, until a rotation writes it anew', () => {
    using folder = temporaryDirectory();
    const path = folder.file('keys.json');
    openKeyRingFile(path, 1_000);
    chmodSync(path, 0o644);
    const file = openKeyRingFile(path, 1_000);
    assert.equal(file.isExposed, true);
    file.rotate(2_000, { compromised: true });
    assert.equal(file.isExposed, false);
    assert.equal(statSync(path).mode & 0o777, 0o600);
  });

  interface Document {
    version: number;
    keys: { kid: string; createdAtMs: unknown; jwk: Record<string, string> }[];
  }
  const damages: { name: string; damage: (document: Document, text: string) => string }[] = [
    { name: 'no JSON', damage: (_, text) => text.slice(0, -20) },
    { name: 'empty', damage: () => '' },
    { name: 'of another version', damage: (document) => JSON.stringify({ ...document, version: 2 }) },
    { name: 'without keys', damage: (document) => JSON.stringify({ ...document, keys: [] }) },
    {
      name: 'with a key whose name is not its own',
      damage: (document) => {
        for (const key of document.keys) key.kid = 'x';
        return JSON.stringify(document);
      },
    },
    {
      name: 'with the private half of another key',
      damage: (document) => {
        const [first, second] = document.keys;
        (first as Document['keys'][0]).jwk['d'] = second?.jwk['d'] as string;
        return JSON.stringify(document);
      },
    },
    {
      name: 'with a private half that is no number',
      damage: (document) => {
        (document.keys[0] as Document['keys'][0]).jwk['d'] = '!';
        return JSON.stringify(document);
      },
    },
    {
      name: 'with a date that is none',
      damage: (document) => {
        (document.keys[0] as Document['keys'][0]).createdAtMs = 'today';
        return JSON.stringify(document);
      },
    },
  ];
  for (const { name, damage } of damages) {
    test(`is refused and left as it is when it is ${name}`, () => {
      using folder = temporaryDirectory();
      const path = folder.file('keys.json');
      openKeyRingFile(path, 1_000);
      const text = readFileSync(path, 'utf8');
      const damaged = damage(JSON.parse(text) as Document, text);
      writeFileSync(path, damaged);
      assert.throws(
        () => openKeyRingFile(path, 2_000),
        (error) =>
          error instanceof GatewayError && error.code === 'CONFIG_INVALID' && error.message.includes(path),
      );
      assert.equal(readFileSync(path, 'utf8'), damaged);
    });
  }

  test('that cannot be made is an error that names it', () => {
    using folder = temporaryDirectory();
    const path = join(folder.file('a-file'), 'keys.json');
    writeFileSync(folder.file('a-file'), '');
    assert.throws(
      () => openKeyRingFile(path, 0),
      (error) =>
        error instanceof GatewayError && error.code === 'CONFIG_INVALID' && /cannot be/.test(error.message),
    );
  });
});
