/** Answers what was thrown: a page for a person, JSON for a program, a log line for the operator. */
import { randomUUID } from 'node:crypto';
import type { GatewayError } from '../errors.ts';
import { errorReply } from '../http/error-reply.ts';
import { type Exchange, reply, replyJson } from '../http/exchange.ts';
import { isNavigation } from '../http/navigation.ts';
import type { Session } from '../session/session.ts';
import type { CsrfGuard } from './csrf.ts';
import type { GatewayDependencies } from './dependencies.ts';
import { languageOf } from './language-of.ts';
import type { Surface, Traffic } from './traffic.ts';

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
  answer(exchange: Exchange, surface: Surface, error: GatewayError | unknown, session?: Session): void {
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
      response.destroy();
      return;
    }
    const connection = close === true ? ['Connection', 'close'] : [];
    if (surface !== 'forward_auth' && isNavigation(exchange.head)) {
      this.#page(exchange, { status, code, requestId, retryAfterSeconds }, connection, session);
    } else {
      const retryAfter =
        retryAfterSeconds === undefined ? [] : ['Retry-After', String(Math.ceil(retryAfterSeconds))];
      replyJson(exchange, status, { error: code, title, requestId }, [...retryAfter, ...connection]);
    }
    this.#traffic.answered(exchange, surface, status);
  }

  #page(
    exchange: Exchange,
    failure: { status: number; code: string; requestId: string; retryAfterSeconds: number | undefined },
    extra: readonly string[],
    session: Session | undefined,
  ): void {
    const csrf = this.#csrf.token(exchange);
    const page = this.#dependencies.pages.error(
      {
        status: failure.status,
        requestId: failure.requestId,
        isFormExpired: failure.code === 'CSRF_MISMATCH',
        retryAfterSeconds: failure.retryAfterSeconds,
        signedIn:
          session === undefined
            ? undefined
            : { name: session.principal.displayName ?? session.principal.username, csrf: csrf.value },
      },
      languageOf(exchange),
    );
    reply(
      exchange,
      page.status,
      [...page.headers, ...extra, ...(session === undefined ? [] : csrf.headers)],
      page.body,
    );
  }
}
