/** Starts the shared state in a child process and reaches it as two workers would. */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { systemClock } from '#src/lib/clock.ts';
import { createProcessChannel } from '#src/state/channel.ts';
import { createHubClient, type HubClient } from '#src/state/hub-client.ts';
import { prefixChannel } from '#test/state/prefixed-channel.ts';

export interface ForkedHub extends AsyncDisposable {
  readonly first: HubClient;
  readonly second: HubClient;
  signal(signal: 'SIGSTOP' | 'SIGCONT'): void;
  /** Ends the process as a power failure would, without a chance to close anything. */
  kill(): Promise<void>;
}

export async function forkHub(directory = ':memory:'): Promise<ForkedHub> {
  const child = fork(fileURLToPath(new URL('./hub-process.ts', import.meta.url)), [directory], {
    serialization: 'advanced',
    execArgv: [],
  });
  const exited = once(child, 'exit');
  const channel = createProcessChannel(child);
  const first = createHubClient({
    channel: prefixChannel(channel, 'first'),
    clock: systemClock,
    heartbeatMs: 200,
  });
  const second = createHubClient({
    channel: prefixChannel(channel, 'second'),
    clock: systemClock,
    heartbeatMs: 200,
  });
  const close = (): void => {
    first[Symbol.dispose]();
    second[Symbol.dispose]();
    channel[Symbol.dispose]();
  };
  return {
    first,
    second,
    signal: (signal) => {
      child.kill(signal);
    },
    kill: async () => {
      child.kill('SIGKILL');
      await exited;
    },
    [Symbol.asyncDispose]: async () => {
      close();
      child.kill('SIGCONT');
      if (child.connected) child.disconnect();
      await exited;
    },
  };
}
