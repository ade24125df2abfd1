import assert from 'node:assert/strict';
import { mkdtemp, rename, rm, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import fc from 'fast-check';
import { KeytabFormatError, parseKeytab, readKeytab } from '#src/providers/kerberos/keytab.ts';
import { AcceptedServices } from '#src/providers/kerberos/services.ts';
import { runTool } from '#test/servers/daemon.ts';
import { startKdc } from '#test/servers/kdc.ts';
import { hole, keytabEntry, keytabFile } from './built-keytab.ts';

const folder = await mkdtemp(join(tmpdir(), 'vratar-keytab-'));
after(async () => await rm(folder, { recursive: true, force: true }));

const wiki = 'HTTP/wiki.localhost@TEST.LOCAL';

test('reads what kadmin wrote as klist does', async () => {
  await using kdc = await startKdc({
    services: ['HTTP/gw.localhost', 'HTTP/wiki.localhost', 'host/gw.localhost'],
  });
  const entries = readKeytab(kdc.keytab);
  const listed = await runTool('klist', ['-k', '-e', kdc.keytab]);
  const expected = [...listed.matchAll(/^ +(\d+) (\S+) \((\S+)\)/gm)].map(([, version, principal, kind]) => ({
    version: Number(version),
    principal,
    encryptionType: kind === 'aes256-cts-hmac-sha1-96' ? 18 : 17,
  }));
  assert.equal(expected.length, 6);
  assert.deepEqual(
    entries.map(({ keyVersion, principal, encryptionType }) => ({
      version: keyVersion,
      principal,
      encryptionType,
    })),
    expected,
  );
  assert.deepEqual([...new Set(entries.map(({ realm }) => realm))], ['TEST.LOCAL']);
});

describe('an entry', () => {
  const rows: readonly (readonly [name: string, file: Buffer, versions: readonly number[]])[] = [
    ['has a long version', keytabFile(keytabEntry({ principal: wiki, keyVersion: 300 })), [300]],
    ['has a short version', keytabFile(keytabEntry({ principal: wiki, keyVersion: 7, isShort: true })), [7]],
    ['stands behind a hole', keytabFile(hole(20), keytabEntry({ principal: wiki })), [1]],
    ['stands before the end mark', keytabFile(keytabEntry({ principal: wiki }), Buffer.alloc(8)), [1]],
    ['is not there', keytabFile(), []],
  ];
  for (const [name, file, versions] of rows) {
    test(name, () => {
      const entries = parseKeytab(file);
      assert.deepEqual(
        entries.map(({ keyVersion }) => keyVersion),
        versions,
      );
      for (const { principal } of entries) assert.equal(principal, wiki);
    });
  }
});

describe('refuses', () => {
  const whole = keytabFile(keytabEntry({ principal: wiki }));
  const rows: readonly (readonly [name: string, file: Buffer, message: RegExp])[] = [
    ['an empty file', Buffer.alloc(0), /is not a keytab/],
    ['another kind of file', Buffer.from('-----BEGIN'), /is not a keytab/],
    ['the first version of the format', Buffer.from([5, 1, 0, 0]), /of version 1/],
    ['a file that ends within an entry', whole.subarray(0, -1), /ends within an entry/],
    ['a file that ends within a length', Buffer.concat([whole, Buffer.from([0, 0])]), /within the length/],
    [
      'an entry shorter than what is in it',
      keytabFile(Buffer.from('00000006000100ff4141', 'hex')),
      /cut short/,
    ],
    ['an entry without a name', keytabFile(Buffer.from('000000020000', 'hex')), /without a name/],
  ];
  for (const [name, file, message] of rows) {
    test(name, () => {
      assert.throws(
        () => parseKeytab(file),
        (error) => error instanceof KeytabFormatError && message.test(error.message),
      );
    });
  }

  test('a folder', () => {
    assert.throws(
      () => readKeytab(folder),
      (error) => error instanceof KeytabFormatError,
    );
  });
});

test('reads back what was written, and fails in one way only on anything else', () => {
  const word = fc.stringMatching(/^[A-Za-z0-9.-]{1,30}$/);
  const entry = fc.record({
    principal: fc.tuple(word, word, word).map(([kind, host, realm]) => `${kind}/${host}@${realm}`),
    keyVersion: fc.integer({ min: 1, max: 2 ** 31 }),
    encryptionType: fc.constantFrom(17, 18, 23),
    key: fc.uint8Array({ maxLength: 40 }),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 6 }), (entries) => {
      const read = parseKeytab(keytabFile(...entries.map(keytabEntry)));
      assert.deepEqual(
        read.map(({ principal, keyVersion, encryptionType }) => ({ principal, keyVersion, encryptionType })),
        entries.map(({ principal, keyVersion, encryptionType }) => ({
          principal,
          keyVersion,
          encryptionType,
        })),
      );
    }),
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
      try {
        parseKeytab(keytabFile(bytes));
      } catch (error) {
        assert.ok(error instanceof KeytabFormatError, String(error));
      }
    }),
    { numRuns: 2_000 },
  );
});

describe('services whose tickets are accepted', () => {
  const write = async (file: string, ...principals: readonly string[]): Promise<void> => {
    await writeFile(`${file}.new`, keytabFile(...principals.map((principal) => keytabEntry({ principal }))));
    await rename(`${file}.new`, file);
  };
  const rows: readonly (readonly [
    name: string,
    principals: readonly string[] | undefined,
    asked: string,
    expect: boolean,
  ])[] = [
    ['every HTTP service of the keytab', undefined, wiki, true],
    ['in any case of letters', undefined, 'http/WIKI.localhost@test.local', true],
    ['no other service of the keytab', undefined, 'host/wiki.localhost@TEST.LOCAL', false],
    ['none that is not in the keytab', undefined, 'HTTP/other.localhost@TEST.LOCAL', false],
    ['none of another realm', undefined, 'HTTP/wiki.localhost@OTHER.LOCAL', false],
    ['a listed one', ['HTTP/wiki.localhost'], wiki, true],
    ['a listed one with its realm', [wiki], wiki, true],
    ['not one that is left out of the list', ['HTTP/blog.localhost'], wiki, false],
    ['not one that is listed with another realm', ['HTTP/wiki.localhost@OTHER.LOCAL'], wiki, false],
    [
      'not one that is listed but has no key',
      ['HTTP/other.localhost'],
      'HTTP/other.localhost@TEST.LOCAL',
      false,
    ],
  ];
  for (const [name, principals, asked, expect] of rows) {
    test(name, async () => {
      const keytab = join(folder, `accepted-${rows.findIndex((row) => row[0] === name)}.keytab`);
      await write(keytab, wiki, 'HTTP/blog.localhost@TEST.LOCAL', 'host/wiki.localhost@TEST.LOCAL');
      assert.equal(new AcceptedServices({ keytab, principals }).has(asked), expect);
    });
  }

  test('are read again when the file is replaced, and kept while it is gone or damaged', async () => {
    const keytab = join(folder, 'replaced.keytab');
    const added = 'HTTP/added.localhost@TEST.LOCAL';
    await write(keytab, wiki);
    const services = new AcceptedServices({ keytab, principals: undefined });
    assert.equal(services.has(added), false);
    await unlink(keytab);
    assert.deepEqual([services.has(added), services.has(wiki)], [false, true]);
    await writeFile(keytab, 'half written');
    assert.deepEqual([services.has(added), services.has(wiki)], [false, true]);
    await write(keytab, wiki, added);
    assert.equal(services.has(added), true);
  });
});
