/** Whether the native part of the `kerberos` package was built here. Loads nothing: that is the acceptor's. */
import { existsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

/** What an operator has to run on a machine where the package was installed without a compiler. */
export const installationCommand =
  'apt-get install libkrb5-dev python3 make g++ && npm rebuild kerberos --foreground-scripts';

/** One sentence that says what is missing and what to run, or `undefined`. */
export function installationFault(): string | undefined {
  const require = createRequire(import.meta.url);
  let manifest: string;
  try {
    manifest = require.resolve('kerberos/package.json');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'MODULE_NOT_FOUND') throw error;
    return `the npm package kerberos is not installed; run: npm install --include=optional && ${installationCommand}`;
  }
  const isBuilt = ['Release', 'Debug'].some((kind) =>
    existsSync(join(dirname(manifest), 'build', kind, 'kerberos.node')),
  );
  return isBuilt
    ? undefined
    : `the native module of the npm package kerberos is not built; run: ${installationCommand}`;
}
