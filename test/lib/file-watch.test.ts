import assert from 'node:assert/strict';
import { mkdtempSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { FileWatch } from '#src/lib/file-watch.ts';
import { until } from '#test/support/until.ts';

const everyMs = 20;

function folder(): { readonly path: string } & Disposable {
  const path = mkdtempSync(join(tmpdir(), 'vratar-test-'));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

describe('a watched file', () => {
  const changes: readonly { readonly what: string; readonly change: (file: string) => void }[] = [
    { what: 'is written', change: (file) => writeFileSync(file, 'two') },
    {
      what: 'is replaced by another one of the same size',
      change: (file) => {
        writeFileSync(`${file}.new`, 'two');
        renameSync(`${file}.new`, file);
      },
    },
    {
      what: 'becomes a link to another one',
      change: (file) => {
        writeFileSync(`${file}.target`, 'three');
        symlinkSync(`${file}.target`, `${file}.link`);
        renameSync(`${file}.link`, file);
      },
    },
    { what: 'is removed', change: (file) => rmSync(file) },
  ];
  for (const { what, change } of changes) {
    test(`that ${what} is told once`, async () => {
      using place = folder();
      const file = join(place.path, 'file');
      writeFileSync(file, 'one');
      let told = 0;
      using _watch = new FileWatch({
        files: () => [file],
        everyMs,
        onChange: async () => {
          told++;
          await Promise.resolve();
        },
      });
      await sleep(everyMs * 5);
      change(file);
      await until(() => told > 0);
      await sleep(everyMs * 5);
      assert.equal(told, 1);
    });
  }

  test('that changes while the change before is handled is told again', async () => {
    using place = folder();
    const file = join(place.path, 'file');
    writeFileSync(file, 'one');
    let told = 0;
    using _watch = new FileWatch({
      files: () => [file],
      everyMs,
      onChange: async () => {
        if (++told === 1) writeFileSync(file, 'three, longer');
        await sleep(everyMs * 3);
      },
    });
    await sleep(everyMs * 5);
    writeFileSync(file, 'two');
    await until(() => told === 2);
  });
});
