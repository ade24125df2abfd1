/** Every implementation of the shared state behind one contract. */
import { createChannelPair } from '#src/state/channel.ts';
import { createHub, type Hub } from '#src/state/hub.ts';
import { createHubClient } from '#src/state/hub-client.ts';
import { attemptCountersContract, contractLimits } from '#test/contract/attempt-counters-contract.ts';
import {
  contractIdleTimeoutMs,
  type StoreFixture,
  sessionStoreContract,
} from '#test/contract/session-store-contract.ts';
import { forkHub } from '#test/state/forked-hub.ts';
import { ManualClock } from '#test/support/clock.ts';
import { collectLog } from '#test/support/log-lines.ts';

function createMemoryHub(clock: ManualClock): Hub {
  return createHub({
    directory: ':memory:',
    clock,
    logger: collectLog().logger,
    idleTimeoutMs: contractIdleTimeoutMs,
    attemptLimits: contractLimits,
  });
}

async function direct(): Promise<StoreFixture> {
  const clock = new ManualClock();
  const hub = createMemoryHub(clock);
  return {
    store: hub.sessions,
    other: hub.sessions,
    clock,
    nowMs: () => clock.now(),
    [Symbol.asyncDispose]: async () => hub[Symbol.dispose](),
  };
}

async function overPair(): Promise<StoreFixture> {
  const clock = new ManualClock();
  const hub = createMemoryHub(clock);
  const clients = [1, 2].map(() => {
    const [primary, worker] = createChannelPair();
    hub.attach(primary);
    return createHubClient({ channel: worker, clock });
  });
  const [first, second] = clients as [(typeof clients)[number], (typeof clients)[number]];
  return {
    store: first.sessions,
    other: second.sessions,
    clock,
    nowMs: () => clock.now(),
    [Symbol.asyncDispose]: async () => {
      for (const client of clients) client[Symbol.dispose]();
      hub[Symbol.dispose]();
    },
  };
}

async function overProcess(): Promise<StoreFixture> {
  const hub = await forkHub();
  return {
    store: hub.first.sessions,
    other: hub.second.sessions,
    nowMs: () => Date.now(),
    [Symbol.asyncDispose]: async () => await hub[Symbol.asyncDispose](),
  };
}

sessionStoreContract('the hub itself', direct);
sessionStoreContract('the hub over a channel in one process', overPair);
sessionStoreContract('the hub over a process channel', overProcess);

attemptCountersContract('the hub itself', async () => {
  const hub = createMemoryHub(new ManualClock());
  return {
    counters: hub.counters,
    other: hub.counters,
    [Symbol.asyncDispose]: async () => hub[Symbol.dispose](),
  };
});
attemptCountersContract('the hub over a process channel', async () => {
  const hub = await forkHub();
  return {
    counters: hub.first.counters,
    other: hub.second.counters,
    [Symbol.asyncDispose]: async () => await hub[Symbol.asyncDispose](),
  };
});
