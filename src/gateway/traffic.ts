/** Counts what was answered and decided. Label sets are few, so each is looked up once and then only incremented. */
import type { Decision } from '../access/decision.ts';
import type { Exchange } from '../http/exchange.ts';
import type { Metrics } from '../observability/metrics.ts';

export type Surface = 'forward_auth' | 'proxy' | 'portal';

/** `proxy`: decided by the gateway's own reverse proxy. */
export type DecisionDialect = string;

export class Traffic {
  readonly #metrics: Metrics;

  constructor(metrics: Metrics) {
    this.#metrics = metrics;
  }

  /** Hot path: `bench/forward-auth.ts`. Called once per request, when its answer is finished. */
  answered(exchange: Exchange, surface: Surface, status: number): void {
    const labels = { listener: 'public', surface, code: String(status) };
    this.#metrics.httpRequests.inc(labels);
    this.#metrics.httpRequestDuration.observe(labels, (performance.now() - exchange.startedAt) / 1_000);
  }

  /** Hot path: `bench/forward-auth.ts`. */
  decided(application: string, dialect: DecisionDialect, decision: Decision | 'error'): void {
    this.#metrics.decisions.inc(
      decision === 'error'
        ? { application, dialect, decision: 'error', reason: 'unavailable' }
        : { application, dialect, decision: decision.kind, reason: decision.reason },
    );
  }
}
