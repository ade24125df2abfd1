/**
 * Parallel verifications of one password for one person share one bind: a browser with Basic credentials sends dozens
 * of requests at once. Only while the bind is under way; a verified password is never remembered.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Secret } from '../lib/secret.ts';
import type { BindAnswer } from './connection.ts';

interface Flight {
  readonly password: Secret;
  readonly answer: Promise<BindAnswer>;
}

export class SharedBind {
  readonly #flights = new Map<string, Flight>();

  async run(dn: string, password: Secret, bind: () => Promise<BindAnswer>): Promise<BindAnswer> {
    const flight = this.#flights.get(dn);
    if (flight !== undefined) {
      return await (areEqual(flight.password, password) ? flight.answer : bind());
    }
    const answer = bind();
    this.#flights.set(dn, { password, answer });
    try {
      return await answer;
    } finally {
      this.#flights.delete(dn);
    }
  }
}

function areEqual(first: Secret, second: Secret): boolean {
  const a = Buffer.from(first.reveal());
  const b = Buffer.from(second.reveal());
  return a.length === b.length && timingSafeEqual(a, b);
}
