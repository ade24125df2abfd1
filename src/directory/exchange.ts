/**
 * One request and its answer on a socket that nobody uses yet, before a connection is made of it: nothing else is in
 * flight, and whatever follows the answer is an attack or a mistake. Has no limit of its own; who opened the socket has.
 */
import type { Socket } from 'node:net';
import { malformed } from './ber.ts';
import { LdapFailure } from './failures.ts';
import { MessageFramer } from './framing.ts';
import { type LdapResult, openMessage, readResult, type responseTags } from './responses.ts';

const messageId = 1;
const maxAnswerBytes = 16_384;

/** Leaves the socket paused. Throws LdapFailure with stage `connect`, and what the socket says of itself. */
export async function exchange(
  socket: Socket,
  what: string,
  encode: (messageId: number) => Buffer,
  responseTag: (typeof responseTags)['bind' | 'extended'],
): Promise<LdapResult> {
  return await new Promise<LdapResult>((resolve, reject) => {
    let answer: LdapResult | undefined;
    const framer = new MessageFramer(maxAnswerBytes, (bytes, start, end) => {
      const message = openMessage(bytes, start, end);
      if (answer !== undefined) throw malformed(`something follows the answer to ${what}`);
      if (message.messageId !== messageId || message.tag !== responseTag) {
        throw malformed(`another message than the answer to ${what}`);
      }
      answer = readResult(message.reader, responseTag);
    });
    const finish = (settle: () => void): void => {
      socket.off('data', onData).off('error', onError).off('close', onClose);
      socket.pause();
      settle();
    };
    const fail = (kind: 'unavailable' | 'protocol', message: string): void =>
      finish(() => reject(new LdapFailure(message, { kind, stage: 'connect' })));
    const onError = (error: Error): void => finish(() => reject(error));
    const onClose = (): void => fail('unavailable', `the server closed the connection on ${what}`);
    const onData = (chunk: Buffer): void => {
      try {
        framer.push(chunk);
        // After StartTLS, bytes behind the answer were put there in clear text, by whoever: they must not be read as
        // protected.
        if (answer !== undefined && !framer.isEmpty)
          throw malformed(`something follows the answer to ${what}`);
      } catch (error) {
        if (!(error instanceof LdapFailure)) throw error;
        fail('protocol', error.message);
        return;
      }
      const whole = answer;
      if (whole !== undefined) finish(() => resolve(whole));
    };
    socket.on('data', onData).on('error', onError).on('close', onClose);
    socket.write(encode(messageId));
  });
}
