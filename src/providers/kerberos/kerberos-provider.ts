/**
 * Accepts Kerberos tickets: looks into the token, has it judged, maps the principal, and asks the directory who that
 * is. Where the challenge is sent and what a browser is shown is the gateway's.
 */
import type { Directory } from '../../directory/directory.ts';
import { GatewayError } from '../../errors.ts';
import type { Credential } from '../../identity/credential.ts';
import type {
  AuthenticationOutcome,
  HeaderPair,
  RefreshOutcome,
  TicketRejection,
} from '../../identity/outcome.ts';
import type { Principal } from '../../identity/principal.ts';
import type { Clock } from '../../lib/clock.ts';
import { Deadline } from '../../lib/deadline.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { toPrincipal } from '../directory-principal.ts';
import type { Attempt, Provider } from '../provider.ts';
import { HelperJudge } from './helper-judge.ts';
import { createInProcessJudge } from './in-process-judge.ts';
import { type KerberosProviderOptions, realmMappings } from './options.ts';
import { mapPrincipal, type RealmMapping } from './principal-name.ts';
import { AcceptedServices } from './services.ts';
import { SharedVerdicts, type TicketMemory } from './shared-verdicts.ts';
import { TicketRecord } from './ticket-record.ts';
import { inspectToken } from './token.ts';
import type { TicketJudge, Verdict } from './verdict.ts';
import { type Judgment, VerdictCache } from './verdict-cache.ts';

export interface KerberosDependencies {
  /** Stays the caller's; `undefined`: a principal's name is all that is known of a person. */
  readonly directory: Directory | undefined;
  /** Where presented tickets are recorded. */
  readonly replayFile: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
  readonly clock: Clock;
  /** Of all workers. */
  readonly tickets: TicketMemory;
}

/** Waiting for a turn, for a helper to come up, and for its answer together. */
const judgeTimeoutMs = 7_000;

/** Throws GatewayError CONFIG_INVALID when the keytab cannot be read. */
export function createKerberosProvider(
  options: KerberosProviderOptions,
  dependencies: KerberosDependencies,
): Provider {
  return new KerberosProvider(options, dependencies);
}

class KerberosProvider implements Provider {
  readonly name: string;
  readonly type = 'kerberos';
  readonly title: string;
  readonly #options: KerberosProviderOptions;
  readonly #dependencies: KerberosDependencies;
  readonly #realms: readonly RealmMapping[];
  readonly #services: AcceptedServices;
  readonly #judge: TicketJudge;
  readonly #cache: VerdictCache;
  /** Only where tickets are recorded: elsewhere every worker accepts them. */
  readonly #shared: SharedVerdicts | undefined;
  readonly #record: TicketRecord;
  /** Who waits has a deadline of their own: a token that nobody waits for any more is judged for the next question. */
  readonly #closing = new AbortController();

  constructor(options: KerberosProviderOptions, dependencies: KerberosDependencies) {
    this.name = options.name;
    this.title = options.title ?? options.name;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#realms = realmMappings(options);
    this.#services = acceptedServices(options);
    this.#cache = new VerdictCache(dependencies.clock);
    this.#shared = options.replay === 'on' ? new SharedVerdicts(dependencies.tickets) : undefined;
    this.#record = new TicketRecord({ ...dependencies, provider: options.name });
    this.#judge = createJudge(options, dependencies);
  }

  async authenticate(credential: Credential, attempt: Attempt): Promise<AuthenticationOutcome> {
    if (credential.kind !== 'negotiate') return { kind: 'not-applicable' };
    if (credential.provider !== undefined && credential.provider !== this.name) {
      return { kind: 'not-applicable' };
    }
    const token = credential.token.reveal();
    const reason = this.#inspect(token);
    if (reason !== undefined) return this.#reject(reason);
    const verdict = await this.#verdict(token, attempt);
    return verdict.kind === 'refused'
      ? { kind: 'rejected', reason: verdict.reason }
      : await this.#accept(verdict, attempt.signal);
  }

  async refresh(principal: Principal, signal: AbortSignal): Promise<RefreshOutcome> {
    const { directory } = this.#dependencies;
    if (directory === undefined) {
      // Nobody to ask; but a realm that was taken out of the configuration ends its people's sessions.
      const mapped = mapPrincipal(principal.subject, this.#realms);
      return mapped.kind === 'mapped'
        ? { kind: 'current', principal, stale: false }
        : { kind: 'ended', reason: mapped.reason };
    }
    const outcome = await directory.lookup({ id: principal.subject, username: principal.username }, signal);
    if (outcome.kind === 'ended') return outcome;
    return { kind: 'current', principal: toPrincipal(this.name, outcome.person), stale: outcome.stale };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closing.abort();
    await this.#judge[Symbol.asyncDispose]();
  }

  #inspect(token: string): TicketRejection | undefined {
    const inspection = inspectToken(token, this.#options.maxTokenLength);
    if (inspection.kind === 'rejected') {
      this.#record.explain(inspection.reason, {});
      return inspection.reason;
    }
    const service = `${inspection.service}@${inspection.realm}`;
    if (!this.#options.strictSpn || this.#services.has(service)) return undefined;
    this.#record.explain('spn-mismatch', { service });
    return 'spn-mismatch';
  }

  /** Throws GatewayError when nobody can judge. */
  async #verdict(token: string, attempt: Attempt): Promise<Exclude<Verdict, { kind: 'unable' }>> {
    const key = VerdictCache.keyOf(this.name, attempt.clientAddress, token);
    const known = this.#cache.get(key);
    if (known !== undefined) {
      this.#record.count('remembered');
      return known;
    }
    // Shared by everybody who brings the token now: one of them going away must not end it for the others.
    const judging = this.#cache.judge(key, () => this.#ask(token, key));
    const verdict = await new Deadline(judgeTimeoutMs, attempt.signal).race(judging, overdue);
    if (verdict.kind !== 'unable') return verdict;
    throw new GatewayError('PROVIDER_MISCONFIGURED', `provider ${this.name}: ${verdict.detail}`, {
      fields: { provider: this.name, obstacle: verdict.obstacle },
    });
  }

  async #ask(token: string, fingerprint: string): Promise<Judgment> {
    const startedAt = performance.now();
    try {
      const verdict = await this.#judge.judge(token, this.#closing.signal);
      if (verdict.kind === 'refused' && verdict.reason === 'replay') {
        const recalled = await this.#shared?.recall(fingerprint);
        if (recalled !== undefined) {
          this.#record.count('remembered');
          return recalled;
        }
      }
      const result =
        verdict.kind === 'unable' ? 'error' : verdict.kind === 'refused' ? verdict.reason : 'accepted';
      this.#record.count(result, secondsSince(startedAt));
      if (verdict.kind === 'refused') this.#record.explain(verdict.reason, { detail: verdict.detail });
      if (verdict.kind === 'unable') this.#record.explain(verdict.obstacle, { detail: verdict.detail });
      if (verdict.kind === 'accepted') this.#shared?.remember(fingerprint, verdict);
      return { verdict };
    } catch (error) {
      this.#record.count('error', secondsSince(startedAt));
      throw error;
    }
  }

  async #accept(
    verdict: Extract<Verdict, { kind: 'accepted' }>,
    signal: AbortSignal,
  ): Promise<AuthenticationOutcome> {
    const { service } = verdict;
    // The entry whose key fitted, not what the client says: a keytab may hold keys that are not for signing in.
    if (!this.#services.has(service)) return this.#reject('spn-mismatch', { service });
    const mapped = mapPrincipal(verdict.principal, this.#realms);
    if (mapped.kind === 'rejected') return this.#reject(mapped.reason, { principal: verdict.principal });
    const person = await this.#dependencies.directory?.find(mapped.username, signal);
    if (person?.kind === 'ended') return { kind: 'rejected', reason: person.reason };
    const principal =
      person === undefined
        ? namedPrincipal(this.name, mapped.principal, mapped.username)
        : toPrincipal(this.name, person.person);
    return { kind: 'authenticated', principal, headers: replyHeaders(verdict.reply) };
  }

  #reject(reason: TicketRejection, fields: Readonly<Record<string, string>> = {}): AuthenticationOutcome {
    this.#record.count(reason);
    if (Object.keys(fields).length > 0) this.#record.explain(reason, fields);
    return { kind: 'rejected', reason };
  }
}

function createJudge(options: KerberosProviderOptions, dependencies: KerberosDependencies): TicketJudge {
  const { replayFile, logger } = dependencies;
  const settings = {
    keytab: options.keytab,
    replayFile: options.replay === 'on' ? replayFile : undefined,
    krb5Config: options.krb5Config,
  };
  return options.isolation === 'none'
    ? createInProcessJudge(settings)
    : new HelperJudge({ settings, logger });
}

function secondsSince(startedAt: number): number {
  return (performance.now() - startedAt) / 1_000;
}

function overdue(cause: unknown): GatewayError {
  return new GatewayError('PROVIDER_UNAVAILABLE', 'the ticket was not judged in time', {
    ...(cause === undefined ? {} : { cause }),
    retryAfterSeconds: 1,
  });
}

function acceptedServices({ name, keytab, principals }: KerberosProviderOptions): AcceptedServices {
  try {
    return new AcceptedServices({ keytab, principals });
  } catch (error) {
    throw new GatewayError('CONFIG_INVALID', `provider ${name}: the keytab ${keytab} cannot be used`, {
      cause: error,
      fields: { provider: name },
    });
  }
}

function replyHeaders(reply: string | undefined): readonly HeaderPair[] {
  return reply === undefined ? [] : [['WWW-Authenticate', `Negotiate ${reply}`]];
}

function namedPrincipal(provider: string, principal: string, username: string): Principal {
  return {
    provider,
    subject: principal,
    username,
    email: undefined,
    displayName: undefined,
    givenName: undefined,
    familyName: undefined,
    groups: [],
    roles: [],
    accessLevel: 'user',
    attributes: {},
  };
}
