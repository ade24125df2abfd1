/** Metrics of one server's operations, by the names and labels of the operator's contract. */
import { performance } from 'node:perf_hooks';
import type { CounterCell, HistogramCell } from '../observability/hot-metrics.ts';
import type { Metrics } from '../observability/metrics.ts';

export type OperationName = 'connect' | 'bind' | 'search' | 'probe' | 'password-change';
export type OperationResult = 'ok' | 'refused' | 'unavailable' | 'config' | 'protocol';

export interface ServerGauges {
  readonly idle: number;
  readonly busy: number;
  readonly waitingForSearch: number;
  readonly waitingForVerification: number;
  readonly isOpen: boolean;
}

interface Series {
  readonly operations: CounterCell;
  readonly duration: HistogramCell;
}

export class OperationMetrics {
  readonly #metrics: Metrics;
  readonly #labels: { readonly directory: string; readonly server: string };
  /** By operation and result, looked up once each. */
  readonly #series = new Map<OperationName, Map<OperationResult, Series>>();

  constructor(metrics: Metrics, directory: string, serverIndex: number) {
    this.#metrics = metrics;
    this.#labels = { directory, server: String(serverIndex) };
  }

  /** Hot path: bench/ldap.ts. */
  record(operation: OperationName, result: OperationResult, startedAt: number): void {
    const { operations, duration } = this.#seriesOf(operation, result);
    operations.count++;
    duration.observe((performance.now() - startedAt) / 1_000);
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

  #seriesOf(operation: OperationName, result: OperationResult): Series {
    const known = this.#series.get(operation)?.get(result);
    if (known !== undefined) return known;
    const labels = { ...this.#labels, operation, result };
    const series = {
      operations: this.#metrics.directoryOperations.cell(labels),
      duration: this.#metrics.directoryOperationDuration.cell(labels),
    };
    const results = this.#series.get(operation) ?? new Map<OperationResult, Series>();
    this.#series.set(operation, results.set(result, series));
    return series;
  }
}
