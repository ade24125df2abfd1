import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';
import { copyProvisioned, provisioned, type Recipe } from './provisioned.ts';

function recipe(build: Recipe['build']): Recipe {
  const sources = ['provisioned.test.ts'];
  return { server: `test${process.pid}`, program: process.execPath, sources, build };
}

test('what takes long is built once for all who need it at the same time, and then found', async (t) => {
  let built = 0;
  const one = recipe(async (folder) => {
    built++;
    await delay(100);
    await writeFile(join(folder, 'data'), 'whole');
  });
  const folders = await Promise.all([provisioned(one), provisioned(one), provisioned(one)]);
  const [folder] = folders;
  t.after(async () => await rm(folder, { recursive: true, force: true }));
  assert.deepEqual(new Set(folders), new Set([folder]));
  assert.equal(await readFile(join(folder, 'data'), 'utf8'), 'whole');
  assert.equal(await provisioned(one), folder);
  assert.equal(built, 1);
});

test('what failed is built again, and a lock left by a process that died is no obstacle', async (t) => {
  const failing = recipe(async (folder) => {
    await writeFile(join(folder, 'data'), 'half');
    throw new Error('the set-up failed');
  });
  await assert.rejects(provisioned(failing), /the set-up failed/);
  const working = recipe(async (folder) => {
    assert.ok(!existsSync(join(folder, 'data')));
    await writeFile(join(folder, 'data'), 'whole');
  });
  const folder = await provisioned(working);
  t.after(async () => await rm(folder, { recursive: true, force: true }));
  await rm(folder, { recursive: true });
  // Above the largest process id of Linux.
  await writeFile(`${folder}.lock`, '4194305');
  assert.equal(await provisioned(working), folder);
  assert.ok(!existsSync(`${folder}.lock`));
});

test('a copy is gone when it is disposed of, and knows where it was filled', async (t) => {
  const built = recipe(async (folder) => await writeFile(join(folder, 'path'), folder));
  t.after(async () => await rm(await provisioned(built), { recursive: true, force: true }));
  let copied: string;
  {
    await using copy = await copyProvisioned(built);
    copied = copy.folder;
    assert.equal(await readFile(join(copied, 'path'), 'utf8'), copy.builtIn);
  }
  assert.ok(!existsSync(copied));
  assert.ok(existsSync(await provisioned(built)));
});
