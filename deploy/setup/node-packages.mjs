/**
 * The npm packages of the lockfile: which of them are not installed in the locked version, and how npm is run
 * from inside an npm script whose own Node may live in the folder that is being changed.
 */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, realpathSync } from 'node:fs';
import { delimiter, join, sep } from 'node:path';
import { runsSources } from '../../src/node-runtime.mjs';
import { SetupProblem } from './setup-problem.mjs';

/**
 * Compares the files on disk, not only npm's record: npm skips an optional package that it cannot fetch without a
 * word and ends with code 0, and the Node that runs the gateway is such a package.
 * @param {string} root of the repository
 * @param {{ development: boolean }} purpose
 * @returns {string[]} `name@version` of each needed package that is missing, outdated or half installed
 */
export function missingNodePackages(root, purpose) {
  const locked = readJson(join(root, 'package-lock.json')).packages;
  const record = readJson(join(root, 'node_modules', '.package-lock.json'));
  // npm writes its record last: without it the last installation did not end.
  const installed = record === undefined ? {} : record.packages;
  return Object.keys(locked)
    .filter((path) => path !== '' && isNeeded(path, locked[path], purpose))
    .filter((path) => {
      const onDisk = readJson(join(root, path, 'package.json'));
      if (onDisk === undefined || onDisk.version !== locked[path].version) return true;
      if (installed[path] === undefined || installed[path].integrity !== locked[path].integrity) return true;
      return nodePackage.test(path) && !isExecutable(join(root, path, 'bin', 'node'));
    })
    .map(
      (path) =>
        `${path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length)}@${locked[path].version}`,
    );
}

const nodePackage = /node_modules\/node-(linux|darwin|win)-[a-z0-9]+$/;

function isNeeded(path, entry, purpose) {
  if ((entry.dev || entry.devOptional) && !purpose.development) return false;
  // What only some operators use must not keep the others from starting; the Node that runs the gateway must be there.
  if (entry.optional && !purpose.development && !nodePackage.test(path)) return false;
  return (
    matches(entry.os, process.platform) &&
    matches(entry.cpu, process.arch) &&
    matches(entry.libc, libraryFamily())
  );
}

/** `os`, `cpu` and `libc` of a manifest: one value or a list, of what is allowed or, with `!`, of what is not. */
function matches(allowed, actual) {
  if (allowed === undefined) return true;
  const list = [].concat(allowed);
  if (list.includes(`!${actual}`)) return false;
  return list.every((value) => value.startsWith('!')) || list.includes(actual);
}

function libraryFamily() {
  return existsSync('/etc/alpine-release') ? 'musl' : 'glibc';
}

/**
 * Brings node_modules up to the lockfile. Throws SetupProblem when npm fails or leaves out a package that cannot be
 * done without. `npm install --no-save` and not `npm ci`: it adds what is missing instead of deleting and fetching
 * everything again, and it does not refuse a lockfile that lacks the optional packages of other platforms. It leaves
 * the lockfile alone, and whatever it installs in another version than the locked one is found afterwards.
 * @param {string} root of the repository
 * @param {{ development: boolean }} purpose
 * @param {string[]} missing what missingNodePackages answered
 * @param {(line: string) => void} say
 */
export function installNodePackages(root, purpose, missing, say) {
  const outside = environmentOutside(root);
  if (missing.every((name) => isReplaceable(name, outside))) return;
  // npm removes what it is told to omit: people who have the development packages keep them.
  const development = purpose.development || hasDevelopmentPackages(root);
  const list = missing.length > 3 ? `${missing.length} packages of package-lock.json` : missing.join(', ');
  say(`installing from npm: ${list}`);
  const args = ['install', '--no-save', development ? '--include=dev' : '--omit=dev', '--include=optional'];
  // No package of the lockfile needs its scripts but the one that native-module.mjs builds where it is wanted.
  args.push('--ignore-scripts');
  const result = runNpm(
    root,
    args.concat('--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'),
    outside,
  );
  if (result.error !== undefined) throw new SetupProblem(`npm cannot be started (${result.error.code}).`);
  if (result.status !== 0) {
    throw new SetupProblem(
      `"npm install" failed (${result.status === null ? result.signal : result.status}).`,
    );
  }
  const still = missingNodePackages(root, purpose).filter((name) => !isReplaceable(name, outside));
  if (still.length > 0) {
    throw new SetupProblem(
      `npm ended without an error but did not install ${still.join(', ')}: try again with a network connection, or ` +
        'use Node 24.15 or newer when only the package of Node itself is missing.',
    );
  }
}

/** The packaged Node can be done without when the machine's own is new enough. */
function isReplaceable(name, environment) {
  if (!/^node-(linux|darwin|win)-[a-z0-9]+@/.test(name)) return false;
  const own = spawnSync('node', ['--version'], { env: environment, encoding: 'utf8' });
  return own.status === 0 && runsSources(own.stdout.trim().replace(/^v/, ''));
}

function hasDevelopmentPackages(root) {
  const record = readJson(join(root, 'node_modules', '.package-lock.json'));
  return record !== undefined && Object.keys(record.packages).some((path) => record.packages[path].dev);
}

/**
 * Inside an npm script `node_modules/.bin/node` comes first on PATH and may be replaced in a moment, and npm's own
 * variables repeat options of the outer command that would change what `npm install` does here.
 */
export function environmentOutside(root) {
  const inside = join(root, 'node_modules') + sep;
  const environment = Object.assign({}, process.env);
  environment.PATH = (process.env.PATH || '')
    .split(delimiter)
    .filter(
      (directory) =>
        !`${directory}${sep}`.startsWith(inside) && !/node_modules[\\/]\.bin[\\/]?$/.test(directory),
    )
    .join(delimiter);
  for (const option of [
    'omit',
    'include',
    'only',
    'also',
    'production',
    'dev',
    'optional',
    'dry_run',
    'global',
  ]) {
    delete environment[`npm_config_${option}`];
  }
  return environment;
}

/** @param {string[]} args */
export function runNpm(root, args, environment) {
  const options = { cwd: root, env: environment, stdio: ['ignore', 'ignore', 'inherit'] };
  const npm = process.env.npm_execpath;
  // The npm that runs the script is the one the person chose; it needs a Node outside the folder it changes.
  if (npm === undefined || !/\.[cm]?js$/.test(npm)) return spawnSync('npm', args, options);
  const node = isInside(process.execPath, root) ? 'node' : process.execPath;
  return spawnSync(node, [npm].concat(args), options);
}

function isInside(file, root) {
  return realpathSync(file).startsWith(join(realpathSync(root), 'node_modules') + sep);
}

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(error.code)) return false;
    throw error;
  }
}

/** Undefined when the file is missing or was cut off while it was written. */
function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch (error) {
    if (error instanceof SyntaxError || ['ENOENT', 'ENOTDIR'].includes(error.code)) return undefined;
    throw error;
  }
}
