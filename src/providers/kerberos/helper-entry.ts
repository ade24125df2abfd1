/**
 * The helper process: judges the tokens it is sent, in an environment of its own, and ends with the gateway's worker
 * that started it. Whatever libkrb5 does to this process, the gateway goes on.
 */
import { judgeToken, loadLibrary } from './acceptor.ts';
import type { Answer, Greeting, Question } from './helper-messages.ts';

/** Asking the kernel costs as much as a tenth of a validation. */
const answersPerMeasurement = 64;

let answers = 0;
/** Sent at the end of the event loop's turn. */
let unsent: Answer[] = [];

function send(message: readonly Answer[] | Greeting): void {
  // A failure means that the worker is gone; `disconnect` follows.
  process.send?.(message, undefined, undefined, () => undefined);
}

function sendAnswers(): void {
  const ready = unsent;
  unsent = [];
  send(ready);
}

async function judge({ id, token }: Question): Promise<void> {
  const verdict = await judgeToken(token);
  const isMeasured = ++answers % answersPerMeasurement === 0;
  const answer = isMeasured ? { id, verdict, rssBytes: process.memoryUsage.rss() } : { id, verdict };
  if (unsent.push(answer) === 1) setImmediate(sendAnswers);
}

process.on('message', (questions: readonly Question[]) => {
  for (const question of questions) void judge(question);
});
process.once('disconnect', () => process.exit());
// Sent to the whole group by a terminal or a supervisor: the worker still has answers to finish.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

void loadLibrary().then(() => send({ ready: true }));
