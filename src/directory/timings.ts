/** Every time and size limit of the LDAP engine that is not an option. Tests pass shorter ones. */

export interface Timings {
  /** DNS, TCP, StartTLS and TLS together. */
  readonly connectMs: number;
  /** For a free connection. */
  readonly waitMs: number;
  /** A whole verification or look-up: below the 60 s of front proxies and below people's patience. */
  readonly wholeMs: number;
  /** An operation or a wait longer than this makes the server prove that it lives. */
  readonly slowAfterMs: number;
  /** For the answer to that proof. */
  readonly probeMs: number;
  /** A server nobody asked for this long is asked by us. */
  readonly idleProbeMs: number;
  /** Retirement of idle connections, before servers and firewalls (Active Directory: 15 min) close them silently. */
  readonly maxIdleMs: number;
  /** Retirement by age, spread by 20 %, so that connections return to a server that came back behind a balancer. */
  readonly maxAgeMs: number;
  readonly sweepMs: number;
  /** Trials of a server that failed, and of one that refuses our account or certificate. */
  readonly retryMs: readonly number[];
  readonly slowRetryMs: readonly number[];
  /** Between two questions to DNS for servers, and after one without an answer. */
  readonly discoveryMs: number;
  readonly discoveryRetryMs: number;
  /** Operations that may wait for a connection, per pool. */
  readonly maxWaiting: number;
  readonly maxBurstBytes: number;
}

export const defaultTimings: Timings = {
  connectMs: 3_000,
  waitMs: 2_000,
  wholeMs: 8_000,
  slowAfterMs: 500,
  probeMs: 800,
  idleProbeMs: 5_000,
  maxIdleMs: 240_000,
  maxAgeMs: 1_800_000,
  sweepMs: 1_000,
  retryMs: [1_000, 3_000, 6_000, 12_000, 24_000, 30_000],
  slowRetryMs: [30_000, 60_000, 120_000, 300_000],
  discoveryMs: 60_000,
  discoveryRetryMs: 5_000,
  // A whole company signs in at nine: what bounds the queue is the wait, this bounds its memory.
  maxWaiting: 1_024,
  maxBurstBytes: 8 * 1_048_576,
};
