#!/usr/bin/env node
/**
 * The command `vratar`: sets what must be set before the first module of the gateway is loaded (thread pool, compile
 * cache), then hands over to main.ts. Plain JavaScript, so that an old Node gets a sentence and not a syntax error.
 */
import { accessSync, constants, existsSync, mkdirSync } from 'node:fs';
import module from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { refuse, withSupportedNode } from './node-runtime.mjs';

/** After main has returned nothing should be open; what a module forgot must not keep the process alive. */
const lingerMs = 2_000;

// argon2, DNS and file access share libuv's pool; its four threads would make a password check wait for a log file.
// libuv reads the variable when the first job is queued, so it must be set here.
if (!process.env.UV_THREADPOOL_SIZE) process.env.UV_THREADPOOL_SIZE = '16';

withSupportedNode(import.meta.url, start);

function start() {
  const directory = compileCacheDirectory();
  if (directory !== undefined) module.enableCompileCache(directory);
  import('./main.ts').then(runMain, explainMissingPackages);
}

async function runMain(loaded) {
  process.exitCode = await loaded.main(process.argv.slice(2));
  setTimeout(() => process.exit(), lingerMs).unref();
}

function explainMissingPackages(error) {
  // Only a package that is not there has no URL; a missing file of our own is a bug and keeps its stack.
  if (error.code !== 'ERR_MODULE_NOT_FOUND' || error.url !== undefined) throw error;
  refuse(
    `the npm packages are not installed completely (${error.message.split(' imported')[0]}): run "node deploy/setup.mjs start".`,
  );
}

/**
 * Where compiled code is kept: VRATAR_COMPILE_CACHE (`off`: nowhere), else below node_modules, else below the
 * person's cache directory. Never a directory that others can write: what lies there is executed.
 */
function compileCacheDirectory() {
  const configured = process.env.VRATAR_COMPILE_CACHE;
  if (configured === 'off') return undefined;
  if (configured) return isUsable(configured) ? configured : undefined;
  const packages = join(dirname(fileURLToPath(import.meta.url)), '..', 'node_modules');
  const personal = process.env.XDG_CACHE_HOME || (process.env.HOME && join(process.env.HOME, '.cache'));
  const candidates = existsSync(packages) ? [join(packages, '.cache', 'vratar')] : [];
  if (personal) candidates.push(join(personal, 'vratar'));
  return candidates.find(isUsable);
}

/** Creates the directory step by step: the recursive mkdir of Node 24 never returns below /proc. */
function isUsable(directory) {
  try {
    if (!existsSync(directory)) {
      if (!isUsable(dirname(directory))) return false;
      mkdirSync(directory, { mode: 0o700 });
    }
    accessSync(directory, constants.W_OK);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return true;
    if (['EACCES', 'EPERM', 'EROFS', 'ENOENT', 'ENOTDIR', 'ENOSPC', 'EDQUOT'].includes(error.code))
      return false;
    throw error;
  }
}
