/** The set-up on machines that lack something: stand-ins for apt-get and npm, real files, a real process. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

interface Ended {
  readonly code: number;
  readonly output: string;
  readonly complaint: string;
}

const root = fileURLToPath(new URL('../..', import.meta.url));
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vratar-setup-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function run(args: readonly string[], environment: NodeJS.ProcessEnv = {}): Promise<Ended> {
  return await new Promise((resolve) => {
    execFile(
      process.execPath,
      args,
      { env: { PATH: process.env['PATH'], ...environment }, timeout: 30_000 },
      (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code), output: stdout, complaint: stderr });
      },
    );
  });
}

async function script(path: string, lines: readonly string[]): Promise<void> {
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, ['#!/bin/sh', ...lines, ''].join('\n'), { mode: 0o755 });
}

async function textOf(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    return undefined;
  }
}

describe('programs from Debian packages', () => {
  /** Asks for slapd and nginx on a machine of which only `folder/bin` exists. */
  const setUp = async (options: { isRoot: boolean }): Promise<Ended> => {
    const machine = {
      ...options,
      directories: [join(folder, 'bin')],
      policyFile: join(folder, 'policy-rc.d'),
    };
    const code = `
      import { installDebianPackages, missingPrograms } from ${JSON.stringify(join(root, 'deploy/setup/debian-packages.mjs'))};
      const machine = ${JSON.stringify(machine)};
      const missing = missingPrograms(['slapd', 'nginx', 'ldap-utils'], machine);
      try {
        if (missing.length > 0) installDebianPackages(missing, console.log, machine);
      } catch (error) {
        console.error(error.constructor.name + ': ' + error.message);
        process.exitCode = 1;
      }`;
    return await run(['--input-type=module', '-e', code]);
  };
  const calls = (): string => join(folder, 'calls');
  /** Notes how it was called and whether services were forbidden; `install` puts a program in place. */
  const aptGet = async (...installing: readonly string[]): Promise<void> => {
    await script(join(folder, 'bin', 'apt-get'), [
      `echo "$DEBIAN_FRONTEND $@" >> ${calls()}`,
      `${join(folder, 'policy-rc.d')}; echo "policy $?" >> ${calls()}`,
      'case "$*" in *install*)',
      ...installing,
      ';; esac',
    ]);
  };
  const provide = (name: string): string => `echo > ${join(folder, 'bin', name)}`;

  test('an ordinary user gets one sentence with the command to run', async () => {
    await aptGet();
    await script(join(folder, 'bin', 'ldapsearch'), []);
    const ended = await setUp({ isRoot: false });
    assert.equal(
      ended.complaint,
      'SetupProblem: slapd nginx must be installed first: sudo apt-get install --no-install-recommends slapd nginx\n',
    );
    assert.equal(await textOf(calls()), undefined, 'apt-get was not called');
  });

  test('a machine without apt-get is told what is missing', async () => {
    const ended = await setUp({ isRoot: true });
    assert.match(
      ended.complaint,
      /^SetupProblem: missing on this machine: slapd nginx ldap-utils \(.*\)\.\n$/,
    );
  });

  test('only what is missing is installed, without starting it', async () => {
    await aptGet(provide('slapd'), provide('nginx'));
    await script(join(folder, 'bin', 'ldapsearch'), []);
    await script(join(folder, 'bin', 'update-rc.d'), [`echo "$@" >> ${calls()}`]);
    const ended = await setUp({ isRoot: true });
    assert.equal(ended.complaint, '');
    assert.equal(ended.output, 'installing Debian packages: slapd nginx\n');
    assert.deepEqual((await textOf(calls()))?.trim().split('\n'), [
      'noninteractive -o DPkg::Lock::Timeout=120 update -qq',
      'policy 101',
      'noninteractive -o DPkg::Lock::Timeout=120 install -y -qq --no-install-recommends slapd nginx',
      'policy 101',
      'slapd disable',
      'nginx disable',
    ]);
    assert.equal(await textOf(join(folder, 'policy-rc.d')), undefined, 'the policy file is gone');
    assert.deepEqual(await setUp({ isRoot: true }), { code: 0, output: '', complaint: '' });
  });

  test('a policy of the machine stays as it is', async () => {
    await aptGet(provide('slapd'), provide('nginx'), provide('ldapsearch'));
    await script(join(folder, 'policy-rc.d'), ['exit 7']);
    assert.equal((await setUp({ isRoot: true })).code, 0);
    assert.match((await textOf(calls())) ?? '', /policy 7/);
    assert.equal(await textOf(join(folder, 'policy-rc.d')), '#!/bin/sh\nexit 7\n');
  });

  test('a failing apt-get is shown, and the policy file is removed all the same', async () => {
    await aptGet('echo "E: no space left" >&2', 'exit 100');
    const ended = await setUp({ isRoot: true });
    assert.equal(ended.code, 1);
    assert.match(ended.complaint, /E: no space left\nSetupProblem: "apt-get install .*" failed \(100\)\./);
    assert.equal(await textOf(join(folder, 'policy-rc.d')), undefined);
  });

  test('an installation that brings no program is not taken for one', async () => {
    await aptGet(provide('slapd'));
    const ended = await setUp({ isRoot: true });
    assert.match(ended.complaint, /still missing: nginx ldap-utils/);
  });
});

describe('packages of the lockfile', () => {
  const here = { os: [process.platform], cpu: [process.arch] };
  const nodeName = `node-${process.platform}-${process.arch}`;
  const locked: Record<string, Record<string, unknown>> = {
    '': { name: 'vratar' },
    'node_modules/zod': { version: '4.0.0', integrity: 'sha512-z' },
    'node_modules/@scope/inner': { version: '1.2.3', integrity: 'sha512-i' },
    'node_modules/@scope/inner/node_modules/deep': { version: '0.1.0', integrity: 'sha512-d' },
    'node_modules/fast-check': { version: '4.0.0', integrity: 'sha512-f', dev: true },
    [`node_modules/${nodeName}`]: { version: '24.21.0', integrity: 'sha512-n', optional: true, ...here },
    'node_modules/other-system': { version: '1.0.0', optional: true, os: ['aix'], cpu: [process.arch] },
    'node_modules/other-library': { version: '1.0.0', optional: true, ...here, libc: ['none'] },
    'node_modules/not-here': { version: '1.0.0', optional: true, os: [`!${process.platform}`] },
  };
  const production = Object.keys(locked).filter((path) => /zod|@scope|node-/.test(path));
  const all = [...production, 'node_modules/fast-check'];

  const json = async (path: string, value: unknown): Promise<void> => {
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, JSON.stringify(value));
  };
  const install = async (paths: readonly string[]): Promise<void> => {
    for (const path of paths)
      await json(join(folder, path, 'package.json'), { version: locked[path]?.['version'] });
    await script(join(folder, 'node_modules', nodeName, 'bin', 'node'), []);
    await json(join(folder, 'node_modules/.package-lock.json'), {
      packages: Object.fromEntries(paths.map((path) => [path, locked[path]])),
    });
  };
  /** An npm that notes its arguments and surroundings, then does what the lines say. */
  const npm = async (...lines: readonly string[]): Promise<void> => {
    await script(join(folder, 'fake', 'npm'), [
      `echo "$@" > ${join(folder, 'npm-arguments')}`,
      `env > ${join(folder, 'npm-environment')}`,
      ...lines,
    ]);
  };
  const setUp = async (purpose: string, environment: NodeJS.ProcessEnv = {}): Promise<Ended> => {
    const path = [join(folder, 'node_modules', '.bin'), join(folder, 'fake'), '/usr/bin', '/bin'].join(
      delimiter,
    );
    return await run([join(folder, 'deploy', 'setup.mjs'), purpose], { PATH: path, ...environment });
  };

  beforeEach(async () => {
    await cp(join(root, 'deploy/setup.mjs'), join(folder, 'deploy/setup.mjs'));
    await cp(join(root, 'deploy/setup'), join(folder, 'deploy/setup'), { recursive: true });
    await cp(join(root, 'src/node-runtime.mjs'), join(folder, 'src/node-runtime.mjs'));
    await json(join(folder, 'package-lock.json'), { packages: locked });
    await npm('exit 3');
    // The machine's own Node is an old one.
    await script(join(folder, 'fake', 'node'), ['echo v20.20.2']);
  });

  for (const [purpose, paths] of [
    ['start', production],
    ['start', all],
    ['test', all],
  ] as const) {
    test(`"${purpose}" with ${paths.length} packages in place says and calls nothing`, async () => {
      await install(paths);
      assert.deepEqual(await setUp(purpose), { code: 0, output: '', complaint: '' });
      assert.equal(await textOf(join(folder, 'npm-arguments')), undefined);
    });
  }

  const damages: readonly {
    readonly name: string;
    readonly purpose?: string;
    readonly damage: () => Promise<void>;
    readonly says: string;
  }[] = [
    {
      name: 'a folder is missing',
      damage: async () => await rm(join(folder, 'node_modules/zod'), { recursive: true }),
      says: 'zod@4.0.0',
    },
    {
      name: 'a nested package has another version',
      damage: async () =>
        await json(join(folder, 'node_modules/@scope/inner/node_modules/deep/package.json'), {
          version: '0.2.0',
        }),
      says: 'deep@0.1.0',
    },
    {
      name: 'a manifest was cut off',
      damage: async () => await writeFile(join(folder, 'node_modules/@scope/inner/package.json'), '{"ver'),
      says: '@scope/inner@1.2.3',
    },
    {
      name: 'the Node of the package is not there',
      damage: async () => await rm(join(folder, 'node_modules', nodeName, 'bin'), { recursive: true }),
      says: `${nodeName}@24.21.0`,
    },
    {
      name: 'a development package is missing for the tests',
      purpose: 'test',
      damage: async () => await rm(join(folder, 'node_modules/fast-check'), { recursive: true }),
      says: 'fast-check@4.0.0',
    },
    {
      name: 'the last installation did not end',
      damage: async () => await rm(join(folder, 'node_modules/.package-lock.json')),
      says: '4 packages of package-lock.json',
    },
  ];
  for (const { name, purpose = 'start', damage, says } of damages) {
    test(`npm is called when ${name}`, async () => {
      await install(all);
      await damage();
      const ended = await setUp(purpose);
      assert.equal(ended.output, `setup: installing from npm: ${says}\n`);
      assert.equal(ended.complaint, 'setup: "npm install" failed (3).\n');
      assert.equal(ended.code, 1);
    });
  }

  test('nothing of the outer npm and of the folder being changed reaches the inner npm', async () => {
    await setUp('start', {
      npm_config_omit: 'optional',
      npm_config_dry_run: 'true',
      npm_config_cache: '/cache',
    });
    const environment = (await textOf(join(folder, 'npm-environment'))) ?? '';
    assert.doesNotMatch(environment, /npm_config_(omit|dry_run)/);
    assert.match(environment, /^npm_config_cache=\/cache$/m);
    assert.doesNotMatch(/^PATH=(.*)$/m.exec(environment)?.[1] ?? 'node_modules', /node_modules/);
  });

  const flags: readonly [purpose: string, before: readonly string[], flag: string][] = [
    ['start', [], '--omit=dev'],
    ['start', ['node_modules/fast-check'], '--include=dev'],
    ['test', [], '--include=dev'],
  ];
  for (const [purpose, before, flag] of flags) {
    test(`"${purpose}" with ${before.length} development packages there asks npm for ${flag}`, async () => {
      await install(before);
      await setUp(purpose);
      const called = (await textOf(join(folder, 'npm-arguments')))?.trim().split(' ') ?? [];
      assert.deepEqual(called.slice(0, 4), ['install', '--no-save', flag, '--include=optional']);
    });
  }

  test('an npm that skips an optional package without a word is found out', async () => {
    await install(all.filter((path) => !path.includes(nodeName)));
    await rm(join(folder, 'node_modules', nodeName), { recursive: true });
    await npm('exit 0');
    const ended = await setUp('start');
    assert.equal(ended.code, 1);
    assert.match(
      ended.complaint,
      new RegExp(`^setup: npm ended without an error but did not install ${nodeName}@`),
    );
  });

  test("the packaged Node can be missing when the machine's own is new enough", async () => {
    await install(all.filter((path) => !path.includes(nodeName)));
    await rm(join(folder, 'node_modules', nodeName), { recursive: true });
    await script(join(folder, 'fake', 'node'), ['echo v24.15.0']);
    assert.deepEqual(await setUp('start'), { code: 0, output: '', complaint: '' });
  });

  describe('with a package that is compiled', () => {
    const compiled = 'node_modules/kerberos';
    const product = (): string => join(folder, compiled, 'build/Release/kerberos.node');
    const entry = { version: '7.0.0', integrity: 'sha512-k', optional: true };
    const headers = join('node_modules', nodeName, 'include/node/node_api.h');

    beforeEach(async () => {
      await install(all);
      await json(join(folder, 'package-lock.json'), { packages: { ...locked, [compiled]: entry } });
    });
    const installCompiled = async (): Promise<void> => {
      const record = join(folder, 'node_modules/.package-lock.json');
      const { packages } = JSON.parse((await textOf(record)) ?? '') as { packages: object };
      await json(record, { packages: { ...packages, [compiled]: entry } });
      await json(join(folder, compiled, 'package.json'), { version: entry.version });
    };

    test('the gateway starts without it', async () => {
      assert.deepEqual(await setUp('start'), { code: 0, output: '', complaint: '' });
      await installCompiled();
      assert.deepEqual(await setUp('start'), { code: 0, output: '', complaint: '' });
    });

    test('it is compiled for the tests from its source, also when the compiler came later', async () => {
      await installCompiled();
      await mkdir(dirname(join(folder, headers)), { recursive: true });
      await writeFile(join(folder, headers), '');
      await npm(`mkdir -p ${dirname(product())}`, `echo > ${product()}`);
      const ended = await setUp('test');
      assert.deepEqual(ended, {
        code: 0,
        output: 'setup: building the native module of kerberos\n',
        complaint: '',
      });
      assert.match((await textOf(join(folder, 'npm-arguments'))) ?? '', /^rebuild kerberos /);
      const environment = (await textOf(join(folder, 'npm-environment'))) ?? '';
      assert.match(environment, /^npm_config_build_from_source=true$/m);
      assert.match(environment, new RegExp(`^npm_config_nodedir=.*/node_modules/${nodeName}$`, 'm'));
      assert.deepEqual(await setUp('test'), { code: 0, output: '', complaint: '' });
    });

    test('a build that brings nothing is not taken for one', async () => {
      await installCompiled();
      await npm('exit 0');
      const ended = await setUp('test');
      assert.equal(ended.code, 1);
      assert.match(
        ended.complaint,
        /^setup: the native module of kerberos was not built: it needs libkrb5-dev/,
      );
    });

    test('npm runs no script of a package while it installs', async () => {
      await setUp('test');
      assert.match((await textOf(join(folder, 'npm-arguments'))) ?? '', /^install .* --ignore-scripts /);
    });
  });

  test('a word that is no purpose is answered with the usage', async () => {
    for (const word of ['stop', 'constructor']) {
      const ended = await setUp(word);
      assert.equal(ended.code, 1);
      assert.match(ended.complaint, /^setup: usage: .*\n$/);
    }
  });
});
