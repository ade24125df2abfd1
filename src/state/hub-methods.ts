/** What workers and the primary's shared state say to each other: one closed list of methods, and pushed events. */
import type { AcceptedTickets } from './accepted-tickets.ts';
import type { AttemptCounters } from './attempt-counters.ts';
import type { CredentialTrials } from './credential-trials.ts';
import type { KeptForms } from './kept-forms.ts';
import type { SessionStore } from './session-store.ts';

/** Everything a worker may ask of the primary's shared state. */
export interface HubMethods
  extends Omit<SessionStore, 'subscribe' | 'lastHeardAtMs'>,
    AttemptCounters,
    CredentialTrials,
    AcceptedTickets,
    KeptForms {
  ping(): Promise<void>;
}

export const hubCalls = 'hub.calls';
export const hubEvents = 'hub.events';
