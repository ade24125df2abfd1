/** Supervision of the helper process, with a helper that crashes and hangs when it is told to. */
import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { GatewayError } from '#src/errors.ts';
import { HelperJudge, type HelperLimits } from '#src/providers/kerberos/helper-judge.ts';
import type { Verdict } from '#src/providers/kerberos/verdict.ts';
import { childProcesses, isAlive } from '#test/support/child-processes.ts';
import { collectLog, type LogLines } from '#test/support/log-lines.ts';
import { until } from '#test/support/until.ts';

const program = fileURLToPath(new URL('scripted-helper.ts', import.meta.url));
const folder = await mkdtemp(join(tmpdir(), 'vratar-helper-'));
after(async () => await rm(folder, { recursive: true, force: true }));

interface Setup extends AsyncDisposable {
  readonly judge: HelperJudge;
  readonly log: LogLines;
}

function start(limits: Partial<HelperLimits> = {}, keytab = '/keytab'): Setup {
  const log = collectLog();
  const judge = new HelperJudge({
    settings: { keytab, replayFile: undefined },
    logger: log.logger,
    // Generous: the machine that runs the tests may be busy.
    limits: { startTimeoutMs: 30_000, answerTimeoutMs: 30_000, ...limits },
    program,
  });
  return { judge, log, [Symbol.asyncDispose]: async () => await judge[Symbol.asyncDispose]() };
}

const ask = async (judge: HelperJudge, token: string, signal?: AbortSignal): Promise<Verdict> =>
  await judge.judge(token, signal ?? AbortSignal.timeout(60_000));

/** Who answered, and how many tokens it had in hand. */
async function answeredBy(judge: HelperJudge, token = 'ok'): Promise<{ pid: number; inHand: number }> {
  const verdict = await ask(judge, token);
  assert.ok(verdict.kind === 'accepted', JSON.stringify(verdict));
  const [pid, inHand] = verdict.principal.split(':').map(Number);
  return { pid: pid as number, inHand: inHand as number };
}

const isUnavailable = (error: unknown): boolean =>
  error instanceof GatewayError && error.code === 'PROVIDER_UNAVAILABLE';

test('one process answers one token after the other', async () => {
  await using setup = start();
  const first = await answeredBy(setup.judge);
  assert.notEqual(first.pid, process.pid);
  assert.equal((await answeredBy(setup.judge)).pid, first.pid);
});

test('never more than four tokens are in hand, the others wait', async () => {
  await using setup = start();
  const answers = await Promise.all(Array.from({ length: 60 }, () => answeredBy(setup.judge, 'ok:2')));
  const most = Math.max(...answers.map(({ inHand }) => inHand));
  assert.ok(most > 1 && most <= 4, `${most} at once`);
});

test('a token beyond the queue is turned away at once', async () => {
  await using setup = start();
  const { pid } = await answeredBy(setup.judge);
  const waiting = Array.from({ length: 260 }, () => ask(setup.judge, 'ok:5'));
  await assert.rejects(ask(setup.judge, 'ok'), isUnavailable);
  for (const verdict of await Promise.all(waiting)) assert.equal(verdict.kind, 'accepted');
  assert.equal((await answeredBy(setup.judge)).pid, pid);
});

test('a token that nobody waits for leaves the queue', async () => {
  await using setup = start();
  const abort = new AbortController();
  const before = Array.from({ length: 4 }, () => ask(setup.judge, 'ok:50'));
  const waiting = ask(setup.judge, 'crash', abort.signal);
  abort.abort();
  await assert.rejects(waiting, isUnavailable);
  await Promise.all(before);
  assert.deepEqual(setup.log.of('kerberos-helper-ended'), []);
});

describe('when the helper crashes', () => {
  test('the tokens it had are judged by the next one, and only the fatal one is not', async () => {
    await using setup = start();
    const { pid } = await answeredBy(setup.judge);
    const others = Array.from({ length: 40 }, () => answeredBy(setup.judge, 'ok:5'));
    await assert.rejects(ask(setup.judge, 'crash'), isUnavailable);
    const pids = new Set((await Promise.all(others)).map((answer) => answer.pid));
    assert.ok(pids.size >= 1);
    assert.notEqual((await answeredBy(setup.judge)).pid, pid);
    // Once for the fatal token itself, once more when it was tried again.
    const ended = setup.log.of('kerberos-helper-ended');
    assert.ok(ended.length >= 1, 'the end of a helper is logged');
    assert.match(String(ended[0]?.['reason']), /SIGSEGV/);
  });

  test('a replay that the first helper may have caused is no refusal', async () => {
    await using setup = start();
    const { pid } = await answeredBy(setup.judge);
    process.kill(pid, 'SIGSTOP');
    const judging = ask(setup.judge, 'replay');
    // Sent, and never looked at.
    process.kill(pid, 'SIGKILL');
    await assert.rejects(judging, isUnavailable);
    assert.equal((await ask(setup.judge, 'refuse')).kind, 'refused');
  });

  test('at every start, tokens are told that nobody can judge until one comes up', async () => {
    const file = join(folder, 'mended');
    await using setup = start({ startTimeoutMs: 2_000 }, `waits-for-${file}`);
    await assert.rejects(ask(setup.judge, 'ok'), isUnavailable);
    await writeFile(file, '');
    await until(async () => (await ask(setup.judge, 'ok').catch(() => undefined))?.kind === 'accepted', {
      timeoutMs: 30_000,
      what: 'an answer of a helper that starts at last',
    });
    assert.ok(setup.log.of('kerberos-helper-ended').length >= 1);
  });
});

test('a helper that hangs is killed; the tokens behind the fatal one are judged by the next', async () => {
  await using setup = start({ answerTimeoutMs: 1_000 });
  const { pid } = await answeredBy(setup.judge);
  const hung = assert.rejects(ask(setup.judge, 'hang'), isUnavailable);
  const others = Array.from({ length: 10 }, () => answeredBy(setup.judge, 'ok:1'));
  await hung;
  await Promise.all(others);
  assert.notEqual((await answeredBy(setup.judge)).pid, pid);
  await until(() => !isAlive(pid), { timeoutMs: 30_000, what: 'the end of the helper that hung' });
});

describe('a helper is replaced', () => {
  const rows: readonly (readonly [name: string, limits: Partial<HelperLimits>, token: string])[] = [
    ['after many refusals', { maxRefusals: 20 }, 'refuse'],
    ['when it has grown', {}, 'swell'],
  ];
  for (const [name, limits, token] of rows) {
    test(`${name}, while every token is answered`, async () => {
      await using setup = start(limits);
      const { pid } = await answeredBy(setup.judge);
      const slow = answeredBy(setup.judge, 'ok:300');
      for (let count = 0; count < 25; count++) await ask(setup.judge, token);
      await until(async () => (await answeredBy(setup.judge)).pid !== pid, {
        timeoutMs: 30_000,
        what: 'another helper',
      });
      assert.equal((await slow).pid, pid, 'the old one finishes what it has');
      await until(() => !isAlive(pid), { timeoutMs: 30_000, what: 'the end of the old helper' });
      assert.ok(setup.log.of('kerberos-helper-replaced').length >= 1);
      assert.deepEqual(setup.log.of('kerberos-helper-ended'), []);
    });
  }
});

test('no process is left behind, whether it was ready or not', async () => {
  const setup = start();
  const { pid } = await answeredBy(setup.judge);
  await setup[Symbol.asyncDispose]();
  assert.equal(isAlive(pid), false);
  await start()[Symbol.asyncDispose]();
  assert.deepEqual(childProcesses('scripted-helper'), []);
});
