/**
 * The compiled part of the `kerberos` package: whether it is there, and how it is built from its source, without asking
 * any server for a finished one. npm leaves it out without a word where it cannot be built, so that everything else
 * works on a machine without a compiler.
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { environmentOutside, runNpm } from './node-packages.mjs';
import { SetupProblem } from './setup-problem.mjs';

const product = ['node_modules', 'kerberos', 'build', 'Release', 'kerberos.node'];

/** @param {string} root of the repository */
export function isNativeModuleMissing(root) {
  const { packages } = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8'));
  return packages['node_modules/kerberos'] !== undefined && !existsSync(join(root, ...product));
}

/**
 * Throws SetupProblem when it cannot be built.
 * @param {string} root of the repository
 * @param {(line: string) => void} say
 */
export function buildNativeModule(root, say) {
  say('building the native module of kerberos');
  const environment = Object.assign(environmentOutside(root), { npm_config_build_from_source: 'true' });
  // The headers of the Node that is installed here; without them the build would download others.
  const packaged = join(root, 'node_modules', `node-${process.platform}-${process.arch}`);
  if (existsSync(join(packaged, 'include', 'node', 'node_api.h'))) environment.npm_config_nodedir = packaged;
  const result = runNpm(
    root,
    ['rebuild', 'kerberos', '--ignore-scripts=false', '--no-update-notifier', '--loglevel=error'],
    environment,
  );
  if (result.error !== undefined) throw new SetupProblem(`npm cannot be started (${result.error.code}).`);
  if (result.status !== 0 || isNativeModuleMissing(root)) {
    throw new SetupProblem(
      'the native module of kerberos was not built: it needs libkrb5-dev, python3, make and g++; then "npm rebuild kerberos".',
    );
  }
}
