/** What the primary and its workers ask of each other besides the shared state. */
import type { WorkerReport } from '../compose.ts';
import type { PackedConfig } from '../config/transfer.ts';
import type { MetricsReport } from '../observability/metrics.ts';
import type { KeyRing } from '../state/key-ring.ts';

/** Answered by the primary. */
export interface PrimaryCalls {
  /** What only the primary knows and every worker needs before it can start. */
  settings(): Promise<WorkerSettings>;
  /** The worker is listening at this address. */
  listening(address: string): Promise<void>;
  /** What the worker counted in its life, told right before it exits. */
  farewell(metrics: MetricsReport): Promise<void>;
}

export interface WorkerSettings {
  readonly config: PackedConfig;
  /** By `provider:username`. */
  readonly generatedHashes: ReadonlyMap<string, string>;
  readonly keyRing: KeyRing;
}

/** Answered by a worker. */
export interface WorkerCalls {
  report(): Promise<WorkerReport>;
  /** The keys of assertions have changed. */
  useKeys(ring: KeyRing): Promise<void>;
  /** Stops taking connections; the worker exits by itself when its requests are answered. */
  drain(timeoutMs: number, idleMs: number): Promise<void>;
}

export const primaryCalls = 'primary.calls';
export const workerCalls = 'worker.calls';
