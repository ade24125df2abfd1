import assert from 'node:assert/strict';
import { type mock, test } from 'node:test';
import { CircuitBreaker } from '#src/lib/circuit-breaker.ts';

function create(t: { mock: typeof mock }, attempts: (Error | undefined)[]) {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  t.mock.method(Math, 'random', () => 0.5);
  const events: string[] = [];
  const breaker = new CircuitBreaker({
    failureThreshold: 2,
    retryMs: [1_000, 3_000],
    slowRetryMs: [30_000],
    isSlow: (cause) => cause instanceof TypeError,
    attempt: async () => {
      events.push('attempt');
      const failure = attempts.shift();
      if (failure !== undefined) throw failure;
    },
    onOpen: (cause) => events.push(`open: ${(cause as Error).message}`),
    onClose: () => events.push('close'),
  });
  const pass = async (ms: number) => {
    t.mock.timers.tick(ms);
    // Lets the attempt settle.
    for (let turn = 0; turn < 5; turn++) await Promise.resolve();
  };
  return { breaker, events, pass };
}

test('opens at the second failure in a row, not at two with a success between', (t) => {
  const { breaker, events } = create(t, []);
  breaker.failure(new Error('first'));
  breaker.success();
  breaker.failure(new Error('second'));
  assert.equal(breaker.isOpen, false);
  breaker.failure(new Error('third'));
  assert.equal(breaker.isOpen, true);
  assert.deepEqual(events, ['open: third']);
  assert.ok(breaker.retryInMs > 0);
});

test('tries by itself, ever more rarely, and closes at the first success; changes are told once', async (t) => {
  const { breaker, events, pass } = create(t, [new Error('a'), new Error('b'), undefined]);
  breaker.open(new Error('down'));
  breaker.open(new Error('down again'));
  await pass(999);
  assert.deepEqual(events, ['open: down']);
  await pass(1);
  await pass(2_999);
  assert.deepEqual(events, ['open: down', 'attempt']);
  await pass(1);
  assert.equal((breaker.cause as Error).message, 'b');
  await pass(3_000);
  assert.deepEqual(events, ['open: down', 'attempt', 'attempt', 'attempt', 'close']);
  assert.equal(breaker.isOpen, false);
  assert.equal(breaker.retryInMs, 0);
});

test('waits long where time does not heal, and says so when the cause changes to that', async (t) => {
  const { breaker, events, pass } = create(t, [new TypeError('refused'), undefined]);
  breaker.open(new Error('down'));
  await pass(1_000);
  assert.deepEqual(events, ['open: down', 'attempt', 'open: refused']);
  await pass(29_999);
  assert.equal(breaker.isOpen, true);
  await pass(1);
  assert.equal(breaker.isOpen, false);
});

test('does nothing any more once disposed', async (t) => {
  const { breaker, events, pass } = create(t, []);
  breaker.open(new Error('down'));
  breaker[Symbol.dispose]();
  await pass(100_000);
  assert.deepEqual(events, ['open: down']);
});
