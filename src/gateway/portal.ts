/** The gateway's own addresses below the portal path: sign-in, tiles, sign-out, who am I, assets. */
import { GatewayError } from '../errors.ts';
import { readForm } from '../http/body.ts';
import { type Exchange, redirect, reply, replyJson } from '../http/exchange.ts';
import type { Target } from '../http/target.ts';
import { languageCookie, languageParameter, parseLanguage } from '../portal/language.ts';
import type { PageReply } from '../portal/pages.ts';
import type { PortalTile } from '../portal/portal-page.ts';
import type { Session } from '../session/session.ts';
import { applicationUrl } from './addresses/public-origin.ts';
import type { RequestOrigin } from './addresses/request-origin.ts';
import { allowedReturnTarget } from './addresses/return-to.ts';
import { negotiateLocation } from './addresses/sign-in-location.ts';
import { sessionOf } from './credentials/session-of.ts';
import type { GatewayDependencies } from './dependencies.ts';
import { keptFormPath } from './kept-form/desk.ts';
import type { KeptFormPage } from './kept-form/page.ts';
import { languageOf } from './language-of.ts';
import type { MailboxDoor } from './mailbox/door.ts';
import { noSsoSeconds } from './negotiate/no-sso-cookie.ts';
import { NegotiatePage } from './negotiate/page.ts';
import type { CsrfGuard } from './sign-in/csrf.ts';
import { PasswordChange } from './sign-in/password-change.ts';
import type { SignIn } from './sign-in/sign-in.ts';
import type { Traffic } from './traffic.ts';

/** A request for one of the gateway's own addresses. */
export interface PortalRequest {
  readonly exchange: Exchange;
  readonly origin: RequestOrigin;
  readonly query: URLSearchParams;
}

const keySetHeaders: readonly string[] = [
  'Content-Type',
  'application/jwk-set+json',
  'Cache-Control',
  'public, max-age=300',
  'X-Content-Type-Options',
  'nosniff',
];

type Route = (request: PortalRequest) => Promise<void>;

export class Portal {
  readonly #dependencies: GatewayDependencies;
  readonly #traffic: Traffic;
  readonly #csrf: CsrfGuard;
  readonly #door: MailboxDoor;
  readonly #routes: ReadonlyMap<string, Readonly<Record<string, Route>>>;

  constructor(
    dependencies: GatewayDependencies,
    traffic: Traffic,
    csrf: CsrfGuard,
    signIn: SignIn,
    door: MailboxDoor,
    keptForm: KeptFormPage | undefined,
  ) {
    this.#dependencies = dependencies;
    this.#traffic = traffic;
    this.#csrf = csrf;
    this.#door = door;
    const { negotiation } = dependencies;
    const negotiatePage = negotiation === undefined ? undefined : new NegotiatePage(negotiation, signIn);
    const passwordChange = new PasswordChange(dependencies, csrf, signIn);
    this.#routes = new Map<string, Readonly<Record<string, Route>>>([
      ['/', { GET: async (request) => await this.#tiles(request) }],
      [
        '/login',
        {
          GET: async (request) => await this.#show(request, signIn),
          POST: async (request) => await this.#attempt(request, signIn),
        },
      ],
      [
        '/password',
        {
          // The form is shown to who has proven a password: whoever comes back to this address begins there.
          GET: async ({ exchange }) =>
            await Promise.resolve(this.#redirect(exchange, 302, `${dependencies.snapshot.portalPath}/login`)),
          POST: async (request) => await this.#attempt(request, passwordChange),
        },
      ],
      [
        '/logout',
        {
          GET: async (request) => await this.#confirmSignOut(request),
          POST: async (request) => await this.#signOut(request),
        },
      ],
      ...(negotiatePage === undefined
        ? []
        : ([
            ['/negotiate', { GET: async (request) => await this.#negotiate(request, negotiatePage) }],
          ] satisfies [string, Readonly<Record<string, Route>>][])),
      ...(keptForm === undefined
        ? []
        : ([[keptFormPath, { GET: async (request) => await keptForm.answer(request) }]] satisfies [
            string,
            Readonly<Record<string, Route>>,
          ][])),
      ['/jwks.json', { GET: async (request) => await this.#publicKeys(request) }],
      ['/userinfo', { GET: async (request) => await this.#userinfo(request) }],
    ]);
  }

  /** `target.canonical` lies below the portal path. Throws what `error-reply.ts` answers. */
  async answer(exchange: Exchange, origin: RequestOrigin, target: Target): Promise<void> {
    const { snapshot, assets } = this.#dependencies;
    const method = exchange.request.method === 'HEAD' ? 'GET' : (exchange.request.method as string);
    const asset = assets.find(target.canonical);
    if (asset !== undefined) {
      if (method !== 'GET') throw new GatewayError('METHOD_NOT_ALLOWED', 'assets are only read');
      this.#reply(exchange, 200, asset.headers, asset.body);
      return;
    }
    const path = target.canonical.slice(snapshot.portalPath.length);
    if (path === '') {
      redirect(exchange, 302, `${snapshot.portalPath}/`);
      this.#traffic.answered(exchange, 'portal', 302);
      return;
    }
    const routes = this.#routes.get(path) ?? this.#mailbox(path);
    if (routes === undefined) throw new GatewayError('NOT_FOUND', 'no such page');
    const route = Object.hasOwn(routes, method) ? routes[method] : undefined;
    if (route === undefined)
      throw new GatewayError('METHOD_NOT_ALLOWED', 'the page does not take this method');
    await route({ exchange, origin, query: new URLSearchParams(target.query) });
  }

  #mailbox(path: string): Readonly<Record<string, Route>> | undefined {
    const mailbox = this.#door.find(path);
    return mailbox && { GET: async (request) => await this.#door.answer(mailbox, request) };
  }

  async #show(request: PortalRequest, signIn: SignIn): Promise<void> {
    const { exchange } = request;
    const { snapshot, sessionCookie } = this.#dependencies;
    const returnTo = this.#askedReturn(request);
    const session = await this.#session(exchange);
    if (session !== undefined) {
      this.#redirect(exchange, 302, returnTo ?? `${snapshot.portalPath}/`);
      return;
    }
    if (this.#asksForTicket(request)) {
      this.#redirect(exchange, 302, negotiateLocation(returnTo ?? `${snapshot.portalPath}/`, snapshot));
      return;
    }
    // A cookie that opens nothing would only be in the way of the next one.
    const clear = sessionCookie.isPresent(exchange.head.cookie) ? ['Set-Cookie', sessionCookie.clear()] : [];
    this.#page(request, signIn.page(request, returnTo), clear);
  }

  /** Whoever has just chosen a language was looking at the form; `sso=0` is how an application asks for it. */
  #asksForTicket({ exchange, origin, query }: PortalRequest): boolean {
    const { negotiation } = this.#dependencies;
    if (negotiation === undefined || query.get('sso') === '0' || query.has(languageParameter)) return false;
    const { head, clientAddress, request } = exchange;
    const method = request.method as string;
    return negotiation.policy.mayAskPerson({ head, clientAddress, method, host: origin.host });
  }

  async #negotiate(request: PortalRequest, negotiatePage: NegotiatePage): Promise<void> {
    const { exchange } = request;
    const { snapshot } = this.#dependencies;
    const returnTo = this.#askedReturn(request);
    const session = await this.#session(exchange);
    if (session !== undefined) {
      this.#redirect(exchange, 302, returnTo ?? `${snapshot.portalPath}/`);
      return;
    }
    const answer = await negotiatePage.answer(request, returnTo);
    switch (answer.kind) {
      case 'signed-in':
        this.#redirect(exchange, 303, returnTo ?? `${snapshot.portalPath}/`, answer.headers);
        return;
      case 'page':
        this.#page(request, answer.page, []);
        return;
      case 'script':
        this.#signInRequired(exchange);
    }
  }

  async #attempt(request: PortalRequest, door: Pick<SignIn, 'attempt'>): Promise<void> {
    const { exchange } = request;
    const { snapshot } = this.#dependencies;
    const form = await readForm(exchange.request, exchange.head);
    this.#csrf.check(exchange, form.get('csrf'), request.origin);
    const returnTo = this.#returnTo(form.get('rd') ?? null, request.origin);
    const result = await door.attempt(request, form, returnTo);
    if (result.kind === 'refused') {
      this.#page(request, result.page, []);
      return;
    }
    this.#redirect(exchange, 303, returnTo ?? `${snapshot.portalPath}/`, ['Set-Cookie', result.setCookie]);
  }

  async #tiles(request: PortalRequest): Promise<void> {
    const { exchange } = request;
    const { snapshot, pages, providerTitles } = this.#dependencies;
    const session = await this.#session(exchange);
    if (session === undefined) {
      this.#redirect(exchange, 302, `${snapshot.portalPath}/login`);
      return;
    }
    const { principal } = session;
    const csrf = this.#csrf.token(exchange);
    const page = pages.portal(
      {
        principal,
        providerTitle: providerTitles.get(principal.provider) ?? principal.provider,
        applications: [...this.#openTo(session, exchange.clientAddress), ...this.#door.tiles(principal)],
        csrf: csrf.value,
      },
      languageOf(exchange, request.query.get(languageParameter) ?? undefined),
    );
    this.#page(request, page, csrf.headers);
  }

  /** Applications whose start page the person may open. */
  #openTo({ principal }: Session, clientAddress: string): readonly PortalTile[] {
    const { snapshot } = this.#dependencies;
    const tiles: PortalTile[] = [];
    for (const application of snapshot.applications.all) {
      const { pathPrefix } = application.options;
      const start = { method: 'GET', readings: [pathPrefix], clientAddress, hasEncodedSlash: false };
      if (application.decide(start, application.view(principal)).kind !== 'allow') continue;
      const url = applicationUrl(application, snapshot.publicOrigin);
      if (url !== undefined)
        tiles.push({ title: application.title, host: application.options.hosts[0] as string, url });
    }
    return tiles;
  }

  async #confirmSignOut(request: PortalRequest): Promise<void> {
    const { exchange } = request;
    const { snapshot, pages } = this.#dependencies;
    const session = await this.#session(exchange);
    if (session === undefined) {
      this.#redirect(exchange, 302, `${snapshot.portalPath}/login`);
      return;
    }
    const csrf = this.#csrf.token(exchange);
    const { displayName, username } = session.principal;
    const language = languageOf(exchange, request.query.get(languageParameter) ?? undefined);
    this.#page(
      request,
      pages.signOut({ name: displayName ?? username, csrf: csrf.value }, language),
      csrf.headers,
    );
  }

  async #signOut({ exchange, origin, query }: PortalRequest): Promise<void> {
    const { snapshot, sessions, sessionCookie, pages, logger, negotiation } = this.#dependencies;
    const form = await readForm(exchange.request, exchange.head);
    this.#csrf.check(exchange, form.get('csrf'), origin);
    const ticket = sessionCookie.readTicket(exchange.head.cookie);
    const clear = ['Set-Cookie', sessionCookie.clear()];
    // Otherwise the sign-in page would ask for the ticket, and they would be back in.
    if (negotiation !== undefined) clear.push('Set-Cookie', negotiation.cookie.issue(noSsoSeconds.signedOut));
    clear.push(...this.#door.forget(exchange));
    const farewell = await this.#door.farewell(exchange);
    const recorded = ticket === undefined ? 'recorded' : await sessions.revoke(ticket);
    logger.audit('sign-out', { recorded: recorded === 'recorded', clientAddress: exchange.clientAddress });
    if (recorded === 'recorded') {
      this.#redirect(exchange, 303, `${snapshot.portalPath}/login`, clear);
    } else {
      const page = pages.signedOutPending(languageOf(exchange, query.get(languageParameter) ?? undefined));
      this.#reply(exchange, page.status, [...page.headers, ...clear], page.body);
    }
    // Nobody waits for the mail server to sign out.
    if (farewell !== undefined) await this.#door.end(farewell);
  }

  /** Kept by verifiers for five minutes: the next key is published long before it signs (state/key-ring.ts). */
  async #publicKeys({ exchange }: PortalRequest): Promise<void> {
    const body = await Promise.resolve(JSON.stringify(this.#dependencies.publicKeys()));
    this.#reply(exchange, 200, keySetHeaders, Buffer.from(body));
  }

  async #userinfo({ exchange }: PortalRequest): Promise<void> {
    const session = await this.#session(exchange);
    if (session === undefined) {
      this.#signInRequired(exchange);
      return;
    }
    const { principal, authenticatedAtMs, expiresAtMs } = session;
    replyJson(exchange, 200, {
      subject: principal.subject,
      username: principal.username,
      email: principal.email ?? null,
      displayName: principal.displayName ?? null,
      provider: principal.provider,
      groups: principal.groups.map(({ name }) => name),
      roles: principal.roles,
      accessLevel: principal.accessLevel,
      authenticatedAt: new Date(authenticatedAtMs).toISOString(),
      expiresAt: new Date(expiresAtMs).toISOString(),
    });
    this.#traffic.answered(exchange, 'portal', 200);
  }

  #signInRequired(exchange: Exchange): void {
    replyJson(exchange, 401, { error: 'SIGN_IN_REQUIRED', title: 'Sign-in required' });
    this.#traffic.answered(exchange, 'portal', 401);
  }

  #askedReturn({ query, origin }: PortalRequest): string | undefined {
    const targets = query.getAll('rd');
    // A parameter that came twice is doubt about which one was meant.
    return targets.length > 1 ? undefined : this.#returnTo(targets[0] ?? null, origin);
  }

  #returnTo(asked: string | null, { authority }: RequestOrigin): string | undefined {
    const { snapshot, metrics } = this.#dependencies;
    const allowed = allowedReturnTarget(asked ?? undefined, snapshot, authority);
    if (allowed === undefined && asked !== null && asked !== '') metrics.returnTargetsRefused.inc();
    return allowed;
  }

  async #session(exchange: Exchange): Promise<Session | undefined> {
    const { sessionCookie, sessions } = this.#dependencies;
    return await sessionOf(exchange, sessionCookie, sessions);
  }

  /** A page, with the language remembered when it was just chosen by the switch. */
  #page({ exchange, query }: PortalRequest, page: PageReply, extra: readonly string[]): void {
    const { snapshot } = this.#dependencies;
    const chosen = parseLanguage(query.get(languageParameter) ?? undefined);
    const remember =
      chosen === undefined
        ? []
        : [
            'Set-Cookie',
            languageCookie(chosen, {
              domain: snapshot.cookieDomain,
              isSecure: snapshot.publicOrigin.scheme === 'https',
            }),
          ];
    this.#reply(exchange, page.status, [...page.headers, ...extra, ...remember], page.body);
  }

  #reply(exchange: Exchange, status: number, headers: readonly string[], body: Buffer): void {
    reply(exchange, status, headers, body);
    this.#traffic.answered(exchange, 'portal', status);
  }

  #redirect(exchange: Exchange, status: 302 | 303, location: string, headers: readonly string[] = []): void {
    redirect(exchange, status, location, headers);
    this.#traffic.answered(exchange, 'portal', status);
  }
}
