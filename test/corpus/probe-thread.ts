/** The thread of a probe: a request every tenth of a second until it is told to stop, then what it saw. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { converse } from './wire-client.ts';

const { port, ticket } = workerData as { port: number; ticket: string };
const bytes = Buffer.from(
  `GET /any/x HTTP/1.1\r\nHost: app.example.test\r\nCookie: __Host-gw=${ticket}\r\n\r\n`,
);
const tookMs: number[] = [];
const errors: number[] = [];
let isStopped = false;

async function one(): Promise<void> {
  const startedAt = performance.now();
  const { answers } = await converse({ port, bytes });
  if (answers[0]?.status !== 200) errors.push(answers[0]?.status ?? 0);
  tookMs.push(performance.now() - startedAt);
}

// The first ones pay for what the others find ready.
for (let i = 0; i < 20; i++) await one();
errors.length = 0;
tookMs.length = 0;
parentPort?.on('message', () => {
  isStopped = true;
});
parentPort?.postMessage('ready');
const running: Promise<void>[] = [];
while (!isStopped) {
  running.push(one());
  await sleep(100);
}
await Promise.all(running);
const sorted = tookMs.toSorted((a, b) => a - b);
parentPort?.postMessage({
  errors,
  p99Ms: sorted[Math.floor(sorted.length * 0.99)] ?? 0,
  sent: sorted.length,
});
parentPort?.close();
