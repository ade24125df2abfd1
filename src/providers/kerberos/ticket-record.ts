/** What a judged ticket leaves behind: a count by its result and, at most once a minute for each reason, a line that says what to mend. */
import type { TicketRejection } from '../../identity/outcome.ts';
import type { Clock } from '../../lib/clock.ts';
import type { CounterCell, HistogramCell } from '../../observability/hot-metrics.ts';
import type { Logger, LogLevel } from '../../observability/logger.ts';
import type { Metrics } from '../../observability/metrics.ts';
import type { Obstacle } from './verdict.ts';

type Advice = readonly [level: LogLevel, advice: string];

const advice: Readonly<Record<TicketRejection | Obstacle, Advice>> = {
  'token-malformed': ['debug', 'no client sends this by itself'],
  'token-too-long': ['info', 'the person is in very many groups; see maxTokenLength'],
  ntlm: [
    'info',
    'the client has no ticket for this host: not in the domain, or no SPN for the name in the address bar',
  ],
  'mechanism-not-supported': ['info', 'the client offers another mechanism than Kerberos'],
  'spn-mismatch': [
    'warn',
    'the ticket is for a service without a key in the keytab: add its key, or correct the name of the host',
  ],
  'kvno-old': ['error', 'the keytab is older than the ticket: export it again'],
  'ticket-old': [
    'info',
    'the ticket is older than the keytab or has expired: the person must sign in to the domain again',
  ],
  'key-mismatch': [
    'error',
    'the key of the keytab is not the one of the KDC, although its number is: export the keytab again',
  ],
  'enctype-missing': [
    'error',
    'the keytab lacks a key of the kind the KDC used: export it again with that kind',
  ],
  skew: ['error', 'the clocks of client and gateway are more than five minutes apart'],
  replay: ['warn', 'a token was presented twice; behind several gateways see replay'],
  'ticket-refused': ['warn', 'the ticket or its authenticator was damaged or changed on the way'],
  'continuation-needed': ['info', 'the client prefers another mechanism and would offer Kerberos next'],
  'principal-malformed': [
    'warn',
    'the principal is a service, a role or has a name that cannot be an account',
  ],
  'realm-not-allowed': ['warn', 'the principal is of a realm that is not in realms'],
  'module-missing': ['error', 'the native module of the kerberos package is not there'],
  'keytab-unusable': ['error', 'the keytab cannot be read, or holds no key'],
  'replay-store-unusable': ['error', 'the record of tickets cannot be written: nobody can sign in by ticket'],
};

const quietForMs = 60_000;

export class TicketRecord {
  readonly #provider: string;
  readonly #logger: Logger;
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #cells = new Map<string, { readonly counter: CounterCell; readonly duration: HistogramCell }>();
  readonly #lastSaid = new Map<string, { atMs: number; silent: number }>();

  constructor(options: {
    readonly provider: string;
    readonly logger: Logger;
    readonly metrics: Metrics;
    readonly clock: Clock;
  }) {
    this.#provider = options.provider;
    this.#logger = options.logger;
    this.#metrics = options.metrics;
    this.#clock = options.clock;
  }

  /** `seconds`: how long the judgment took; `undefined` when nobody had to be asked. */
  count(result: 'accepted' | 'remembered' | 'error' | TicketRejection, seconds?: number): void {
    let cells = this.#cells.get(result);
    if (cells === undefined) {
      const labels = { provider: this.#provider, result };
      const { kerberosAccepts, kerberosAcceptDuration } = this.#metrics;
      cells = { counter: kerberosAccepts.cell(labels), duration: kerberosAcceptDuration.cell(labels) };
      this.#cells.set(result, cells);
    }
    cells.counter.count++;
    if (seconds !== undefined) cells.duration.observe(seconds);
  }

  /** Names in `fields` may be the client's: bounded, and escaped by the logger. */
  explain(reason: TicketRejection | Obstacle, fields: Readonly<Record<string, string>>): void {
    const nowMs = this.#clock.now();
    const last = this.#lastSaid.get(reason);
    if (last !== undefined && nowMs < last.atMs + quietForMs) {
      last.silent++;
      return;
    }
    this.#lastSaid.set(reason, { atMs: nowMs, silent: 0 });
    const [level, text] = advice[reason];
    const silent = last === undefined || last.silent === 0 ? {} : { sinceLastLine: last.silent };
    this.#logger[level]('kerberos-ticket', { reason, ...fields, advice: text, ...silent });
  }
}
