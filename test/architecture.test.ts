/**
 * The shape of the source tree: which folder may import which, where a vendor's package may be touched, and what no
 * file may do. The tables are the rule; a change of the design is a change here.
 */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync } from 'node:fs';
import { dirname, join, normalize } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

/** Path below src (`http/body.ts`) to text. */
type Sources = ReadonlyMap<string, string>;

interface Check {
  readonly name: string;
  /** One sentence per breach. */
  readonly find: (sources: Sources) => readonly string[];
  /** A file that breaks the rule: proof that the check sees it. */
  readonly breach: readonly [path: string, text: string];
}

const root = fileURLToPath(new URL('..', import.meta.url));

/** What a folder, or a file directly in src, may import besides itself and errors.ts. */
const mayImport: Readonly<Record<string, readonly string[]>> = {
  'errors.ts': [],
  'version.ts': [],
  lib: [],
  identity: ['lib'],
  observability: ['lib', 'identity'],
  http: ['lib', 'identity', 'observability'],
  grpc: ['lib', 'identity', 'observability', 'http'],
  state: ['lib', 'identity', 'observability'],
  directory: ['lib', 'identity', 'observability'],
  session: ['lib', 'identity', 'observability', 'state'],
  access: ['lib', 'identity'],
  headers: ['lib', 'identity'],
  preauth: ['lib', 'identity'],
  providers: ['lib', 'identity', 'observability', 'directory'],
  proxy: ['lib', 'identity', 'observability', 'http'],
  portal: ['lib', 'identity', 'observability', 'http'],
  gateway: [
    'lib',
    'identity',
    'observability',
    'http',
    'grpc',
    'state',
    'directory',
    'session',
    'access',
    'headers',
    'preauth',
    'providers',
    'proxy',
    'portal',
    'version.ts',
  ],
  accounts: ['lib', 'identity', 'observability', 'state'],
  provisioning: ['lib', 'identity', 'observability', 'directory', 'accounts'],
  admin: [
    'lib',
    'identity',
    'observability',
    'http',
    'portal',
    'session',
    'access',
    'accounts',
    'provisioning',
  ],
  config: ['lib', 'identity'],
  'compose.ts': ['*'],
  'compose-primary.ts': ['*'],
  processes: ['lib', 'observability', 'state', 'session', 'gateway', 'compose.ts'],
  cli: ['*'],
  'main.ts': ['cli'],
};

/** What `*` leaves out: the composition is not an entry point, and nothing is imported from one. */
const neverImported = ['main.ts', 'launcher.mjs'];
const notForCompose = ['cli', 'processes', ...neverImported];

/** A folder's options, described with zod beside its code; composed by config and by one another. */
const isOptionFragment = (path: string): boolean =>
  /(^|\/)(options|[a-z-]+-options|option-types|provider-name)\.ts$/.test(path);

/** Pure facts about option values that the configuration's checks share with the code that obeys them. */
const sharedWithConfig = [
  'headers/presets.ts',
  'headers/strip.ts',
  'headers/template.ts',
  'providers/kerberos/installation.ts',
  'providers/kerberos/keytab.ts',
];

/** Where a vendor's package may be imported. */
const vendors: Readonly<Record<string, (path: string) => boolean>> = {
  kerberos: (path) => path === 'providers/kerberos/acceptor.ts',
  undici: (path) => path === 'lib/outgoing.ts',
  jose: (path) => path === 'headers/assertion.ts' || path.startsWith('providers/'),
  '@redis/client': (path) => path === 'state/redis.ts',
  kysely: (path) => /^(state|accounts)\//.test(path),
  'node:sqlite': (path) => /^(state|accounts)\//.test(path),
  'prom-client': (path) => path === 'observability/metrics.ts',
  protobufjs: (path) => path.startsWith('grpc/'),
  pino: (path) => path === 'observability/logger.ts',
  yaml: (path) => path.startsWith('config/'),
  zod: (path) => path.startsWith('config/') || isOptionFragment(path),
  // Bounded maps: each place is named, so that a new cache is a decision and not a habit.
  'lru-cache': (path) =>
    [
      'gateway/application.ts',
      'gateway/view.ts',
      'providers/request-sign-in.ts',
      'providers/kerberos/verdict-cache.ts',
      'session/refusals.ts',
      'session/cache.ts',
      'directory/timed-cache.ts',
      'state/attempt-ledger.ts',
    ].includes(path),
};

/** Entry points and the configuration; everything else is told what it needs. libkrb5 listens to nothing else. */
const readsEnvironment = /^(config|cli)\/|^(main|launcher)\.|^providers\/kerberos\/environment\.ts$/;

const drawerNames = /(^|\/)(utils?|helpers?|common|types|index|manager|service|misc|shared)(\.ts|\/)/;

const maximumCodeLines = 400;

const checks: readonly Check[] = [
  {
    name: 'a folder imports only what its row allows',
    find: (sources) =>
      edges(sources).flatMap(({ from, to }) => (isAllowed(from, to) ? [] : [`${from} -> ${to}`])),
    breach: ['http/breach.ts', "import { start } from '../session/lifecycle.ts';"],
  },
  {
    name: 'no two files load each other, directly or in a circle',
    find: (sources) => findCycles(sources),
    breach: ['lib/breach.ts', "export { breach } from './breach.ts';"],
  },
  {
    name: 'a vendor is imported only where it is wrapped',
    find: (sources) =>
      [...sources].flatMap(([path, text]) =>
        packagesOf(text)
          .filter((name) => vendors[name] !== undefined && !vendors[name](path))
          .map((name) => `${path} imports ${name}`),
      ),
    breach: ['gateway/breach.ts', "import { Agent } from 'undici';"],
  },
  {
    name: 'every package that is imported has a row saying where',
    find: (sources) =>
      [...sources].flatMap(([path, text]) =>
        packagesOf(text)
          .filter((name) => vendors[name] === undefined && !name.startsWith('node:'))
          .map((name) => `${path} imports ${name}`),
      ),
    breach: ['lib/breach.ts', "const { x } = await import('left-pad/x');"],
  },
  {
    name: `no file has more than ${maximumCodeLines} lines of code`,
    find: (sources) =>
      [...sources]
        .map(([path, text]) => ({
          path,
          count: codeOf(text)
            .split('\n')
            .filter((line) => line.trim() !== '').length,
        }))
        .filter(({ count }) => count > maximumCodeLines)
        .map(({ path, count }) => `${path}: ${count} lines`),
    breach: ['lib/breach.ts', 'a();\n'.repeat(maximumCodeLines + 1)],
  },
  {
    name: 'no file or folder is a drawer for things without a name',
    find: (sources) => [...sources.keys()].filter((path) => drawerNames.test(path)),
    breach: ['http/utils.ts', ''],
  },
  {
    name: 'nothing is exported as default',
    find: (sources) => matching(sources, /^export\s+(default\b|\{[^}]*\bas\s+default\b)/m),
    breach: ['http/breach.ts', 'export default 1;'],
  },
  {
    name: 'the environment is read by the entry points and the configuration only',
    find: (sources) =>
      matching(sources, /process\.env\b|\benv\b[^;]*from 'node:process'/).filter(
        (path) => !readsEnvironment.test(path),
      ),
    breach: ['http/breach.ts', "const home = process.env['HOME'];"],
  },
  {
    name: 'every file begins by saying what it owns',
    find: (sources) =>
      [...sources].filter(([, text]) => !/^(#!.*\n)?\/\*\*/.test(text)).map(([path]) => path),
    breach: ['http/breach.ts', 'export const a = 1;'],
  },
];

const sources = readSources();

for (const { name, find, breach } of checks) {
  test(name, () => {
    assert.deepEqual(find(sources), []);
  });
  test(`${name}: a breach is seen`, () => {
    const broken = new Map(sources).set(...breach);
    assert.ok(
      find(broken).some((finding) => finding.includes(breach[0])),
      `nothing found in ${breach[0]}`,
    );
  });
}

test('the table itself has no circle', () => {
  const visit = (name: string, path: readonly string[]): void => {
    assert.ok(!path.includes(name), `circle: ${[...path, name].join(' -> ')}`);
    for (const next of mayImport[name] ?? []) if (next !== '*') visit(next, [...path, name]);
  };
  for (const name of Object.keys(mayImport)) visit(name, []);
});

test('every folder of src has a row', () => {
  const found = new Set([...sources.keys()].map(areaOf));
  found.delete('launcher.mjs');
  found.delete('node-runtime.mjs');
  assert.deepEqual(
    [...found].filter((area) => mayImport[area] === undefined),
    [],
  );
});

test('no tracked file names the host of a package registry', () => {
  const host = /\bregistry\.(?!example\.com\b)[a-z0-9-]+\.[a-z]{2,}\b|\bnpm\.pkg\.[a-z]+\.[a-z]+\b/i;
  assert.match(['registry', 'example', 'org'].join('.'), host);
  const naming = trackedFiles().filter((path) => host.test(readFileSync(join(root, path), 'utf8')));
  assert.deepEqual(naming, []);
});

test('the lockfile has no addresses, only versions and hashes', () => {
  const text = readFileSync(join(root, 'package-lock.json'), 'utf8');
  const { packages } = JSON.parse(text) as {
    packages: Record<string, { resolved?: string; integrity?: string; version?: string }>;
  };
  const entries = Object.entries(packages).filter(([path]) => path !== '');
  assert.ok(entries.length > 0);
  for (const [path, entry] of entries) {
    assert.equal(entry.resolved, undefined, path);
    assert.match(entry.integrity ?? '', /^sha512-/, path);
  }
});

test('every dependency is pinned to one version', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<
    string,
    Record<string, string> | undefined
  >;
  for (const kind of ['dependencies', 'devDependencies', 'optionalDependencies']) {
    for (const [name, version] of Object.entries(manifest[kind] ?? {})) {
      assert.match(version, /^\d+\.\d+\.\d+$/, `${kind}: ${name}`);
    }
  }
});

function readSources(): Sources {
  const folder = join(root, 'src');
  return new Map(
    readdirSync(folder, { recursive: true, encoding: 'utf8' })
      .filter((path) => /\.(ts|mjs)$/.test(path))
      .map((path) => [path, readFileSync(join(folder, path), 'utf8')]),
  );
}

function trackedFiles(): readonly string[] {
  // The checkout may belong to somebody else than who runs the tests.
  const output = execFileSync('git', ['-c', 'safe.directory=*', 'ls-files', '-z'], {
    cwd: root,
    encoding: 'utf8',
  });
  return output.split('\0').filter((path) => path !== '');
}

/** `http` of `http/body.ts`; the file itself directly in src. */
function areaOf(path: string): string {
  return path.split('/')[0] as string;
}

function isAllowed(from: string, to: string): boolean {
  const area = areaOf(from);
  const target = areaOf(to);
  if (area === target || target === 'errors.ts') return true;
  if (neverImported.includes(target)) return false;
  if (target === 'config')
    return ['cli', 'compose.ts', 'compose-primary.ts', 'main.ts', 'processes'].includes(area);
  // Options are data about a folder: config composes them, and a folder's options may contain another's.
  if (isOptionFragment(to) && (area === 'config' || isOptionFragment(from))) return true;
  if (area === 'config' && sharedWithConfig.includes(to)) return true;
  const allowed = mayImport[area] ?? [];
  if (allowed.includes('*')) return area === 'cli' || !notForCompose.includes(target);
  return allowed.includes(target);
}

function edges(files: Sources): readonly { readonly from: string; readonly to: string }[] {
  return [...files]
    .filter(([path]) => path.endsWith('.ts'))
    .flatMap(([from, text]) =>
      importsOf(text)
        .filter((name) => name.startsWith('.'))
        .map((name) => ({ from, to: normalize(join(dirname(from), name)) })),
    );
}

function findCycles(files: Sources): readonly string[] {
  const next = Map.groupBy(edges(withoutTypeImports(files)), ({ from }) => from);
  const done = new Set<string>();
  const cycles: string[] = [];
  const visit = (path: string, trail: readonly string[]): void => {
    const at = trail.indexOf(path);
    if (at !== -1) cycles.push([...trail.slice(at), path].join(' -> '));
    if (at !== -1 || done.has(path)) return;
    for (const { to } of next.get(path) ?? []) visit(to, [...trail, path]);
    done.add(path);
  };
  for (const path of files.keys()) visit(path, []);
  return cycles;
}

/** Type imports are gone before anything is loaded: two files may name each other's types. */
function withoutTypeImports(files: Sources): Sources {
  return new Map([...files].map(([path, text]) => [path, text.replace(/^import type [^;]*;/gm, '')]));
}

/** Every module specifier, of values and types, static and dynamic. */
function importsOf(text: string): readonly string[] {
  const pattern = /\bfrom\s*'([^']+)'|\bimport\s*\(\s*'([^']+)'|^import\s+'([^']+)'/gm;
  return [...codeOf(text).matchAll(pattern)].map((match) => (match[1] ?? match[2] ?? match[3]) as string);
}

/** `undici` of `undici/types`, `@redis/client` of itself. */
function packagesOf(text: string): readonly string[] {
  return importsOf(text)
    .filter((name) => !/^[./#]/.test(name))
    .map((name) => (name.startsWith('node:') ? name : /^(?:@[^/]+\/)?[^/]+/.exec(name)?.[0]) ?? name);
}

function matching(files: Sources, pattern: RegExp): readonly string[] {
  return [...files].filter(([, text]) => pattern.test(codeOf(text))).map(([path]) => path);
}

/** Without comments that fill whole lines; enough for code that the formatter has laid out. */
function codeOf(text: string): string {
  return text.replace(/^\s*\/\*[\s\S]*?\*\/\s*$/gm, '').replace(/^\s*\/\/.*$/gm, '');
}
