/**
 * Random histories of sign-ins, requests, endings, partitions and restarts, checked as a database is checked: what was
 * ended and acknowledged is never served again, what was not ended is, and always to the same person.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { GatewayError } from '#src/errors.ts';
import type { Session } from '#src/session/session.ts';
import { createPrincipal, SessionFixture, type Worker } from '#test/session/fixture.ts';
import { temporaryDirectory } from '#test/state/temporary-directory.ts';
import { until } from '#test/support/until.ts';

const workerCount = 3;
const people = 3;
const staleForMs = 60_000;
const deadlineMs = 150;

const worker = fc.nat({ max: workerCount - 1 });
const person = fc.nat({ max: people - 1 });
const session = fc.nat({ max: 30 });
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sign-in'), worker, person }) },
  { weight: 10, arbitrary: fc.record({ kind: fc.constant('request'), worker, session }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('sign-out'), worker, session }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('end-person'), person }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('partition'), worker }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('rejoin'), worker }) },
  { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.nat({ max: 40_000 }) }) },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant('restart') }) },
);
type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

interface Known {
  readonly ticket: string;
  readonly subject: string;
  /** When the ending was acknowledged as recorded. */
  endedAtMs: number | undefined;
  /** An ending that was taken but not recorded yet: refused by the worker that took it, elsewhere either way. */
  queuedBy: Worker | undefined;
  readonly refusedBy: Set<Worker>;
}

class History implements AsyncDisposable {
  readonly #folder = temporaryDirectory();
  #fixture = new SessionFixture(this.#folder.path, deadlineMs);
  #workers: Worker[] = this.#startWorkers();
  readonly #sessions: Known[] = [];

  async apply(step: Step): Promise<void> {
    switch (step.kind) {
      case 'sign-in':
        return await this.#signIn(this.#worker(step.worker), `person-${step.person}`);
      case 'request':
        return await this.#withSession(step.session, async (known) => {
          await this.#check(known, this.#worker(step.worker));
        });
      case 'sign-out':
        return await this.#withSession(step.session, async (known) => {
          await this.#signOut(known, this.#worker(step.worker));
        });
      case 'end-person': {
        const subject = `person-${step.person}`;
        await this.#fixture.hub.sessions.revokePrincipal('corp', subject);
        for (const known of this.#sessions) if (known.subject === subject) this.#ended(known);
        return;
      }
      case 'partition': {
        const target = this.#worker(step.worker);
        target.isCutOff = true;
        target.held ??= [];
        return;
      }
      case 'rejoin':
        return await this.#rejoin(this.#worker(step.worker));
      case 'wait':
        this.#fixture.clock.advance(step.ms);
        for (const target of this.#workers) if (!target.isCutOff) await untilAnswered(target);
        return;
      case 'restart':
        return await this.#restart();
    }
  }

  /** Everybody is connected again: what was only queued becomes true everywhere, and nothing else changed. */
  async finish(): Promise<void> {
    await this.#recordQueued();
    for (const target of this.#workers) {
      for (const known of this.#sessions) await this.#check(known, target);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#fixture[Symbol.asyncDispose]();
    this.#folder[Symbol.dispose]();
  }

  async #signIn(target: Worker, subject: string): Promise<void> {
    try {
      const { ticket } = await target.lifecycle.issue(createPrincipal({ subject }));
      this.#sessions.push({
        ticket,
        subject,
        endedAtMs: undefined,
        queuedBy: undefined,
        refusedBy: new Set(),
      });
    } catch (error) {
      // Cut off, or a slow machine: nobody was told that they are signed in.
      assert.ok(isUnavailable(error), String(error));
    }
  }

  async #signOut(known: Known, target: Worker): Promise<void> {
    const result = await target.lifecycle.revoke(known.ticket);
    if (result === 'recorded') this.#ended(known);
    else if (known.endedAtMs === undefined) known.queuedBy = target;
    assert.equal(await this.#ask(known, target), undefined, 'refused at once where it was ended');
  }

  #ended(known: Known): void {
    known.endedAtMs ??= this.#fixture.clock.now();
    known.queuedBy = undefined;
  }

  async #check(known: Known, target: Worker): Promise<void> {
    // What was pushed has a second to arrive; an answer that was asked for later arrives later.
    if (!target.isCutOff) await untilAnswered(target);
    const { endedAtMs, queuedBy, refusedBy, subject } = known;
    let answer = await this.#ask(known, target);
    if (answer === 'unavailable' && !target.isCutOff) {
      // A slow machine missed the deadline: a connected worker can tell when asked again.
      await untilAnswered(target);
      answer = await this.#ask(known, target);
    }
    if (answer === 'unavailable') return;
    if (answer === undefined) {
      assert.ok(endedAtMs !== undefined || queuedBy !== undefined, 'nobody ended it');
      refusedBy.add(target);
      return;
    }
    assert.equal(answer.principal.subject, subject);
    assert.ok(!refusedBy.has(target), 'came back to life');
    assert.ok(queuedBy !== target, 'served where it was ended');
    if (endedAtMs === undefined) return;
    assert.ok(target.isCutOff, 'served by a connected worker after its end');
    assert.ok(this.#fixture.clock.now() - endedAtMs <= staleForMs, 'served for too long after its end');
  }

  async #ask(known: Known, target: Worker): Promise<Session | 'unavailable' | undefined> {
    const cached = target.lifecycle.cached(known.ticket, this.#fixture.clock.now());
    if (cached !== undefined) return cached;
    try {
      return await target.lifecycle.load(known.ticket);
    } catch (error) {
      assert.ok(isUnavailable(error), String(error));
      return 'unavailable';
    }
  }

  async #rejoin(target: Worker): Promise<void> {
    if (!target.isCutOff) return;
    target.isCutOff = false;
    target.deliver();
    await untilAnswered(target);
  }

  async #recordQueued(): Promise<void> {
    for (const target of this.#workers) await this.#rejoin(target);
    for (const known of this.#sessions.filter(({ queuedBy }) => queuedBy !== undefined)) {
      for (const target of this.#workers) {
        const isRefused = async (): Promise<boolean> => (await this.#ask(known, target)) === undefined;
        await until(isRefused, { timeoutMs: 20_000, what: 'a queued ending' });
      }
      this.#ended(known);
    }
  }

  /** The primary ends and with it every worker; the files stay. */
  async #restart(): Promise<void> {
    await this.#recordQueued();
    await this.#fixture[Symbol.asyncDispose]();
    const nowMs = this.#fixture.clock.now();
    this.#fixture = new SessionFixture(this.#folder.path, deadlineMs);
    this.#fixture.clock.set(nowMs);
    this.#workers = this.#startWorkers();
  }

  #startWorkers(): Worker[] {
    return Array.from({ length: workerCount }, () => this.#fixture.worker());
  }

  #worker(index: number): Worker {
    const found = this.#workers[index];
    assert.ok(found !== undefined);
    return found;
  }

  async #withSession(index: number, act: (known: Known) => Promise<void>): Promise<void> {
    const known = this.#sessions[index % Math.max(1, this.#sessions.length)];
    if (known !== undefined) await act(known);
  }
}

async function untilAnswered({ client }: Worker): Promise<void> {
  await until(
    async () => {
      try {
        await client.sessions.count();
        return true;
      } catch (error) {
        assert.ok(isUnavailable(error));
        return false;
      }
    },
    { timeoutMs: 20_000, what: 'an answer of the primary' },
  );
}

function isUnavailable(error: unknown): boolean {
  return error instanceof GatewayError && error.code === 'SESSION_STORE_UNAVAILABLE';
}

test('no history revives an ended session, ends a living one or confuses two people', {
  timeout: 240_000,
}, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(step, { minLength: 20, maxLength: 80, size: 'max' }), async (steps) => {
      await using history = new History();
      for (const each of steps) await history.apply(each);
      await history.finish();
    }),
    { numRuns: 6, interruptAfterTimeLimit: 60_000 },
  );
});
