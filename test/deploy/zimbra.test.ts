import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { readConfig } from '#src/config/load.ts';
import { key } from '#test/preauth/site.ts';
import { impossible, vectors } from '#test/preauth/vectors.ts';

const page = readFileSync(new URL('../../deploy/zimbra.md', import.meta.url), 'utf8');
const around = `server: { publicUrl: "https://login.example.com" }
providers: [ { name: staff, type: local, users: [ { username: alice, groups: [mail-admins] } ] } ]
`;

/** The blocks of one language, without the indentation of the list they stand in. */
function blocks(language: string): readonly string[] {
  return [...page.matchAll(new RegExp(`^( *)\`\`\`${language}\\n([\\s\\S]*?)^ *\`\`\``, 'gm'))].map((match) =>
    (match[2] as string).replaceAll(new RegExp(`^${match[1]}`, 'gm'), ''),
  );
}

describe('the page about Zimbra', () => {
  const samples = blocks('yaml');
  test('has configurations', () => {
    assert.ok(samples.length >= 4);
  });

  for (const [i, sample] of samples.entries()) {
    test(`its configuration ${i + 1} is valid, without a warning, once the keys are there`, (t) => {
      const folder = mkdtempSync(join(tmpdir(), 'vratar-page-'));
      t.after(() => {
        rmSync(folder, { recursive: true, force: true });
      });
      for (const name of ['zimbra.key', 'zimbra-next.key'])
        writeFileSync(join(folder, name), `${key}\n`, { mode: 0o600 });
      const { problems, warnings } = readConfig(around + sample, { folder, env: { ZIMBRA_KEY_ORG: key } });
      assert.deepEqual(problems, []);
      assert.deepEqual(warnings, []);
    });
  }

  test('prints signatures that are right, and names those that are not', () => {
    const printed = [...page.matchAll(/\b[0-9a-f]{40}\b/g)].map(([mac]) => mac);
    assert.ok(printed.length > 0);
    for (const mac of printed)
      assert.ok(
        vectors.some((vector) => vector.mac === mac),
        mac,
      );
    for (const { mac } of impossible) assert.ok(page.includes(`\`${mac.slice(0, 8)}…\``), mac);
  });
});
