/**
 * A helper process that does what the token says, and speaks the real one's language: for crashes and hangs that
 * libkrb5 cannot be made to show. The keytab's name decides how it starts.
 */
import { existsSync } from 'node:fs';
import type { Answer, Greeting, Question } from '#src/providers/kerberos/helper-messages.ts';
import type { Verdict } from '#src/providers/kerberos/verdict.ts';

let inHand = 0;

const accepted = (): Verdict => ({
  kind: 'accepted',
  // Who judged, and how many tokens it had at that moment.
  principal: `${process.pid}:${inHand}`,
  service: 'HTTP/gw.localhost@TEST.LOCAL',
  reply: undefined,
});

function answer(id: number, verdict: Verdict, rssBytes?: number): void {
  const message: readonly Answer[] = [{ id, verdict, ...(rssBytes === undefined ? {} : { rssBytes }) }];
  // Nobody may be there any more to hear it.
  process.send?.(message, undefined, undefined, () => undefined);
  inHand--;
}

function judge({ id, token }: Question): void {
  inHand++;
  const [what, argument] = token.split(':');
  if (what === 'crash') process.kill(process.pid, 'SIGSEGV');
  else if (what === 'hang') return;
  else if (what === 'refuse') answer(id, { kind: 'refused', reason: 'ticket-refused', detail: 'as asked' });
  else if (what === 'replay') answer(id, { kind: 'refused', reason: 'replay', detail: 'as asked' });
  else if (what === 'swell') answer(id, accepted(), 1_000_000_000);
  else setTimeout(() => answer(id, accepted()), Number(argument ?? 0));
}

process.on('message', (questions: readonly Question[]) => questions.forEach(judge));
process.once('disconnect', () => process.exit());

// The name of the keytab: `FILE:waits-for-/path` dies until the path exists.
const waitsFor = /waits-for-(.*)$/.exec(process.env['KRB5_KTNAME'] ?? '')?.[1];
if (waitsFor !== undefined && !existsSync(waitsFor)) process.exit(3);
process.send?.({ ready: true } satisfies Greeting, undefined, undefined, () => undefined);
