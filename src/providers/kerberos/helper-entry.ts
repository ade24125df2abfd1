/**
 * The helper process: judges the tokens it is sent, in an environment of its own, and ends with the gateway's worker
 * that started it. Whatever libkrb5 does to this process, the gateway goes on.
 */
import { judgeToken, loadLibrary } from './acceptor.ts';
import type { Answer, Greeting, Question } from './helper-messages.ts';

/** Asking the kernel costs as much as a tenth of a validation. */
const answersPerMeasurement = 64;

let answers = 0;

function send(message: Answer | Greeting): void {
  // A failure means that the worker is gone; `disconnect` follows.
  process.send?.(message, undefined, undefined, () => undefined);
}

process.on('message', ({ id, token }: Question) => {
  void judgeToken(token).then((verdict) => {
    const isMeasured = ++answers % answersPerMeasurement === 0;
    send({ id, verdict, ...(isMeasured ? { rssBytes: process.memoryUsage.rss() } : {}) });
  });
});
process.once('disconnect', () => process.exit());
// Sent to the whole group by a terminal or a supervisor: the worker still has answers to finish.
process.on('SIGINT', () => undefined);
process.on('SIGTERM', () => undefined);

void loadLibrary().then(() => send({ ready: true }));
