/**
 * What gives way when this worker has more to do than it can: requests are answered 503 at once, before anything is
 * looked up for them. A forward-auth decision never gives way: it costs no more than its refusal, and the front proxy
 * would show people an error. The management listener is another process.
 */
import { type Exchange, hasBody, reply, replyJson } from '../http/exchange.ts';
import { isHttp2 } from '../http/http2-request.ts';
import { isNavigation } from '../http/navigation.ts';
import { leaveBody } from '../http/unread-body.ts';
import { type Level, OverloadLevel } from '../lib/overload-level.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import type { Language } from '../portal/language.ts';
import type { PageReply, Pages } from '../portal/pages.ts';
import type { SessionCookie } from '../session/cookie.ts';
import { languageOf } from './language-of.ts';
import type { Surface } from './traffic.ts';

const lookEveryMs = 100;
const retryAfterSeconds = 5;
/** In the place of the request's id on the page, which is made once for all. */
const pageId = 'overload';

/** What each level gives up besides that of the levels below it. */
const anonymousRequests: Level = 1;
const allButSignIn: Level = 2;

/** Below the portal path; forms, their stylesheet, and where they lead. */
const signInPaths = ['/login', '/password', '/negotiate', '/logout', '/providers/', '/assets/'];

export interface OverloadOptions {
  /** Of the event loop, sustained. */
  readonly delayMs: number | 'off';
  readonly portalPath: string;
  readonly sessionCookie: SessionCookie;
  readonly pages: Pages;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

export class Overload implements Disposable {
  /** Hot path: `bench/forward-auth.ts`. Requests so far; whoever handles them counts. */
  arrivals = 0;
  /** Hot path: `bench/forward-auth.ts`. 0: everything is answered. */
  level: Level = 0;
  readonly #options: OverloadOptions;
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #pages = new Map<Language, PageReply>();
  #shed = 0;
  #sinceMs = 0;

  constructor(options: OverloadOptions) {
    this.#options = options;
    if (options.delayMs !== 'off') this.#timer = this.#watch(new OverloadLevel(options.delayMs));
  }

  /** Whether the request is to be refused at the present level. */
  isShed({ request, head }: Exchange, surface: Surface): boolean {
    if (surface === 'forward_auth') return false;
    const { portalPath, sessionCookie } = this.#options;
    if (surface === 'portal') {
      const path = (request.url as string).slice(portalPath.length);
      const isSignIn = signInPaths.some((start) => path.startsWith(start));
      return this.level > allButSignIn || (this.level === allButSignIn && !isSignIn);
    }
    if (this.level >= allButSignIn) return true;
    return (
      this.level === anonymousRequests &&
      head.authorization === undefined &&
      !sessionCookie.isPresent(head.cookie)
    );
  }

  /** Answers 503 with what is ready made. */
  refuse(exchange: Exchange, surface: Surface): void {
    this.#shed++;
    this.#options.metrics.requestsShed.cell({ surface }).count++;
    leaveBody(exchange);
    const connection = hasBody(exchange) && !isHttp2(exchange.request) ? ['Connection', 'close'] : [];
    if (isNavigation(exchange.head)) {
      const page = this.#page(languageOf(exchange));
      reply(exchange, page.status, [...page.headers, ...connection], page.body);
      return;
    }
    replyJson(exchange, 503, { error: 'OVERLOADED', title: 'The gateway is overloaded' }, [
      'Retry-After',
      String(retryAfterSeconds),
      ...connection,
    ]);
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
  }

  #page(language: Language): PageReply {
    let page = this.#pages.get(language);
    if (page === undefined) {
      page = this.#options.pages.error({ status: 503, requestId: pageId, retryAfterSeconds }, language);
      this.#pages.set(language, page);
    }
    return page;
  }

  #watch(judge: OverloadLevel): NodeJS.Timeout {
    let lookedAtMs = performance.now();
    let counted = 0;
    return setInterval(() => {
      const nowMs = performance.now();
      const lateMs = Math.max(0, nowMs - lookedAtMs - lookEveryMs);
      lookedAtMs = nowMs;
      const level = judge.look(nowMs, lateMs, this.arrivals - counted);
      counted = this.arrivals;
      if (level !== this.level) this.#enter(level, nowMs, judge.delayMs);
    }, lookEveryMs).unref();
  }

  #enter(level: Level, nowMs: number, delayMs: number): void {
    const { logger } = this.#options;
    if (this.level === 0) {
      this.#sinceMs = nowMs;
      this.#shed = 0;
      logger.warn('overload.began', { delayMs: Math.round(delayMs) });
    } else if (level === 0) {
      logger.info('overload.ended', {
        lastedMs: Math.round(nowMs - this.#sinceMs),
        refusedRequests: this.#shed,
      });
    }
    this.level = level;
  }
}
