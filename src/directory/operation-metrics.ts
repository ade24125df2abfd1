/** Metrics of one server's operations, by the names and labels of the operator's contract. */
import type { Metrics } from '../observability/metrics.ts';

export type OperationName = 'connect' | 'bind' | 'search' | 'probe';
export type OperationResult = 'ok' | 'refused' | 'unavailable' | 'config' | 'protocol';

export interface ServerGauges {
  readonly idle: number;
  readonly busy: number;
  readonly waitingForSearch: number;
  readonly waitingForVerification: number;
  readonly isOpen: boolean;
}

type SeriesLabels = Readonly<Record<'directory' | 'server' | 'operation' | 'result', string>>;

export class OperationMetrics {
  readonly #metrics: Metrics;
  readonly #labels: { readonly directory: string; readonly server: string };
  /** Label sets of operations and results, made once each. */
  readonly #series = new Map<OperationName, Map<OperationResult, SeriesLabels>>();

  constructor(metrics: Metrics, directory: string, serverIndex: number) {
    this.#metrics = metrics;
    this.#labels = { directory, server: String(serverIndex) };
  }

  /** Hot path: bench/ldap.ts. */
  record(operation: OperationName, result: OperationResult, startedAt: number): void {
    const labels = this.#seriesOf(operation, result);
    this.#metrics.directoryOperations.inc(labels);
    this.#metrics.directoryOperationDuration.observe(labels, (performance.now() - startedAt) / 1_000);
  }

  report(gauges: ServerGauges): void {
    const { directoryConnections, directoryPoolWaiting, directoryBreakerOpen } = this.#metrics;
    const labels = this.#labels;
    directoryConnections.set({ ...labels, state: 'idle' }, gauges.idle);
    directoryConnections.set({ ...labels, state: 'busy' }, gauges.busy);
    directoryPoolWaiting.set({ ...labels, state: 'search' }, gauges.waitingForSearch);
    directoryPoolWaiting.set({ ...labels, state: 'verification' }, gauges.waitingForVerification);
    directoryBreakerOpen.set({ ...labels, state: 'open' }, gauges.isOpen ? 1 : 0);
  }

  #seriesOf(operation: OperationName, result: OperationResult): SeriesLabels {
    let results = this.#series.get(operation);
    if (results === undefined) {
      results = new Map();
      this.#series.set(operation, results);
    }
    let labels = results.get(result);
    if (labels === undefined) {
      labels = { ...this.#labels, operation, result };
      results.set(result, labels);
    }
    return labels;
  }
}
