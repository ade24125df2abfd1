/** `GET /_vratar/zimbra/NAME`: from the session to an open mailbox, and its end at sign-out. Never logs a link. */
import { type ErrorCode, GatewayError } from '../../errors.ts';
import { type Exchange, redirect } from '../../http/exchange.ts';
import { isNavigation } from '../../http/navigation.ts';
import type { Principal } from '../../identity/principal.ts';
import type { PortalTile } from '../../portal/portal-page.ts';
import type { Opening, OpeningRefusal } from '../../preauth/zimbra.ts';
import type { Session } from '../../session/session.ts';
import { signInLocation } from '../addresses/sign-in-location.ts';
import { sessionOf } from '../credentials/session-of.ts';
import type { GatewayDependencies } from '../dependencies.ts';
import type { Failures } from '../failures.ts';
import type { PortalRequest } from '../portal.ts';
import type { Traffic } from '../traffic.ts';
import type { Mailbox } from './mailbox.ts';
import { MailMark } from './mark.ts';

/** No mailbox for this person, or a mail server that does not let the gateway do its work. */
const refusalCodes = {
  'account-missing': 'MAILBOX_MISSING',
  'account-malformed': 'MAILBOX_MISSING',
  'account-not-ascii': 'MAILBOX_MISSING',
  'domain-unknown': 'MAILBOX_MISSING',
  'account-inactive': 'MAILBOX_MISSING',
  'mail-refused': 'MAILBOX_REFUSED',
  'mail-misconfigured': 'MAILBOX_REFUSED',
  'mail-fault': 'MAILBOX_REFUSED',
  held: 'MAILBOX_REFUSED',
} as const satisfies Record<OpeningRefusal, ErrorCode>;

type Result = 'redirected' | 'sign-in' | 'denied' | 'foreign-site' | 'error' | OpeningRefusal;

/** What a browser that signs out leaves behind on mail servers. */
export interface MailFarewell {
  readonly principal: Principal;
  readonly mailboxes: readonly Mailbox[];
}

export class MailboxDoor {
  readonly #dependencies: GatewayDependencies;
  readonly #traffic: Traffic;
  readonly #failures: Failures;
  readonly #mark: MailMark;
  readonly #mailboxes: ReadonlyMap<string, Mailbox>;

  constructor(dependencies: GatewayDependencies, traffic: Traffic, failures: Failures) {
    const { sessionCookie, snapshot, mailboxes } = dependencies;
    this.#dependencies = dependencies;
    this.#traffic = traffic;
    this.#failures = failures;
    this.#mark = new MailMark(sessionCookie.name, snapshot);
    this.#mailboxes = new Map(mailboxes.map((mailbox) => [mailbox.name, mailbox]));
  }

  /** The mailbox at a path below the portal's; `undefined`: the path is none of the door's. */
  find(path: string): Mailbox | undefined {
    return path.startsWith('/zimbra/') ? this.#mailboxes.get(path.slice('/zimbra/'.length)) : undefined;
  }

  /** Throws, or rejects with, what `error-reply.ts` answers. */
  async answer(mailbox: Mailbox, request: PortalRequest): Promise<void> {
    const { exchange } = request;
    const { snapshot, sessions, sessionCookie } = this.#dependencies;
    const start = startOf(exchange);
    if (start !== 'own') {
      this.#count(mailbox, 'foreign-site');
      this.#audit('zimbra.refused', mailbox, request, undefined, { reason: 'foreign-site' });
      if (start === 'foreign-part')
        throw new GatewayError('ACCESS_DENIED', 'another site asked for a mailbox');
      // A link in a mail or on another site: the person decides by a click on the tile.
      this.#redirect(exchange, `${snapshot.portalPath}/`);
      return;
    }
    const session = await sessionOf(exchange, sessionCookie, sessions);
    if (session === undefined) {
      this.#signIn(mailbox, request);
      return;
    }
    const isAdmin = mailbox.hasAdministration && request.query.get('admin') === '1';
    if (!(isAdmin ? mailbox.mayAdminister : mailbox.mayOpen)(session.principal)) {
      this.#refuse(mailbox, request, session, 'denied', 'ACCESS_DENIED');
      return;
    }
    const opening = await this.#open(mailbox, request, session, isAdmin);
    if (opening.kind === 'refused') {
      const { reason, mailAccount } = opening;
      this.#refuse(mailbox, request, session, reason, refusalCodes[reason], { mailAccount });
      return;
    }
    this.#count(mailbox, 'redirected');
    const { location, mailAccount } = opening;
    this.#audit('zimbra.opened', mailbox, request, session, { mailAccount, isAdmin });
    const mark = mailbox.endsSessions ? this.#mark.add(exchange.head.cookie, mailbox.name) : [];
    this.#redirect(exchange, location, ['Referrer-Policy', 'no-referrer', ...mark]);
  }

  /** A tile for each mailbox, and for each administration console, that the person may open. */
  tiles(principal: Principal): readonly PortalTile[] {
    const { portalPath } = this.#dependencies.snapshot;
    return [...this.#mailboxes.values()].flatMap((mailbox): readonly PortalTile[] => {
      const { title, host } = mailbox;
      const url = `${portalPath}/zimbra/${mailbox.name}`;
      return [
        ...(mailbox.mayOpen(principal) ? [{ title, host, url }] : []),
        ...(mailbox.mayAdminister(principal)
          ? [{ title, host, url: `${url}?admin=1`, isAdministration: true }]
          : []),
      ];
    });
  }

  /** Before a session ends: what it leaves on mail servers. Never rejects: nothing may keep a person from signing out. */
  async farewell(exchange: Exchange): Promise<MailFarewell | undefined> {
    const { sessionCookie, sessions, logger } = this.#dependencies;
    const mailboxes = this.#mark
      .read(exchange.head.cookie)
      .map((name) => this.#mailboxes.get(name))
      .filter((mailbox): mailbox is Mailbox => mailbox?.endsSessions === true);
    if (mailboxes.length === 0) return undefined;
    try {
      const session = await sessionOf(exchange, sessionCookie, sessions);
      return session === undefined ? undefined : { principal: session.principal, mailboxes };
    } catch (error) {
      if (!(error instanceof GatewayError)) throw error;
      logger.warn('zimbra.sessions-left', { error });
      return undefined;
    }
  }

  /** Header pairs for the answer to a sign-out. */
  forget({ head }: Exchange): readonly string[] {
    return this.#mark.read(head.cookie).length === 0 ? [] : this.#mark.clear();
  }

  /** Ends the mail sessions, after the person was answered. Rejects only for a defect. */
  async end({ principal, mailboxes }: MailFarewell): Promise<void> {
    const { logger } = this.#dependencies;
    await Promise.all(
      mailboxes.map(async ({ name, zimbra }) => {
        const fields = { zimbra: name, provider: principal.provider, account: principal.username };
        const mail = zimbra.accountOf(principal);
        if (typeof mail === 'string') return;
        try {
          const result = await zimbra.endSessions(mail);
          logger.audit('zimbra.sessions-ended', { ...fields, mailAccount: mail.account, result });
        } catch (error) {
          if (!(error instanceof GatewayError)) throw error;
          logger.warn('zimbra.sessions-left', { ...fields, mailAccount: mail.account, error });
        }
      }),
    );
  }

  async #open(
    mailbox: Mailbox,
    request: PortalRequest,
    session: Session,
    isAdmin: boolean,
  ): Promise<Opening> {
    try {
      return await mailbox.zimbra.open(session.principal, { isAdmin, query: request.query });
    } catch (error) {
      this.#count(mailbox, 'error');
      const reason = error instanceof GatewayError ? error.code : 'INTERNAL';
      this.#audit('zimbra.refused', mailbox, request, session, { reason });
      throw error;
    }
  }

  #signIn(mailbox: Mailbox, { exchange, origin, query }: PortalRequest): void {
    const { snapshot } = this.#dependencies;
    this.#count(mailbox, 'sign-in');
    if (!isNavigation(exchange.head)) throw new GatewayError('SIGN_IN_REQUIRED', 'no session');
    const asked = query.size === 0 ? '' : `?${query.toString()}`;
    const own = `${origin.scheme}://${origin.authority}${snapshot.portalPath}/zimbra/${mailbox.name}${asked}`;
    this.#redirect(exchange, signInLocation(origin, own, snapshot));
  }

  #refuse(
    mailbox: Mailbox,
    request: PortalRequest,
    session: Session,
    reason: Result,
    code: ErrorCode,
    more: Readonly<Record<string, unknown>> = {},
  ): void {
    this.#count(mailbox, reason);
    this.#audit('zimbra.refused', mailbox, request, session, { ...more, reason });
    const error = new GatewayError(code, 'the mailbox is not opened', { fields: { reason } });
    this.#failures.answer(request.exchange, 'portal', error, session);
  }

  #redirect(exchange: Exchange, location: string, headers: readonly string[] = []): void {
    redirect(exchange, 302, location, headers);
    this.#traffic.answered(exchange, 'portal', 302);
  }

  #count({ name }: Mailbox, result: Result): void {
    this.#dependencies.metrics.preauthRedirects.inc({ zimbra: name, result });
  }

  #audit(
    event: 'zimbra.opened' | 'zimbra.refused',
    { name }: Mailbox,
    { exchange }: PortalRequest,
    session: Session | undefined,
    fields: Readonly<Record<string, unknown>>,
  ): void {
    this.#dependencies.logger.audit(event, {
      zimbra: name,
      ...(session === undefined
        ? {}
        : { provider: session.principal.provider, account: session.principal.username }),
      ...fields,
      clientAddress: exchange.clientAddress,
    });
  }
}

/**
 * Who set the request off, as far as the browser says. Another site could otherwise open a person's mailbox session
 * whenever it likes, unseen in an image or a frame. Browsers that say nothing, and programs, are believed.
 */
function startOf({ head, request }: Exchange): 'own' | 'foreign-page' | 'foreign-part' {
  const { secFetchSite: site, secFetchMode: mode } = head;
  if (site === undefined) return 'own';
  const isPage = mode === 'navigate' && (request.headers['sec-fetch-dest'] ?? 'document') === 'document';
  if (site === 'same-origin' || site === 'none')
    return isPage || mode === 'cors' || mode === 'same-origin' ? 'own' : 'foreign-part';
  if (!isPage) return 'foreign-part';
  return site === 'same-site' ? 'own' : 'foreign-page';
}
