/** What the SQLite files keep: over a restart, a crash, an older copy, damage. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import { createHub, type Hub } from '#src/state/hub.ts';
import { contractLimits } from '#test/contract/attempt-counters-contract.ts';
import { contractIdleTimeoutMs, storedSession } from '#test/contract/session-store-contract.ts';
import { forkHub } from '#test/state/forked-hub.ts';
import { temporaryDirectory } from '#test/state/temporary-directory.ts';
import { ManualClock } from '#test/support/clock.ts';
import { collectLog } from '#test/support/log-lines.ts';
import { until } from '#test/support/until.ts';

const clock = new ManualClock();

function openHub(directory: string): Hub {
  return createHub({
    directory,
    clock,
    logger: collectLog().logger,
    idleTimeoutMs: contractIdleTimeoutMs,
    attemptLimits: contractLimits,
  });
}

describe('the state directory', () => {
  test('keeps sessions over a restart', async () => {
    using folder = temporaryDirectory();
    const session = storedSession(clock.now());
    {
      using hub = openHub(folder.path);
      await hub.sessions.save(session);
    }
    using hub = openHub(folder.path);
    assert.deepEqual(await hub.sessions.load(session.key), session);
  });

  test('keeps acknowledged sessions and revocations when the primary is killed', async () => {
    using folder = temporaryDirectory();
    const [kept, ended] = [storedSession(Date.now()), storedSession(Date.now())];
    {
      await using hub = await forkHub(folder.path);
      await hub.first.sessions.save(kept);
      await hub.first.sessions.save(ended);
      await hub.first.sessions.revoke(ended.key);
      await hub.kill();
    }
    await using hub = await forkHub(folder.path);
    assert.deepEqual(await hub.first.sessions.load(kept.key), kept);
    assert.equal(await hub.first.sessions.load(ended.key), undefined);
  });

  test('does not revive a revoked session from an older copy of the sessions', async () => {
    using folder = temporaryDirectory();
    const copy = folder.file('copy.db');
    const session = storedSession(clock.now());
    {
      using hub = openHub(folder.path);
      await hub.sessions.save(session);
    }
    copyFileSync(folder.file('sessions.db'), copy);
    {
      using hub = openHub(folder.path);
      await hub.sessions.revoke(session.key);
    }
    copyFileSync(copy, folder.file('sessions.db'));
    using hub = openHub(folder.path);
    assert.equal(await hub.sessions.load(session.key), undefined);
    assert.equal(await hub.sessions.claimRefresh(session.key, session.refreshedAtMs), 'taken');
  });

  test('is private: the folder 0700, every file in it 0600', async () => {
    using folder = temporaryDirectory();
    const directory = join(folder.path, 'fresh', 'data');
    using hub = openHub(directory);
    await hub.sessions.save(storedSession(clock.now()));
    assert.equal(statSync(directory).mode & 0o777, 0o700);
    for (const name of ['sessions.db', 'sessions.db-wal', 'revocations.db', 'revocations.db-wal']) {
      assert.equal(statSync(join(directory, name)).mode & 0o777, 0o600, name);
    }
  });

  test('belongs to one process at a time', async () => {
    using folder = temporaryDirectory();
    await using first = await forkHub(folder.path);
    await first.first.sessions.count();
    assert.throws(() => openHub(folder.path), isInvalid(/revocations\.db: another process uses/));
  });

  const damages = [
    {
      name: 'text instead of a database',
      file: 'sessions.db',
      damage: (): Buffer => Buffer.from('x'.repeat(8_192)),
    },
    {
      name: 'pages overwritten in the middle',
      file: 'sessions.db',
      damage: (intact: Buffer): Buffer => Buffer.from(intact).fill(0xa5, 8_192, 20_000),
    },
    {
      name: 'text instead of revocations',
      file: 'revocations.db',
      damage: (): Buffer => Buffer.from('hello world'),
    },
  ];
  for (const { name, file, damage } of damages) {
    test(`with ${name} refuses the start and names the file`, async () => {
      using folder = temporaryDirectory();
      {
        using hub = openHub(folder.path);
        for (let i = 0; i < 100; i++) await hub.sessions.save(storedSession(clock.now()));
      }
      writeFileSync(folder.file(file), damage(readFileSync(folder.file(file))));
      assert.throws(() => openHub(folder.path), isInvalid(new RegExp(`${file}: .*damaged`)));
      rmSync(folder.file(file));
      openHub(folder.path)[Symbol.dispose]();
    });
  }

  test('that cannot be written refuses the start and names the file', () => {
    using folder = temporaryDirectory();
    mkdirSync(folder.file('revocations.db'));
    assert.throws(() => openHub(folder.path), isInvalid(/revocations\.db: /));
  });

  test('forgets sessions that are over in the background', async () => {
    using folder = temporaryDirectory();
    const oldClock = new ManualClock();
    const { logger } = collectLog();
    using hub = createHub({
      directory: folder.path,
      clock: oldClock,
      logger,
      idleTimeoutMs: contractIdleTimeoutMs,
      attemptLimits: contractLimits,
    });
    const sessions = Array.from({ length: 1_200 }, () => storedSession(oldClock.now()));
    await Promise.all(sessions.map(async (session) => await hub.sessions.save(session)));
    const [revoked] = sessions;
    assert.ok(revoked !== undefined);
    await hub.sessions.revoke(revoked.key);
    oldClock.advance(7_200_000);
    // With the rows gone even an earlier clock finds nothing.
    await until(
      async () => {
        oldClock.advance(-7_200_000);
        const left = await hub.sessions.count();
        oldClock.advance(7_200_000);
        return left === 0;
      },
      { timeoutMs: 8_000, what: 'pruning' },
    );
  });

  test('has a revocation on disk before it is acknowledged', async () => {
    using folder = temporaryDirectory();
    const trace = folder.file('trace.txt');
    const script = new URL('./revoke-once.ts', import.meta.url).pathname;
    execFileSync('strace', [
      '-f',
      '-e',
      'trace=fsync,fdatasync,write',
      '-o',
      trace,
      process.execPath,
      script,
      folder.path,
    ]);
    const calls = readFileSync(trace, 'utf8');
    const between = calls.slice(calls.indexOf('before-revoke'), calls.indexOf('after-revoke'));
    assert.match(between, /f(data)?sync\(/);
  });
});

function isInvalid(message: RegExp): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof GatewayError);
    assert.equal(error.code, 'CONFIG_INVALID');
    assert.match(error.message, message);
    return true;
  };
}
