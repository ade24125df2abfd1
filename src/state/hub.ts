/**
 * The shared state in the primary: sessions on disk, counters in memory, answered to every attached worker.
 * Serves no HTTP and decides about nobody.
 */
import { randomBytes } from 'node:crypto';
import type { Clock } from '../lib/clock.ts';
import type { Logger } from '../observability/logger.ts';
import type { Metrics } from '../observability/metrics.ts';
import { AcceptedTicketLedger } from './accepted-tickets.ts';
import type { AttemptCounters, AttemptLimits } from './attempt-counters.ts';
import { AttemptLedger } from './attempt-ledger.ts';
import { answerCalls } from './calls.ts';
import { type Channel, openTopic } from './channel.ts';
import { CredentialTrialLedger } from './credential-trials.ts';
import { EmbeddedSessions } from './embedded-sessions.ts';
import { type HubMethods, hubCalls, hubEvents } from './hub-methods.ts';
import { KeptFormLedger } from './kept-forms.ts';
import type { SessionAdministration } from './session-census.ts';
import type { SessionEvent, SessionLimits, SessionStore } from './session-store.ts';

export interface HubLimits extends SessionLimits {
  readonly attemptLimits: AttemptLimits;
}

export interface HubOptions extends HubLimits {
  /** Folder of the SQLite files, created with mode 0700; `:memory:` keeps nothing. */
  readonly directory: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** For the number of sessions. */
  readonly metrics?: Metrics;
}

export interface Hub extends Disposable {
  /** The same state for the primary's own use. */
  readonly sessions: SessionStore;
  readonly counters: AttemptCounters;
  readonly administration: SessionAdministration;
  /** Copies the databases into `folder` and answers their names. Throws GatewayError SESSION_STORE_UNAVAILABLE. */
  copy(folder: string): Promise<readonly string[]>;
  /** Other limits from now on; what is locked stays locked. */
  limit(limits: HubLimits): void;
  /** Answers one worker until disposed; the channel's end does the same. */
  attach(channel: Channel): Disposable;
}

const pruneEveryMs = 5_000;
/** Between two chunks, so that pruning a backlog leaves the primary free for its workers. */
const pruneAgainAfterMs = 50;

/** Throws GatewayError CONFIG_INVALID naming the database that is damaged, in use or not writable. */
export function createHub(options: HubOptions): Hub {
  const { directory, clock, logger, metrics, idleTimeoutMs } = options;
  const sessions = new EmbeddedSessions(directory, clock, { idleTimeoutMs });
  const restored = endRestored(sessions, directory);
  if (restored !== undefined) logger.audit('state.restored', { sessionsEnded: restored });
  const counters = new AttemptLedger(clock, options.attemptLimits);
  const forms = new KeptFormLedger(clock);
  const methods = toMethods(
    sessions,
    counters,
    new CredentialTrialLedger(clock),
    new AcceptedTicketLedger(clock),
    forms,
  );
  const attached = new Set<Disposable>();

  let pruning: NodeJS.Timeout | undefined;
  const prune = async (): Promise<void> => {
    let hasMore = false;
    forms.prune();
    try {
      hasMore = await sessions.prune();
      metrics?.sessionsActive.set(await sessions.count());
    } catch (error) {
      logger.error('state.prune-failed', { error });
    }
    if (pruning !== undefined) pruning = schedule(hasMore ? pruneAgainAfterMs : pruneEveryMs);
  };
  const schedule = (afterMs: number): NodeJS.Timeout => setTimeout(() => void prune(), afterMs).unref();
  pruning = schedule(pruneAgainAfterMs);

  return {
    sessions,
    counters,
    administration: sessions,
    copy: async (folder) => await sessions.copy(folder),
    limit: (limits) => {
      sessions.limit(limits);
      counters.limit(limits.attemptLimits);
    },
    attach: (channel) => {
      const answers = answerCalls<HubMethods>(channel, hubCalls, methods, {
        onDefect: (method, error) => logger.error('state.call-failed', { method, error }),
      });
      const events = openTopic<SessionEvent, never>(channel, hubEvents);
      const unsubscribe = sessions.subscribe((event) => events.post(event));
      const worker: Disposable = {
        [Symbol.dispose]: () => {
          answers[Symbol.dispose]();
          unsubscribe();
          attached.delete(worker);
        },
      };
      channel.onClose(() => worker[Symbol.dispose]());
      attached.add(worker);
      return worker;
    },
    [Symbol.dispose]: () => {
      clearTimeout(pruning);
      pruning = undefined;
      for (const worker of attached) worker[Symbol.dispose]();
      sessions[Symbol.dispose]();
    },
  };
}

function endRestored(sessions: EmbeddedSessions, directory: string): number | undefined {
  try {
    return sessions.endRestored(directory);
  } catch (error) {
    sessions[Symbol.dispose]();
    throw error;
  }
}

function toMethods(
  sessions: EmbeddedSessions,
  counters: AttemptCounters,
  trials: CredentialTrialLedger,
  tickets: AcceptedTicketLedger,
  forms: KeptFormLedger,
): HubMethods {
  const trialKey = randomBytes(32);
  return {
    load: async (key) => await sessions.load(key),
    save: async (session) => await sessions.save(session),
    refreshed: async (key, principal, atMs) => await sessions.refreshed(key, principal, atMs),
    claimRefresh: async (key, refreshedAtMs) => await sessions.claimRefresh(key, refreshedAtMs),
    touch: async (uses) => await sessions.touch(uses),
    revoke: async (key) => await sessions.revoke(key),
    revokePrincipal: async (provider, subject) => await sessions.revokePrincipal(provider, subject),
    count: async () => await sessions.count(),
    reserve: async (keys) => await counters.reserve(keys),
    fail: async (keys) => await counters.fail(keys),
    release: async (keys) => await counters.release(keys),
    clear: async (keys) => await counters.clear(keys),
    trialKey: async () => await Promise.resolve(trialKey),
    beginTrial: async (fingerprint) => await Promise.resolve(trials.begin(fingerprint)),
    endTrial: async (fingerprint, end) => await Promise.resolve(trials.end(fingerprint, end)),
    rememberTicket: async (fingerprint, ticket) =>
      await Promise.resolve(tickets.remember(fingerprint, ticket)),
    recallTicket: async (fingerprint) => await Promise.resolve(tickets.recall(fingerprint)),
    formSalt: async () => await Promise.resolve(forms.salt),
    keepForm: async (form, address) => await Promise.resolve(forms.keep(form, address)),
    findForm: async (id) => await Promise.resolve(forms.find(id)),
    dropForm: async (id) => await Promise.resolve(forms.drop(id)),
    ping: async () => {},
  };
}
