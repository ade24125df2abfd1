import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readLines, serverLine } from '#test/config/reading.ts';
import { keytabEntry, keytabFile } from '#test/providers/kerberos/built-keytab.ts';

const folder = mkdtempSync(join(tmpdir(), 'vratar-keytabs-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const write = (name: string, content: Uint8Array): string => {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
};
const good = write('good', keytabFile(keytabEntry({ principal: 'HTTP/gw.localhost@TEST.LOCAL' })));
const other = write('other', keytabFile(keytabEntry({ principal: 'HTTP/b.localhost@TEST.LOCAL' })));
const hostOnly = write('host', keytabFile(keytabEntry({ principal: 'host/gw.localhost@TEST.LOCAL' })));
const text = write('text', Buffer.from('hello'));

const provider = (keytab: string, more = '', name = 'sso'): string =>
  `  - { name: ${name}, type: kerberos, realms: [TEST.LOCAL], keytab: ${keytab}${more} }\n`;
const problems = (...providers: readonly string[]): readonly string[] =>
  readLines(`${serverLine}providers:\n${providers.join('')}`).problems.map((line) =>
    line.replaceAll(folder, 'D'),
  );

test('a keytab with a key of an HTTP service is accepted', () => {
  assert.deepEqual(problems(provider(good), provider(other, '', 'partner')), []);
});

const rows: readonly (readonly [name: string, providers: readonly string[], expect: string])[] = [
  [
    'is not there',
    [provider(join(folder, 'nowhere'))],
    'f:3:64 providers[0].keytab: D/nowhere does not exist',
  ],
  ['is another kind of file', [provider(text)], 'f:3:64 providers[0].keytab: D/text is not a keytab'],
  [
    'has no key of an HTTP service',
    [provider(hostOnly)],
    'f:3:64 providers[0].keytab: D/host has no key of an HTTP service, only of host/gw.localhost@TEST.LOCAL',
  ],
];
for (const [name, providers, expect] of rows) {
  test(`a keytab that ${name} is refused before anything starts`, () => {
    assert.deepEqual(problems(...providers), [expect]);
  });
}

test('a service of another kind is accepted where it is listed', () => {
  assert.deepEqual(problems(provider(hostOnly, ', principals: [host/gw.localhost]')), []);
});

test('two keytabs cannot share one process', () => {
  const found = problems(
    provider(good, ', isolation: none'),
    provider(other, ', isolation: none', 'partner'),
  );
  assert.equal(found.length, 1);
  assert.match(
    found[0] ?? '',
    /^f:4:\d+ providers\[1\]\.isolation: is for one keytab in all: .* sso has others$/,
  );
  assert.deepEqual(problems(provider(good, ', isolation: none'), provider(other, '', 'partner')), []);
});

test('a directory that is not configured is named', () => {
  const [found] = problems(provider(good, ', directory: corp'));
  assert.match(found ?? '', /providers\[0\]\.directory: no directory is named "corp"$/);
});
