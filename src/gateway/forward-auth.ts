/** Answers a front proxy that asks over HTTP whether an original request may pass, and what to tell the application. */

import { type Exchange, type FlatHeaders, reply } from '../http/exchange.ts';
import type { RequestHead, SingleField } from '../http/request-head.ts';
import type { GatewayDependencies } from './dependencies.ts';
import type { Dialect, Site } from './dialects.ts';
import type { Endpoint } from './endpoints.ts';
import { withCacheHint } from './outgoing/cache-hints.ts';
import type { Traffic } from './traffic.ts';
import { invalidOriginal, Judge, type Verdict } from './verdict.ts';

export class ForwardAuth {
  readonly #judge: Judge;
  readonly #traffic: Traffic;
  readonly #site: Site;

  constructor(dependencies: GatewayDependencies, traffic: Traffic) {
    this.#judge = new Judge(dependencies, traffic);
    this.#traffic = traffic;
    const { publicOrigin, applications } = dependencies.snapshot;
    this.#site = {
      publicScheme: publicOrigin.scheme,
      isApplicationHost: (host) => applications.knowsHost(host),
    };
  }

  /**
   * Hot path: `bench/forward-auth.ts`. Synchronous for a warm session;
   * otherwise the promise settles when the answer is given. Throws what `error-reply.ts` answers.
   */
  answer(exchange: Exchange, { dialect, prefix }: Endpoint): Promise<void> | undefined {
    const { contentLength, transferEncoding } = exchange.head;
    // nginx without `Content-Length ""` announces the client's body and never sends it: the next question on that
    // connection, another person's, would be read as that body.
    if ((contentLength !== undefined && contentLength !== '0') || transferEncoding !== undefined)
      exchange.response.shouldKeepAlive = false;
    // Anybody could describe an original request that suits them: only listed proxies are asked by.
    if (!exchange.isPeerTrusted)
      throw invalidOriginal('the peer is no trusted proxy', { peer: exchange.peer });
    if (isDoubtful(exchange.head))
      throw invalidOriginal('the original request is described twice', { dialect: dialect.name });
    const original = dialect.read(exchange.head, exchange.request, prefix, this.#site);
    if (original === undefined)
      throw invalidOriginal('the original request is missing or malformed', { dialect: dialect.name });
    const verdict = this.#judge.judge(exchange, original, dialect);
    if (verdict instanceof Promise) return verdict.then((judged) => this.#render(exchange, dialect, judged));
    this.#render(exchange, dialect, verdict);
    return undefined;
  }

  #render(exchange: Exchange, { vary, allowedStatus }: Dialect, verdict: Verdict): void {
    const { maxAgeSeconds } = verdict;
    if (verdict.kind === 'allow') {
      const { view, answerHeaders } = verdict;
      const headers = hinted(view.verdictHeaders, maxAgeSeconds, vary);
      exchange.response.writeHead(
        allowedStatus,
        answerHeaders.length === 0 ? headers : [...headers, ...answerHeaders],
      );
      exchange.response.end();
      this.#traffic.answered(exchange, 'forward_auth', allowedStatus);
      return;
    }
    reply(exchange, verdict.status, hinted(verdict.headers, maxAgeSeconds, vary), verdict.body);
    this.#traffic.answered(exchange, 'forward_auth', verdict.status);
  }
}

function hinted<Headers extends FlatHeaders>(
  headers: Headers,
  maxAgeSeconds: number,
  vary: string | undefined,
): Headers | string[] {
  return maxAgeSeconds === 0 || vary === undefined ? headers : withCacheHint(headers, maxAgeSeconds, vary);
}

/** Fields that describe the original request or its way: a second one is another description. */
const describing: readonly SingleField[] = [
  'forwardedProto',
  'forwardedHost',
  'forwardedMethod',
  'forwardedUri',
  'originalUrl',
  'originalUri',
  'originalMethod',
];

function isDoubtful(head: RequestHead): boolean {
  return head.duplicates !== undefined && describing.some((field) => head.isDuplicate(field));
}
