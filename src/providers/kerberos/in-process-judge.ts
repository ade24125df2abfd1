/** Judges tickets in this process: the fastest way, for small set-ups. A crash of libkrb5 takes the worker with it. */
import { judgeToken } from './acceptor.ts';
import { applyEnvironment, type KerberosEnvironment } from './environment.ts';
import { Turns } from './turns.ts';
import type { TicketJudge, Verdict } from './verdict.ts';

/** libkrb5's settings belong to the whole process: one such judge in it. */
export function createInProcessJudge(settings: KerberosEnvironment): TicketJudge {
  applyEnvironment(settings);
  const turns = new Turns();
  return {
    judge: async (token: string, signal: AbortSignal): Promise<Verdict> => {
      const turn = turns.enter(signal);
      if (turn !== undefined) await turn;
      try {
        return await judgeToken(token);
      } finally {
        turns.leave();
      }
    },
    async [Symbol.asyncDispose]() {},
  };
}
