/** Counts what was answered and decided. Each label set is looked up once; after that counting is an addition. */
import type { Decision } from '../access/decision.ts';
import type { Exchange } from '../http/exchange.ts';
import type { CounterCell, HistogramCell } from '../observability/hot-metrics.ts';
import type { Metrics } from '../observability/metrics.ts';

export type Surface = 'forward_auth' | 'proxy' | 'portal';

interface AnswerCells {
  readonly requests: CounterCell;
  readonly duration: HistogramCell;
}

export class Traffic {
  readonly #metrics: Metrics;
  readonly #listener: 'public' | 'grpc';
  /** By surface, then by status. */
  readonly #answers: Record<Surface, Map<number, AnswerCells>> = {
    forward_auth: new Map(),
    proxy: new Map(),
    portal: new Map(),
  };
  /** By application, then by status or the code of what went wrong. */
  readonly #upstreamAnswers = new Map<string, Map<number | string, AnswerCells>>();
  /** By dialect and application, then by decision: rules make their decisions once, so they are keys. */
  readonly #decisions = new Map<string, Map<string, Map<Decision, CounterCell>>>();

  constructor(metrics: Metrics, listener: 'public' | 'grpc' = 'public') {
    this.#metrics = metrics;
    this.#listener = listener;
  }

  /** Hot path: `bench/forward-auth.ts`. Called once per request, when its answer is finished. */
  answered(exchange: Pick<Exchange, 'startedAt'>, surface: Surface, status: number): void {
    const cells = this.#answers[surface].get(status) ?? this.#openAnswers(surface, status);
    cells.requests.count++;
    cells.duration.observe((performance.now() - exchange.startedAt) / 1_000);
  }

  /** Hot path: `bench/forward-auth.ts`. `dialect` is `proxy` for the gateway's own reverse proxy. */
  decided(application: string, dialect: string, decision: Decision): void {
    const cell = this.#decisions.get(dialect)?.get(application)?.get(decision);
    (cell ?? this.#openDecision(application, dialect, decision)).count++;
  }

  /** Hot path: `bench/proxy.ts`. Called once per request that was sent on; `code` is the status of its answer or why there is none. */
  upstreamAnswered(exchange: Pick<Exchange, 'startedAt'>, application: string, code: number | string): void {
    const cells =
      this.#upstreamAnswers.get(application)?.get(code) ?? this.#openUpstreamAnswers(application, code);
    cells.requests.count++;
    cells.duration.observe((performance.now() - exchange.startedAt) / 1_000);
  }

  /** No decision could be made. */
  undecided(application: string, dialect: string): void {
    this.#metrics.decisions.cell({ application, dialect, decision: 'error', reason: 'unavailable' }).count++;
  }

  #openAnswers(surface: Surface, status: number): AnswerCells {
    const labels = { listener: this.#listener, surface, code: String(status) };
    const cells = {
      requests: this.#metrics.httpRequests.cell(labels),
      duration: this.#metrics.httpRequestDuration.cell(labels),
    };
    this.#answers[surface].set(status, cells);
    return cells;
  }

  #openUpstreamAnswers(application: string, code: number | string): AnswerCells {
    const labels = { application, code: String(code) };
    const cells = {
      requests: this.#metrics.upstreamRequests.cell(labels),
      duration: this.#metrics.upstreamRequestDuration.cell(labels),
    };
    const ofApplication = this.#upstreamAnswers.get(application) ?? new Map<number | string, AnswerCells>();
    this.#upstreamAnswers.set(application, ofApplication.set(code, cells));
    return cells;
  }

  #openDecision(application: string, dialect: string, decision: Decision): CounterCell {
    const { kind, reason } = decision;
    const cell = this.#metrics.decisions.cell({ application, dialect, decision: kind, reason });
    const ofDialect = this.#decisions.get(dialect) ?? new Map<string, Map<Decision, CounterCell>>();
    const ofApplication = ofDialect.get(application) ?? new Map<Decision, CounterCell>();
    this.#decisions.set(dialect, ofDialect.set(application, ofApplication.set(decision, cell)));
    return cell;
  }
}
