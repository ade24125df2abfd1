/** docs/directories.md stays true: its configurations load, and its tables are complete. */
import assert from 'node:assert/strict';
import { chmodSync, copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type LoadedConfig, loadConfig } from '#src/config/load.ts';
import { findingTitles } from '#src/directory/finding.ts';
import { createAuthority } from '#test/servers/certificates.ts';

const page = readFileSync(join(import.meta.dirname, '../../docs/directories.md'), 'utf8');
const folder = mkdtempSync(join(tmpdir(), 'vratar-page-'));
const authority = await createAuthority();
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await authority[Symbol.asyncDispose]();
});

const samples = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map((match) => match[1] as string);
const entries = samples.filter((sample) => sample.startsWith('- name:'));
/** Keys of an entry, shown alone. */
const fragments = samples.filter((sample) => sample.startsWith('  '));

test('there is a configuration for each kind, and nothing else that is not loaded', () => {
  assert.deepEqual(
    entries.map((sample) => /^ {2}kind: (\w+)$/m.exec(sample)?.[1]),
    ['openLdap', 'activeDirectory', 'freeIpa'],
  );
  assert.equal(entries.length + fragments.length, samples.length);
});

async function load(entry: string): Promise<LoadedConfig> {
  writeFileSync(join(folder, 'bind.secret'), 'secret\n', { mode: 0o600 });
  writeFileSync(join(folder, 'ca.pem'), readFileSync(authority.caFile));
  const { certificateFile, keyFile } = await authority.issue({ hosts: ['vratar'] });
  copyFileSync(certificateFile, join(folder, 'vratar.crt'));
  copyFileSync(keyFile, join(folder, 'vratar.key'));
  chmodSync(join(folder, 'vratar.key'), 0o600);
  const file = join(folder, 'vratar.yaml');
  writeFileSync(
    file,
    `server: { publicUrl: "https://login.example.com" }\nproviders: [{ name: corp, type: ldap, directory: corp }]\ndirectories:\n${entry}`,
  );
  return loadConfig(file, { env: {} });
}

for (const [index, entry] of entries.entries()) {
  test(`configuration ${index + 1} is valid and without a warning`, async () => {
    const { config, warnings } = await load(entry);
    assert.equal(config.directories.length, 1);
    assert.deepEqual(warnings, []);
  });
}

for (const [index, fragment] of fragments.entries()) {
  test(`the keys shown alone, number ${index + 1}, are valid in the first configuration`, async () => {
    const keys = [...fragment.matchAll(/^ {2}(\w+):/gm)].map((match) => match[1]);
    // The same keys of the entry go, with what is indented below them.
    const others = (entries[0] as string).replaceAll(
      new RegExp(`^ {2}(${keys.join('|')}):.*\\n(?: {4}.*\\n)*`, 'gm'),
      '',
    );
    const { config, warnings } = await load(others + fragment);
    assert.equal(config.directories.length, 1);
    assert.deepEqual(warnings, []);
  });
}

test('every finding is explained', () => {
  const explained = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]);
  assert.deepEqual(explained, Object.keys(findingTitles));
});
