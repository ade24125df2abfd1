/**
 * Every metric of the gateway, by the names of the operator's contract. The only importer of prom-client.
 * Labels have bounded value sets: never a user, host, path or address.
 */

import { AggregatorRegistry, Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import { HotCounter, HotHistogram } from './hot-metrics.ts';

const secondsBuckets = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5];

/** A worker's metrics as plain data, sent to the primary that aggregates them. */
export type MetricsReport = readonly object[];

export class Metrics {
  readonly #registry = new Registry();
  /** What processes counted that are gone. */
  #absorbed: MetricsReport = [];
  #absorbing: Promise<void> = Promise.resolve();

  readonly httpRequests = new HotCounter({
    name: 'vratar_http_requests_total',
    help: 'HTTP requests answered',
    labelNames: ['listener', 'surface', 'code'],
  });
  readonly httpRequestDuration = new HotHistogram(
    {
      name: 'vratar_http_request_duration_seconds',
      help: 'Time from request head to end of the answer',
      labelNames: ['listener', 'surface', 'code'],
    },
    secondsBuckets,
  );
  readonly decisions = new HotCounter({
    name: 'vratar_decisions_total',
    help: 'Access decisions',
    labelNames: ['application', 'dialect', 'decision', 'reason'],
  });
  readonly upstreamRequests = new HotCounter({
    name: 'vratar_upstream_requests_total',
    help: 'Requests sent to applications',
    labelNames: ['application', 'code'],
  });
  readonly upstreamRequestDuration = new HotHistogram(
    {
      name: 'vratar_upstream_request_duration_seconds',
      help: 'Time until the application finished its answer',
      labelNames: ['application', 'code'],
    },
    secondsBuckets,
  );
  readonly requestsShed = new HotCounter({
    name: 'vratar_requests_shed_total',
    help: 'Requests answered 503 at once because the worker was overloaded',
    labelNames: ['surface'],
  });
  readonly authentications = new HotCounter({
    name: 'vratar_authentications_total',
    help: 'Sign-in attempts',
    labelNames: ['provider', 'outcome', 'reason'],
  });
  readonly authenticationDuration = new HotHistogram(
    {
      name: 'vratar_authentication_duration_seconds',
      help: 'Time a provider took to judge a credential',
      labelNames: ['provider', 'outcome', 'reason'],
    },
    secondsBuckets,
  );
  readonly passwordChanges = this.#counter(
    'vratar_password_changes_total',
    'Attempts to change a password on the sign-in page',
    ['provider', 'outcome', 'reason'],
  );
  readonly sessionsActive = this.#gauge('vratar_sessions_active', 'Sessions neither expired nor ended', []);
  readonly sessionCacheRequests = this.#counter(
    'vratar_session_cache_requests_total',
    'Session look-ups in the worker',
    ['result'],
  );
  readonly directoryOperations = new HotCounter({
    name: 'vratar_directory_operations_total',
    help: 'LDAP operations',
    labelNames: ['directory', 'server', 'operation', 'result'],
  });
  readonly directoryOperationDuration = new HotHistogram(
    {
      name: 'vratar_directory_operation_duration_seconds',
      help: 'Time of an LDAP operation',
      labelNames: ['directory', 'server', 'operation', 'result'],
    },
    secondsBuckets,
  );
  readonly directoryConnections = this.#gauge('vratar_directory_connections', 'Open LDAP connections', [
    'directory',
    'server',
    'state',
  ]);
  readonly directoryPoolWaiting = this.#gauge(
    'vratar_directory_pool_waiting',
    'Operations that wait for a connection',
    ['directory', 'server', 'state'],
  );
  readonly directoryBreakerOpen = this.#gauge(
    'vratar_directory_breaker_open',
    '1 while the server is taken for unavailable',
    ['directory', 'server', 'state'],
    'max',
  );
  readonly directoryCacheRequests = new HotCounter({
    name: 'vratar_directory_cache_requests_total',
    help: 'Look-ups of people and groups',
    labelNames: ['directory', 'result'],
  });
  readonly kerberosAccepts = new HotCounter({
    name: 'vratar_kerberos_accepts_total',
    help: 'Kerberos tokens judged',
    labelNames: ['provider', 'result'],
  });
  readonly kerberosAcceptDuration = new HotHistogram(
    {
      name: 'vratar_kerberos_accept_duration_seconds',
      help: 'Time from a token that passed the inspection to the verdict of the library',
      labelNames: ['provider', 'result'],
    },
    secondsBuckets,
  );
  readonly throttled = this.#counter('vratar_throttled_total', 'Sign-in attempts refused by the throttle', [
    'scope',
  ]);
  readonly preauthRedirects = this.#counter(
    'vratar_preauth_redirects_total',
    'Requests for a mailbox, by what became of them',
    ['zimbra', 'result'],
  );
  readonly keptForms = this.#counter(
    'vratar_kept_forms_total',
    'Forms sent without a session, by what became of them',
    ['result'],
  );
  readonly zimbraUp = this.#gauge(
    'vratar_zimbra_up',
    '1 while the mail server answers as one',
    ['zimbra'],
    'max',
  );
  readonly zimbraClockOffset = this.#gauge(
    'vratar_zimbra_clock_offset_seconds',
    'By how much the clock of the mail server and ours differ',
    ['zimbra'],
    'max',
  );
  readonly returnTargetsRefused = this.#counter(
    'vratar_return_targets_refused_total',
    'Return targets replaced by the portal',
    [],
  );
  readonly logLinesDropped = this.#counter(
    'vratar_log_lines_dropped_total',
    'Log lines lost because nobody read them in time',
    [],
  );
  readonly webSocketsOpen = this.#gauge('vratar_web_sockets_open', 'Open WebSockets', ['application']);
  readonly configReloads = this.#counter('vratar_config_reloads_total', 'Configuration reloads', ['result']);
  readonly configLastReload = this.#gauge(
    'vratar_config_last_reload_success_timestamp_seconds',
    'When the running configuration was loaded',
    [],
    'max',
  );
  readonly buildInfo = this.#gauge(
    'vratar_build_info',
    'Version of Vratar and Node',
    ['version', 'node'],
    'max',
  );

  /** Node's own process metrics (memory, CPU, event loop), summed over the processes by the aggregation. */
  collectProcessMetrics(): void {
    collectDefaultMetrics({ register: this.#registry });
    // promtool refuses gauges that end in _total.
    for (const name of [
      'nodejs_active_handles_total',
      'nodejs_active_requests_total',
      'nodejs_active_resources_total',
    ]) {
      this.#registry.removeSingleMetric(name);
    }
  }

  /** This process's metrics as plain data. */
  async report(): Promise<MetricsReport> {
    const hot = [
      this.httpRequests,
      this.httpRequestDuration,
      this.decisions,
      this.upstreamRequests,
      this.upstreamRequestDuration,
      this.requestsShed,
      this.authentications,
      this.authenticationDuration,
      this.directoryOperations,
      this.directoryOperationDuration,
      this.directoryCacheRequests,
      this.kerberosAccepts,
      this.kerberosAcceptDuration,
    ];
    return [...hot.map((metric) => metric.report()), ...(await this.#registry.getMetricsAsJSON())];
  }

  /**
   * Adds what a process counted that is gone now, so that no counter falls when it ends. Its gauges went with it.
   * `onAdded` is called in the moment from which on it is part of `expose`.
   */
  async absorb(report: MetricsReport, onAdded: () => void): Promise<void> {
    // One after the other: two workers that end together must not overwrite each other's sums.
    this.#absorbing = this.#absorbing.then(async () => {
      const merged = aggregate([this.#absorbed, report.filter(isCumulative)]);
      const sums = await merged.getMetricsAsJSON();
      this.#absorbed = sums;
      onAdded();
    });
    await this.#absorbing;
  }

  /** Prometheus text format (version 0.0.4) of this process and `others` together. */
  async expose(others: readonly MetricsReport[] = []): Promise<{ contentType: string; body: string }> {
    // Taken before anything else can be added: `others` are as old.
    const absorbed = this.#absorbed;
    const merged = aggregate([await this.report(), absorbed, ...others]);
    return { contentType: Registry.PROMETHEUS_CONTENT_TYPE, body: await merged.metrics() };
  }

  #counter<Label extends string>(name: string, help: string, labelNames: Label[]): Counter<Label> {
    return new Counter({ name, help, labelNames, registers: [this.#registry] });
  }

  #gauge<Label extends string>(
    name: string,
    help: string,
    labelNames: Label[],
    aggregator: 'sum' | 'max' = 'sum',
  ): Gauge<Label> {
    return new Gauge({ name, help, labelNames, registers: [this.#registry], aggregator });
  }
}

function aggregate(reports: readonly MetricsReport[]): Registry {
  return AggregatorRegistry.aggregate(
    reports as unknown as Parameters<typeof AggregatorRegistry.aggregate>[0],
  );
}

function isCumulative(metric: object): boolean {
  return 'type' in metric && (metric.type === 'counter' || metric.type === 'histogram');
}
