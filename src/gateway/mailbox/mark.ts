/** Remembers in the browser which mailboxes it opened, so that signing out ends their sessions too, on any worker. */
import { cookieValue } from '../../lib/cookie-header.ts';
import type { Snapshot } from '../snapshot.ts';

export class MailMark {
  readonly cookieName: string;
  readonly #attributes: string;

  /** Reaches as far as the session cookie does: people may sign out on another host than the one they opened mail on. */
  constructor(
    sessionCookieName: string,
    { publicOrigin, cookieDomain }: Pick<Snapshot, 'publicOrigin' | 'cookieDomain'>,
  ) {
    this.cookieName = `${sessionCookieName}-mail`;
    this.#attributes =
      `; Path=/; HttpOnly; SameSite=Lax${publicOrigin.scheme === 'https' ? '; Secure' : ''}` +
      (cookieDomain === undefined ? '' : `; Domain=${cookieDomain}`);
  }

  /** Names as the browser has them: somebody may have written them, so they only narrow down what is known anyway. */
  read(cookieHeader: string): readonly string[] {
    const value = cookieValue(cookieHeader, this.cookieName) ?? '';
    return /^[a-z0-9-]+(\.[a-z0-9-]+){0,31}$/.test(value) ? value.split('.') : [];
  }

  /** Header pair that adds `name`; empty when it is there already. */
  add(cookieHeader: string, name: string): readonly string[] {
    const names = this.read(cookieHeader);
    if (names.includes(name)) return [];
    return ['Set-Cookie', `${this.cookieName}=${[...names, name].join('.')}${this.#attributes}`];
  }

  clear(): readonly string[] {
    return ['Set-Cookie', `${this.cookieName}=; Max-Age=0${this.#attributes}`];
  }
}
