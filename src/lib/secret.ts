/**
 * A value that must not reach a log, an error or JSON by accident: every implicit conversion prints a mark instead.
 * Whoever needs the text says `reveal()`, which is easy to search for in a review.
 */
import { inspect } from 'node:util';

const mark = '[secret]';

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  reveal(): string {
    return this.#value;
  }

  get isEmpty(): boolean {
    return this.#value === '';
  }

  toString(): string {
    return mark;
  }

  toJSON(): string {
    return mark;
  }

  [inspect.custom](): string {
    return mark;
  }
}
