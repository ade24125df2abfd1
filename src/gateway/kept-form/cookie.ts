/** The cookie with the ticket of the one form that this browser left behind. */
import { cookieValue } from '../../lib/cookie-header.ts';
import { isTicket } from '../../session/ticket.ts';
import { formKeptForMs } from '../../state/kept-forms.ts';

export class KeptFormCookie {
  /** With the `__Host-` prefix over https: no neighbouring host can plant the ticket of a form of its own. */
  readonly name: string;
  readonly #attributes: string;

  /**
   * `sessionCookieName` with or without its prefix. Lax and not Strict: people may come back from signing in at
   * another site, and a form is sent by their click alone.
   */
  constructor(sessionCookieName: string, isSecure: boolean) {
    this.name = `${isSecure ? '__Host-' : ''}${sessionCookieName.replace(/^__Host-/, '')}-form`;
    this.#attributes = `; Path=/; HttpOnly; SameSite=Lax${isSecure ? '; Secure' : ''}`;
  }

  read(cookieHeader: string): string | undefined {
    const ticket = cookieValue(cookieHeader, this.name);
    return ticket !== undefined && isTicket(ticket) ? ticket : undefined;
  }

  /** Header pair. */
  issue(ticket: string): readonly string[] {
    return ['Set-Cookie', `${this.name}=${ticket}; Max-Age=${formKeptForMs / 1_000}${this.#attributes}`];
  }

  /** Header pair that removes the cookie. */
  clear(): readonly string[] {
    return ['Set-Cookie', `${this.name}=; Max-Age=0${this.#attributes}`];
  }
}
