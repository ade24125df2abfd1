import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { PassThrough } from 'node:stream';
import { describe, test } from 'node:test';
import { hashPassword } from '#src/cli/hash-password.ts';
import { PasswordVerifier, parsePasswordHash } from '#src/providers/password-hash.ts';
import { type CommandRun, runCommand } from '#test/support/command-run.ts';

/** `typed`: what a person at a terminal types, line by line; otherwise the whole input of a pipe. */
async function run(input: string, { argv = [] as string[], isTTY = false } = {}): Promise<CommandRun> {
  const stdin = Object.assign(new PassThrough(), { isTTY, setRawMode: () => stdin });
  const done = runCommand(hashPassword, argv, { stdin });
  stdin.end(input);
  return await done;
}

async function verifies(phc: string, password: string): Promise<boolean> {
  const hash = parsePasswordHash(phc.trim());
  assert.ok(hash !== undefined);
  return await new PasswordVerifier().verify(hash, password, new AbortController().signal);
}

describe('vratar hash-password', () => {
  test('prints one hash of the line it reads', async () => {
    for (const input of ['wonder land\n', 'wonder land', 'wonder land\r\nmore\n']) {
      const { code, out, err } = await run(input);
      assert.deepEqual({ code, err }, { code: 0, err: '' });
      assert.match(out, /^\$argon2id\$v=19\$[^\n]+\n$/);
      assert.ok(await verifies(out, 'wonder land'));
    }
  });

  test('asks twice at a terminal and shows nothing of what is typed', async () => {
    const { code, out, err } = await run('wonderland\rwonderland\r', { isTTY: true });
    assert.equal(code, 0);
    assert.ok(await verifies(out, 'wonderland'));
    assert.equal(err, 'Password: \nOnce more: \n');
  });

  const refused = [
    { name: 'an empty line', input: '\n', code: 1 },
    { name: 'no input', input: '', code: 1 },
    { name: 'a password no form takes', input: `${'x'.repeat(1_025)}\n`, code: 1 },
    { name: 'two entries that differ', input: 'one\rtwo\r', options: { isTTY: true }, code: 1 },
    { name: 'a single entry at a terminal', input: 'one\r', options: { isTTY: true }, code: 1 },
    { name: 'a password as an argument', input: 'x\n', options: { argv: ['secret'] }, code: 64 },
  ];
  for (const { name, input, options, code } of refused) {
    test(`refuses ${name} and prints no hash`, async () => {
      const result = await run(input, options);
      assert.equal(result.code, code);
      assert.equal(result.out, '');
      assert.match(result.err, /vratar hash-password: /);
      assert.equal(result.err.includes('secret'), false);
    });
  }

  test('works as a command', () => {
    const script = `const { hashPassword } = await import('#src/cli/hash-password.ts');
      process.exitCode = await hashPassword([], process);`;
    const { status, stdout } = spawnSync(process.execPath, ['--input-type=module', '-e', script], {
      input: 'wonderland\n',
      encoding: 'utf8',
      timeout: 20_000,
    });
    assert.equal(status, 0);
    assert.match(stdout, /^\$argon2id\$/);
  });
});
