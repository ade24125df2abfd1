/** The worker's side of the shared state: the store and the counters of the primary, reached over a channel. */
import { GatewayError } from '../errors.ts';
import type { Clock } from '../lib/clock.ts';
import type { AcceptedTickets } from './accepted-tickets.ts';
import type { AttemptCounters } from './attempt-counters.ts';
import { Caller } from './calls.ts';
import { type Channel, openTopic } from './channel.ts';
import type { CredentialTrials } from './credential-trials.ts';
import { type HubMethods, hubCalls, hubEvents } from './hub-methods.ts';
import type { KeptForms } from './kept-forms.ts';
import type { SessionEvent, SessionStore } from './session-store.ts';

export interface HubClientOptions {
  readonly channel: Channel;
  readonly clock: Clock;
  /** Default 2 s. */
  readonly deadlineMs?: number;
  /** How often the primary is asked for a sign of life. Default 2 s. */
  readonly heartbeatMs?: number;
}

export interface HubClient extends Disposable {
  readonly sessions: SessionStore;
  readonly counters: AttemptCounters;
  readonly trials: CredentialTrials;
  readonly tickets: AcceptedTickets;
  readonly forms: KeptForms;
}

/** The channel stays open when the client is disposed. */
export function createHubClient(options: HubClientOptions): HubClient {
  const { channel, clock, deadlineMs = 2_000, heartbeatMs = 2_000 } = options;
  const caller = new Caller<HubMethods>(channel, hubCalls, { clock, deadlineMs, toError: toUnavailable });
  const listeners = new Set<(event: SessionEvent) => void>();
  const unsubscribe = openTopic<never, SessionEvent>(channel, hubEvents).on((event) => {
    caller.heard();
    for (const listener of listeners) listener(event);
  });
  const beat = (): void => {
    // An unanswered beat has left its trace in `lastHeardAtMs`, which is what a beat is for.
    caller.probe('ping').catch(rethrowUnlessUnavailable);
  };
  const heartbeat = setInterval(beat, heartbeatMs).unref();
  beat();
  return {
    sessions: {
      load: async (key) => await caller.call('load', key),
      save: async (session) => await caller.call('save', session),
      refreshed: async (key, principal, atMs) => await caller.call('refreshed', key, principal, atMs),
      claimRefresh: async (key, refreshedAtMs) => await caller.call('claimRefresh', key, refreshedAtMs),
      touch: async (uses) => await caller.call('touch', uses),
      revoke: async (key) => await caller.call('revoke', key),
      revokePrincipal: async (provider, subject) => await caller.call('revokePrincipal', provider, subject),
      count: async () => await caller.call('count'),
      subscribe: (listener) => {
        listeners.add(listener);
        return () => listeners.delete(listener);
      },
      get lastHeardAtMs() {
        return caller.lastHeardAtMs;
      },
    },
    counters: {
      reserve: async (keys) => await caller.call('reserve', keys),
      fail: async (keys) => await caller.call('fail', keys),
      release: async (keys) => await caller.call('release', keys),
      clear: async (keys) => await caller.call('clear', keys),
    },
    trials: {
      trialKey: async () => await caller.call('trialKey'),
      beginTrial: async (fingerprint) => await caller.call('beginTrial', fingerprint),
      endTrial: async (fingerprint, end) => await caller.call('endTrial', fingerprint, end),
    },
    tickets: {
      rememberTicket: async (fingerprint, ticket) => await caller.call('rememberTicket', fingerprint, ticket),
      recallTicket: async (fingerprint) => await caller.call('recallTicket', fingerprint),
    },
    forms: {
      formSalt: async () => await caller.call('formSalt'),
      keepForm: async (form, address) => await caller.call('keepForm', form, address),
      findForm: async (id) => await caller.call('findForm', id),
      dropForm: async (id) => await caller.call('dropForm', id),
    },
    [Symbol.dispose]: () => {
      clearInterval(heartbeat);
      unsubscribe();
      caller[Symbol.dispose]();
    },
  };
}

function toUnavailable(reason: string): GatewayError {
  return new GatewayError('SESSION_STORE_UNAVAILABLE', `the primary process ${reason}`, {
    retryAfterSeconds: 2,
  });
}

function rethrowUnlessUnavailable(error: unknown): void {
  if (!(error instanceof GatewayError)) throw error;
}
