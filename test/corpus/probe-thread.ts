/** The thread of a probe: a request every tenth of a second until it is told to stop, then what it saw. */
import { setTimeout as sleep } from 'node:timers/promises';
import { parentPort, workerData } from 'node:worker_threads';
import { converse } from './wire-client.ts';

const { port, ticket, upstreamPort, isSecure } = workerData as {
  port: number;
  ticket: string;
  upstreamPort: number;
  isSecure: boolean;
};
const bytes = Buffer.from(
  `GET /any/x HTTP/1.1\r\nHost: app.example.test\r\nCookie: __Host-gw=${ticket}\r\n\r\n`,
);
const tookMs: number[] = [];
/** Of the same request to the application without the gateway: what the machine does to everybody. */
const directMs: number[] = [];
const errors: number[] = [];
let isStopped = false;

async function one(): Promise<void> {
  const startedAt = performance.now();
  const { answers } = await converse({ port, bytes, isSecure });
  if (answers[0]?.status !== 200) errors.push(answers[0]?.status ?? 0);
  tookMs.push(performance.now() - startedAt);
}

async function oneDirectly(): Promise<void> {
  const startedAt = performance.now();
  await converse({ port: upstreamPort, bytes });
  directMs.push(performance.now() - startedAt);
}

const p99 = (all: readonly number[]): number =>
  all.toSorted((a, b) => a - b)[Math.floor(all.length * 0.99)] ?? 0;

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
  running.push(one(), oneDirectly());
  await sleep(100);
}
await Promise.all(running);
parentPort?.postMessage({
  errors,
  p99Ms: p99(tookMs),
  directP99Ms: p99(directMs),
  sent: tookMs.length,
});
parentPort?.close();
