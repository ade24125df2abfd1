/** Answers what was thrown: a page for a person, JSON for a program, a log line for the operator. */
import { randomUUID } from 'node:crypto';
import { errorReply } from '../http/error-reply.ts';
import { cutOff, type Exchange, reply, replyJson } from '../http/exchange.ts';
import { isHttp2 } from '../http/http2-request.ts';
import { isNavigation } from '../http/navigation.ts';
import { leaveBody } from '../http/unread-body.ts';
import { languageParameter } from '../portal/language.ts';
import type { Session } from '../session/session.ts';
import type { GatewayDependencies } from './dependencies.ts';
import { languageOf } from './language-of.ts';
import type { CsrfGuard } from './sign-in/csrf.ts';
import type { Surface, Traffic } from './traffic.ts';

const mailboxFailures: Readonly<Record<string, 'missing' | 'refused'>> = {
  MAILBOX_MISSING: 'missing',
  MAILBOX_REFUSED: 'refused',
};

export class Failures {
  readonly #dependencies: GatewayDependencies;
  readonly #traffic: Traffic;
  readonly #csrf: CsrfGuard;

  constructor(dependencies: GatewayDependencies, traffic: Traffic, csrf: CsrfGuard) {
    this.#dependencies = dependencies;
    this.#traffic = traffic;
    this.#csrf = csrf;
  }

  /** Never throws. `session` is shown on a denial, with the way to another account. */
  answer(exchange: Exchange, surface: Surface, error: unknown, session?: Pick<Session, 'principal'>): void {
    const { logger } = this.#dependencies;
    const { status, code, title, log, retryAfterSeconds, close } = errorReply(error);
    const requestId = randomUUID();
    logger[log]('request.failed', {
      requestId,
      surface,
      status,
      clientAddress: exchange.clientAddress,
      error,
    });
    const { response } = exchange;
    if (response.headersSent) {
      cutOff(response);
      return;
    }
    if (close === true) leaveBody(exchange);
    // A stream of HTTP/2 ends by itself; its connection carries other people's requests.
    const connection = close === true && !isHttp2(exchange.request) ? ['Connection', 'close'] : [];
    if (surface !== 'forward_auth' && isNavigation(exchange.head)) {
      this.#page(exchange, surface, { status, code, requestId, retryAfterSeconds }, connection, session);
    } else {
      const retryAfter =
        retryAfterSeconds === undefined ? [] : ['Retry-After', String(Math.ceil(retryAfterSeconds))];
      replyJson(exchange, status, { error: code, title, requestId }, [...retryAfter, ...connection]);
    }
    this.#traffic.answered(exchange, surface, status);
  }

  #page(
    exchange: Exchange,
    surface: Surface,
    failure: { status: number; code: string; requestId: string; retryAfterSeconds: number | undefined },
    extra: readonly string[],
    session: Pick<Session, 'principal'> | undefined,
  ): void {
    const csrf = session === undefined ? undefined : this.#csrf.token(exchange);
    const { url = '/', method } = exchange.request;
    // The gateway's own pages understand `?lang=`; an application's address is not ours to extend.
    const location = surface === 'portal' && method === 'GET' ? url : undefined;
    const page = this.#dependencies.pages.error(
      {
        status: failure.status,
        requestId: failure.requestId,
        isFormExpired: failure.code === 'CSRF_MISMATCH',
        mailbox: mailboxFailures[failure.code],
        retryAfterSeconds: failure.retryAfterSeconds,
        signedIn:
          session === undefined
            ? undefined
            : { name: session.principal.displayName ?? session.principal.username, csrf: csrf?.value },
        location,
      },
      languageOf(exchange, location === undefined ? undefined : languageIn(location)),
    );
    reply(exchange, page.status, [...page.headers, ...extra, ...(csrf?.headers ?? [])], page.body);
  }
}

function languageIn(location: string): string | undefined {
  const at = location.indexOf('?');
  return at < 0 ? undefined : (new URLSearchParams(location.slice(at)).get(languageParameter) ?? undefined);
}
