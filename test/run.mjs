/**
 * `npm test`: the static checks, then every test file under test/ in processes of their own. With arguments
 * (`npm test -- test/http test/compose.test.ts`) only the tests below those paths, without the checks.
 * Plain JavaScript, because a Node without type stripping begins it and hands over to the installed one.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { delimiter, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { withSupportedNode } from '../src/node-runtime.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** A file that has not ended by then hangs: it is killed and counted as failed. */
const fileTimeoutMs = 300_000;

/** Folders that start servers or a browser; begun first, so that the last minutes are not one slow file alone. */
const slowFirst = ['portal', 'e2e', 'faults', 'state', 'deploy', 'directory'];

withSupportedNode(import.meta.url, main);

async function main() {
  const startedAt = Date.now();
  process.chdir(root);
  prepareEnvironment();
  const chosen = process.argv.slice(2);
  const files = findTestFiles(chosen.length > 0 ? chosen : ['test']);
  const checked = chosen.length > 0 || check();
  const passed = await runTests(files);
  process.stdout.write(`ℹ checks ${chosen.length > 0 ? 'not run' : checked ? 'passed' : 'FAILED'}\n`);
  process.stdout.write(`ℹ wall time ${((Date.now() - startedAt) / 1000).toFixed(1)} s\n`);
  process.exit(checked && passed ? 0 : 1);
}

function prepareEnvironment() {
  const binaries = join(root, 'node_modules', '.bin');
  process.env.PATH = [binaries, process.env.PATH, '/usr/local/sbin', '/usr/sbin', '/sbin'].join(delimiter);
  // Sixty processes load the same modules: stripping types once saves most of their start.
  process.env.NODE_COMPILE_CACHE ??= join(root, 'node_modules', '.cache', 'test');
  // As root on Debian the set-up has installed every server; a test that finds none must fail there, not skip.
  if (process.getuid?.() === 0 && existsSync('/etc/debian_version')) process.env.REQUIRE_SERVERS ??= '1';
}

function check() {
  const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
  process.stdout.write(`> ${scripts.check}\n`);
  return spawnSync('sh', ['-c', scripts.check], { stdio: 'inherit' }).status === 0;
}

/** Every `*.test.ts` at or below the paths, slow folders first, then by name. */
function findTestFiles(paths) {
  const files = paths.flatMap((path) => {
    const absolute = resolve(path);
    if (!existsSync(absolute)) {
      process.stderr.write(`no such test file or folder: ${path}\n`);
      process.exit(1);
    }
    if (!statSync(absolute).isDirectory()) return [absolute];
    return readdirSync(absolute, { recursive: true })
      .filter((name) => name.endsWith('.test.ts'))
      .map((name) => join(absolute, name));
  });
  const rank = (file) => {
    const at = slowFirst.indexOf(relative(join(root, 'test'), file).split('/')[0]);
    return at === -1 ? slowFirst.length : at;
  };
  return [...new Set(files)].toSorted((a, b) => rank(a) - rank(b) || a.localeCompare(b));
}

/** One line per file, failures in full when they happen and once more by name at the end. */
async function runTests(files) {
  const { run } = await import('node:test');
  const { failureReport } = await import('./support/failure-report.mjs');
  const interrupted = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM']) process.once(signal, () => interrupted.abort());
  const output = new Map();
  const failed = [];
  const totals = [];
  let succeeded = files.length > 0;
  const flush = (name) => {
    process.stdout.write(output.get(name) ?? '');
    output.delete(name);
  };
  const events = run({
    files,
    concurrency: Math.max(2, availableParallelism()),
    isolation: 'process',
    timeout: fileTimeoutMs,
    signal: interrupted.signal,
  });
  for await (const { type, data } of events) {
    const name = data.file === undefined ? '' : relative(root, data.file);
    switch (type) {
      case 'test:stdout':
      case 'test:stderr':
        output.set(name, (output.get(name) ?? '') + data.message);
        break;
      case 'test:fail':
        // A suite fails because something inside it failed; only the innermost failure says what.
        if (data.details.error.failureType === 'subtestsFailed') break;
        failed.push(`${name}:${data.line ?? 1} ${data.name}`);
        process.stdout.write(failureReport(name, data));
        succeeded = false;
        // A file that fails as a whole (syntax error, crash, time-out) says why only in what it printed.
        if (data.name === data.file) flush(name);
        break;
      case 'test:summary':
        if (data.file === undefined) {
          succeeded &&= data.success;
          break;
        }
        if (!data.success) flush(name);
        process.stdout.write(fileLine(name, data));
        break;
      case 'test:diagnostic':
        if (data.nesting === 0 && data.file === undefined) totals.push(data.message);
        else output.set(name, `${output.get(name) ?? ''}${data.message}\n`);
        break;
      default:
        break;
    }
  }
  for (const name of failed) process.stdout.write(`✖ ${name}\n`);
  if (interrupted.signal.aborted) process.stdout.write('✖ interrupted\n');
  for (const total of totals) process.stdout.write(`ℹ ${total}\n`);
  return succeeded && !interrupted.signal.aborted;
}

function fileLine(name, { success, counts, duration_ms: durationMs }) {
  const skipped = counts.skipped > 0 ? `, ${counts.skipped} skipped` : '';
  return `${success ? '✔' : '✖'} ${name}  ${counts.tests} tests${skipped}  ${Math.round(durationMs)} ms\n`;
}
