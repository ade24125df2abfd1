/** A Kerberos provider under test: the real one with its helper process, a log and metrics the test can read. */
import type { Directory } from '#src/directory/directory.ts';
import { GatewayError } from '#src/errors.ts';
import type { NegotiateCredential } from '#src/identity/credential.ts';
import type { AuthenticationOutcome } from '#src/identity/outcome.ts';
import { type Clock, systemClock } from '#src/lib/clock.ts';
import { Secret } from '#src/lib/secret.ts';
import { Metrics } from '#src/observability/metrics.ts';
import { createKerberosProvider } from '#src/providers/kerberos/kerberos-provider.ts';
import { kerberosProviderOptions } from '#src/providers/kerberos/options.ts';
import type { TicketMemory } from '#src/providers/kerberos/shared-verdicts.ts';
import type { Attempt, Provider } from '#src/providers/provider.ts';
import { AcceptedTicketLedger } from '#src/state/accepted-tickets.ts';
import { collectLog, type LogLines } from '#test/support/log-lines.ts';

export interface TicketProvider extends AsyncDisposable {
  readonly provider: Provider;
  readonly log: LogLines;
  authenticate(token: string, attempt?: Partial<Attempt>): Promise<AuthenticationOutcome>;
  /** `alice`, or why not: the reason of a rejection, the code of an error. */
  judge(token: string, attempt?: Partial<Attempt>): Promise<string>;
  /** How many tokens had this result. */
  count(result: string): number;
}

export interface TicketProviderSettings {
  readonly keytab: string;
  readonly replayFile: string;
  readonly options?: Record<string, unknown>;
  readonly directory?: Directory;
  readonly clock?: Clock;
  /** Shared by providers that stand for workers of one gateway; default: of this provider alone. */
  readonly tickets?: TicketMemory;
}

export function negotiateCredential(token: string, provider?: string): NegotiateCredential {
  return { kind: 'negotiate', token: new Secret(token), provider };
}

export function attemptOf(changes: Partial<Attempt> = {}): Attempt {
  return {
    clientAddress: '192.0.2.7',
    // Generous: the machine that runs the tests may be busy.
    signal: AbortSignal.timeout(60_000),
    admit: async () =>
      await Promise.reject(new Error('a ticket is no guess: no account is throttled for it')),
    ...changes,
  };
}

/** The memory of the primary process, without the channel in between. */
export function ticketMemory(clock: Clock = systemClock): TicketMemory {
  const ledger = new AcceptedTicketLedger(clock);
  return {
    rememberTicket: async (fingerprint, ticket) =>
      await Promise.resolve(ledger.remember(fingerprint, ticket)),
    recallTicket: async (fingerprint) => await Promise.resolve(ledger.recall(fingerprint)),
  };
}

export function openTicketProvider(settings: TicketProviderSettings): TicketProvider {
  const log = collectLog();
  const metrics = new Metrics();
  const options = kerberosProviderOptions.parse({
    name: 'sso',
    type: 'kerberos',
    keytab: settings.keytab,
    realms: ['TEST.LOCAL'],
    ...settings.options,
  });
  const provider = createKerberosProvider(options, {
    directory: settings.directory,
    replayFile: settings.replayFile,
    logger: log.logger,
    metrics,
    clock: settings.clock ?? systemClock,
    tickets: settings.tickets ?? ticketMemory(settings.clock),
  });
  const authenticate = async (token: string, attempt?: Partial<Attempt>): Promise<AuthenticationOutcome> =>
    await provider.authenticate(negotiateCredential(token), attemptOf(attempt));
  return {
    provider,
    log,
    authenticate,
    judge: async (token, attempt) => {
      try {
        const outcome = await authenticate(token, attempt);
        if (outcome.kind === 'authenticated') return outcome.principal.username;
        return outcome.kind === 'rejected' ? outcome.reason : outcome.kind;
      } catch (error) {
        if (error instanceof GatewayError) return error.code;
        throw error;
      }
    },
    count: (result) => metrics.kerberosAccepts.cell({ provider: options.name, result }).count,
    [Symbol.asyncDispose]: async () => await provider[Symbol.asyncDispose](),
  };
}
