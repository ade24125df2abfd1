import assert from 'node:assert/strict';
import { copyFileSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { describeConfig } from '#src/config/describe.ts';
import { loadConfig } from '#src/config/load.ts';

const configFolder = join(import.meta.dirname, '../config');

interface Described {
  readonly description?: string;
  readonly properties?: Readonly<Record<string, Described>>;
  readonly items?: Described;
  readonly anyOf?: readonly Described[];
  readonly oneOf?: readonly Described[];
}

test('config/vratar.schema.json is what the code generates (npm run schema)', () => {
  assert.equal(readFileSync(join(configFolder, 'vratar.schema.json'), 'utf8'), describeConfig());
});

test('every option has a description', () => {
  const silent: string[] = [];
  const visit = (node: Described, path: string): void => {
    for (const [name, option] of Object.entries(node.properties ?? {})) {
      if ((option.description ?? '') === '') silent.push(`${path}${name}`);
      visit(option, `${path}${name}.`);
    }
    for (const branch of [...(node.anyOf ?? []), ...(node.oneOf ?? [])]) visit(branch, path);
    if (node.items !== undefined) visit(node.items, path);
  };
  visit(JSON.parse(describeConfig()) as Described, '');
  assert.deepEqual(silent, []);
});

test('the schema holds no mark of the loader', () => {
  assert.ok(!describeConfig().includes('x-vratar'));
});

test('secrets, durations and sizes are described as operators write them', () => {
  const schema = JSON.parse(describeConfig()) as Described;
  const password = schema.properties?.['directories']?.items?.properties?.['bind']?.properties?.['password'];
  assert.deepEqual(
    password?.anyOf?.map((branch) => Object.keys(branch.properties ?? { text: {} })),
    [['text'], ['file'], ['env']],
  );
  const refresh = schema.properties?.['session']?.properties?.['refreshInterval'] as Record<string, unknown>;
  assert.equal(refresh['default'], '5m');
  assert.match(String(refresh['description']), /\(from 1s to 720h\)$/);
});

test('the demonstration is valid, without a warning', () => {
  const { warnings, config } = loadConfig(join(configFolder, 'vratar.yaml'), { env: {} });
  assert.deepEqual(warnings, []);
  assert.deepEqual(config.server.listen, { kind: 'tcp', host: '127.0.0.1', port: 8080 });
  assert.deepEqual(
    config.applications.map(({ name, hosts, upstream }) => ({ name, hosts, upstream })),
    [{ name: 'whoami', hosts: ['127.0.0.1', 'localhost'], upstream: 'whoami' }],
  );
});

for (const name of readdirSync(join(configFolder, 'examples'))) {
  test(`the example ${name} is valid, without a warning, once its secret is there`, (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'vratar-example-'));
    t.after(() => {
      rmSync(folder, { recursive: true, force: true });
    });
    copyFileSync(join(configFolder, 'examples', name), join(folder, name));
    writeFileSync(join(folder, 'bind.secret'), 'x\n', { mode: 0o600 });
    assert.deepEqual(loadConfig(join(folder, name), { env: {} }).warnings, []);
  });
}

test('each configuration file names the schema that editors check it with', () => {
  for (const [file, schema] of [
    ['vratar.yaml', './vratar.schema.json'],
    ['examples/corporate.yaml', '../vratar.schema.json'],
    ['examples/directories.yaml', '../vratar.schema.json'],
  ] as const) {
    const [first] = readFileSync(join(configFolder, file), 'utf8').split('\n');
    assert.equal(first, `# yaml-language-server: $schema=${schema}`);
  }
});
