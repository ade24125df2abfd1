/**
 * `npm run bench`: the benchmarks one after the other; ends with 1 when a limit is missed.
 * `npm run bench -- forward-auth ldap` runs some of them. Plain JavaScript, because an older Node begins it.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withSupportedNode } from '../src/node-runtime.mjs';

const folder = fileURLToPath(new URL('.', import.meta.url));

withSupportedNode(import.meta.url, () => {
  const wanted = process.argv.slice(2).filter((argument) => !argument.startsWith('-'));
  const names = readdirSync(folder)
    .filter((file) => file.endsWith('.ts'))
    .map((file) => file.slice(0, -3))
    .filter((name) => wanted.length === 0 || wanted.includes(name));
  const missed = names.filter((name) => {
    console.log(`\n${name}`);
    return spawnSync(process.execPath, [join(folder, `${name}.ts`)], { stdio: 'inherit' }).status !== 0;
  });
  console.log(
    missed.length === 0
      ? `\n${names.length} benchmarks within their limits`
      : `\nmissed: ${missed.join(', ')}`,
  );
  process.exitCode = missed.length === 0 ? 0 : 1;
});
