/**
 * Finds a Node that can run the sources and, under an older one, runs the same script again with the Node that the
 * lockfile installed. Plain JavaScript that Node 12 can parse; knows nothing of the gateway.
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** Oldest Node with everything the sources use: type stripping without a flag and stable `node:sqlite`. */
const minimum = { major: 24, minor: 15 };

/** EX_CONFIG of sysexits.h: the installation, not the program, has to be changed. */
export const exitCodeUnusable = 78;

/** @param {string} version such as `24.21.0` */
export function runsSources(version) {
  const parts = version.split('.').map(Number);
  return parts[0] > minimum.major || (parts[0] === minimum.major && parts[1] >= minimum.minor);
}

/**
 * The Node installed as an npm package for this platform.
 * @param {string} from file or file URL whose `node_modules` are searched
 * @returns {string | undefined} path of the binary; undefined when it is not there or too old
 */
export function findInstalledNode(from) {
  const name = `node-${process.platform}-${process.arch}`;
  let manifest;
  try {
    manifest = createRequire(from).resolve(`${name}/package.json`);
  } catch (error) {
    if (error.code !== 'MODULE_NOT_FOUND') throw error;
    return undefined;
  }
  if (!runsSources(JSON.parse(readFileSync(manifest, 'utf8')).version)) return undefined;
  const binary = join(dirname(manifest), 'bin', 'node');
  return existsSync(binary) ? binary : undefined;
}

/**
 * Calls `run` when the running Node is new enough; otherwise runs the script again under the installed Node, with the
 * same arguments and standard streams, and ends as that process ended. Without one: one sentence, exit 78.
 * @param {string} scriptUrl `import.meta.url` of the entry script
 * @param {() => unknown} run
 */
export function withSupportedNode(scriptUrl, run) {
  if (runsSources(process.versions.node)) {
    run();
    return;
  }
  const binary = findInstalledNode(scriptUrl);
  if (binary === undefined) {
    const wanted = `node-${process.platform}-${process.arch}`;
    refuse(
      `Node ${minimum.major}.${minimum.minor} or newer is needed, this is ${process.versions.node} and the package ` +
        `${wanted} is not installed: run "node deploy/setup.mjs start", or install a newer Node.`,
    );
    return;
  }
  runAgain(binary, fileURLToPath(scriptUrl));
}

function runAgain(binary, script) {
  const args = process.execArgv.concat(script, process.argv.slice(2));
  const child = spawn(binary, args, { stdio: 'inherit' });
  // A terminal sends these to the whole foreground group: forwarding them too would deliver each twice.
  const fromTerminal = process.stdin.isTTY ? ['SIGINT', 'SIGQUIT'] : [];
  const forwarded = ['SIGINT', 'SIGQUIT', 'SIGTERM', 'SIGHUP', 'SIGUSR2'];
  for (const signal of forwarded) {
    process.on(signal, () => {
      if (!fromTerminal.includes(signal)) child.kill(signal);
    });
  }
  child.on('error', (error) => refuse(`${binary} cannot be started (${error.code}).`));
  child.on('exit', (code, signal) => {
    if (signal === null) {
      process.exit(code);
    }
    for (const name of forwarded) process.removeAllListeners(name);
    process.kill(process.pid, signal);
  });
}

/** Says in one sentence why nothing can run here and sets the exit code. */
export function refuse(sentence) {
  process.stderr.write(`vratar: ${sentence}\n`);
  process.exitCode = exitCodeUnusable;
}
