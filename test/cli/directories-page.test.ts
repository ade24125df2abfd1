/** docs/directories.md stays true: its configurations load, and its tables are complete. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { loadConfig } from '#src/config/load.ts';
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

test('there is a configuration for each kind', () => {
  assert.deepEqual(
    samples.map((sample) => /^ {2}kind: (\w+)$/m.exec(sample)?.[1]),
    ['openLdap', 'activeDirectory', 'freeIpa'],
  );
});

for (const [index, sample] of samples.entries()) {
  test(`configuration ${index + 1} is valid and without a warning`, () => {
    writeFileSync(join(folder, 'bind.secret'), 'secret\n', { mode: 0o600 });
    writeFileSync(join(folder, 'ca.pem'), readFileSync(authority.caFile));
    const file = join(folder, 'vratar.yaml');
    writeFileSync(
      file,
      `server: { publicUrl: "https://login.example.com" }\nproviders: [{ name: corp, type: ldap, directory: corp }]\ndirectories:\n${sample}`,
    );
    const { config, warnings } = loadConfig(file, { env: {} });
    assert.equal(config.directories.length, 1);
    assert.deepEqual(warnings, []);
  });
}

test('every finding is explained', () => {
  const explained = [...page.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]);
  assert.deepEqual(explained, Object.keys(findingTitles));
});
