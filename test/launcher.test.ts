/** The command as people start it: right Node, wrong Node, through a link, with signals, with and without a cache. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { until } from '#test/support/until.ts';

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly output: string;
  readonly complaint: string;
}

const sourceFolder = fileURLToPath(new URL('../src', import.meta.url));

/** Says what it was started with; ends on SIGTERM after its own farewell; `fail` and `raise` end it otherwise. */
const gateway = `
import { getCompileCacheDir } from 'node:module';
export async function main(argv: string[]): Promise<number> {
  const pool = process.env['UV_THREADPOOL_SIZE'];
  console.log(JSON.stringify({ argv, node: process.versions.node, pool, cache: getCompileCacheDir() ?? null }));
  if (argv[0] === 'fail') return 78;
  if (argv[0] === 'raise') process.kill(process.pid, 'SIGKILL');
  if (argv[0] === 'echo') for await (const chunk of process.stdin) process.stdout.write(chunk);
  if (argv[0] !== 'serve') return 0;
  const timer = setInterval(() => undefined, 1_000);
  return await new Promise((resolve) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      process.once(signal, () => { console.log('got ' + signal); clearInterval(timer); resolve(0); });
    }
    console.log('ready');
  });
}
`;

describe('launcher', () => {
  let folder: string;
  let launcher: string;

  before(async () => {
    folder = await mkdtemp(join(tmpdir(), 'vratar-launcher-'));
    await mkdir(join(folder, 'src'));
    await mkdir(join(folder, 'node_modules'));
    for (const name of ['launcher.mjs', 'node-runtime.mjs']) {
      await copyFile(join(sourceFolder, name), join(folder, 'src', name));
    }
    await writeFile(join(folder, 'src', 'main.ts'), gateway);
    await writeFile(join(folder, 'package.json'), '{"type":"module"}');
    launcher = join(folder, 'src', 'launcher.mjs');
  });
  after(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  /** A Node that claims to be old: what an old one does first is the same code. */
  const oldNode = async (version: string): Promise<readonly string[]> => {
    const preload = join(folder, `node-${version}.mjs`);
    await writeFile(
      preload,
      `if (process.execPath === ${JSON.stringify(process.execPath)}) {
        Object.defineProperty(process, 'versions', { value: { ...process.versions, node: '${version}' } });
      }`,
    );
    return ['--import', preload];
  };

  /** The platform package with a binary that is the running Node under another path. */
  const installNode = async (version: string): Promise<AsyncDisposable> => {
    const packageFolder = join(folder, 'node_modules', `node-${process.platform}-${process.arch}`);
    await mkdir(join(packageFolder, 'bin'), { recursive: true });
    await writeFile(join(packageFolder, 'package.json'), JSON.stringify({ version }));
    const binary = join(packageFolder, 'bin', 'node');
    await copyFile(process.execPath, binary);
    await chmod(binary, 0o755);
    return {
      async [Symbol.asyncDispose]() {
        await rm(packageFolder, { recursive: true });
      },
    };
  };

  const start = (args: readonly string[], environment: NodeJS.ProcessEnv = {}) =>
    spawn(process.execPath, args, {
      env: { PATH: process.env['PATH'], HOME: folder, ...environment },
      stdio: ['pipe', 'pipe', 'pipe'],
    });

  const finish = async (child: ReturnType<typeof start>): Promise<Ended> => {
    child.stdin.end('from the terminal\n');
    const [[code, signal], output, complaint] = await Promise.all([
      once(child, 'close', { signal: AbortSignal.timeout(20_000) }) as Promise<
        [number | null, NodeJS.Signals | null]
      >,
      text(child.stdout),
      text(child.stderr),
    ]);
    return { code, signal, output, complaint };
  };

  const facts = ({ output }: Ended): { argv: string[]; node: string; pool: string; cache: string | null } =>
    JSON.parse(output.split('\n')[0] as string) as ReturnType<typeof facts>;

  test('hands the arguments and the exit code through', async () => {
    const ended = await finish(start([launcher, 'fail', '--config', 'a b']));
    assert.equal(ended.code, 78);
    assert.deepEqual(facts(ended).argv, ['fail', '--config', 'a b']);
    assert.equal((await finish(start([launcher, 'check']))).code, 0);
  });

  test('starts through a link, as npm installs a command', async () => {
    const link = join(folder, 'vratar');
    await symlink(launcher, link);
    const ended = await finish(start([link, 'check']));
    assert.equal(ended.code, 0, ended.complaint);
  });

  test('gives the thread pool sixteen threads unless told otherwise', async () => {
    assert.equal(facts(await finish(start([launcher, 'check']))).pool, '16');
    assert.equal(facts(await finish(start([launcher, 'check'], { UV_THREADPOOL_SIZE: '7' }))).pool, '7');
  });

  test('keeps compiled code below node_modules', async () => {
    const { cache } = facts(await finish(start([launcher, 'check'])));
    assert.ok(cache?.startsWith(join(folder, 'node_modules', '.cache', 'vratar')), String(cache));
    assert.ok((await readdir(cache ?? '')).length > 0, 'nothing was kept');
  });

  const caches = [
    { name: 'a folder of its own', value: 'own/cache', expected: 'own/cache' },
    { name: 'the word off', value: 'off', expected: undefined },
    { name: 'a folder that cannot be made', value: '/proc/vratar/cache', expected: undefined },
    { name: 'a file', value: '/dev/null/cache', expected: undefined },
  ];
  for (const { name, value, expected } of caches) {
    test(`takes ${name} as VRATAR_COMPILE_CACHE`, async () => {
      const configured = expected === undefined ? value : join(folder, value);
      const ended = await finish(start([launcher, 'check'], { VRATAR_COMPILE_CACHE: configured }));
      assert.equal(ended.code, 0, ended.complaint);
      assert.equal(ended.complaint, '');
      const { cache } = facts(ended);
      if (expected === undefined) assert.equal(cache, null);
      else assert.ok(cache?.startsWith(configured), String(cache));
    });
  }

  for (const version of ['12.22.12', '20.20.2', '24.14.9']) {
    test(`refuses Node ${version} with one sentence when no other is installed`, async () => {
      const ended = await finish(start([...(await oldNode(version)), launcher, 'check']));
      assert.equal(ended.code, 78);
      assert.equal(ended.output, '');
      assert.match(
        ended.complaint,
        /^vratar: Node 24\.15 or newer is needed, this is [\d.]+ and .*deploy\/setup\.mjs start.*\n$/,
      );
    });
  }

  test('takes an installed Node that is too old for none', async () => {
    await using _ = await installNode('24.1.0');
    const ended = await finish(start([...(await oldNode('20.20.2')), launcher, 'check']));
    assert.equal(ended.code, 78);
  });

  describe('under an old Node, with the one of the lockfile installed', () => {
    let installed: AsyncDisposable;
    let old: readonly string[];
    before(async () => {
      installed = await installNode(process.versions.node);
      old = await oldNode('20.20.2');
    });
    after(async () => {
      await installed[Symbol.asyncDispose]();
    });

    test('runs the same command under the installed one', async () => {
      const ended = await finish(start([...old, launcher, 'echo', 'a b']));
      assert.equal(ended.code, 0, ended.complaint);
      assert.deepEqual(facts(ended).argv, ['echo', 'a b']);
      assert.equal(facts(ended).node, process.versions.node);
      assert.match(ended.output, /from the terminal/);
    });

    test('keeps the exit code', async () => {
      assert.equal((await finish(start([...old, launcher, 'fail']))).code, 78);
    });

    test('dies of the signal the command died of', async () => {
      assert.equal((await finish(start([...old, launcher, 'raise']))).signal, 'SIGKILL');
    });

    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) {
      test(`passes ${signal} on once and waits for the command`, async () => {
        const child = start([...old, launcher, 'serve']);
        let seen = '';
        child.stdout.on('data', (chunk: Buffer) => {
          seen += chunk.toString();
        });
        await until(() => seen.includes('ready'), { timeoutMs: 10_000, what: 'the command being ready' });
        child.kill(signal);
        const { code } = await finish(child);
        assert.equal(code, 0);
        assert.equal(seen.split(`got ${signal}`).length - 1, 1);
      });
    }
  });

  test('names the package that is missing instead of showing a stack', async () => {
    const main = join(folder, 'src', 'main.ts');
    await writeFile(main, "import 'not-installed';\n");
    const missing = await finish(start([launcher, 'check']));
    assert.equal(missing.code, 78);
    assert.match(missing.complaint, /^vratar: .*Cannot find package 'not-installed'.*setup\.mjs start"\.\n$/);
    await writeFile(main, "import './gone.ts';\n");
    const defect = await finish(start([launcher, 'check']));
    assert.equal(defect.code, 1);
    assert.match(defect.complaint, /gone\.ts/);
    await writeFile(main, gateway);
  });
});
