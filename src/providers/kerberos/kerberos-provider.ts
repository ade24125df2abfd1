/**
 * Accepts Kerberos tickets: looks into the token, has it judged, maps the principal, and asks the directory who that
 * is. Where the challenge is sent and what a browser is shown is the gateway's.
 */
import type { Directory, LookupOutcome } from '../../directory/directory.ts';
import { GatewayError } from '../../errors.ts';
import type { Credential } from '../../identity/credential.ts';
import type {
  AuthenticationOutcome,
  HeaderPair,
  RefreshOutcome,
  TicketRejection,
} from '../../identity/outcome.ts';
import type { Principal } from '../../identity/principal.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { toPrincipal } from '../directory-principal.ts';
import type { Attempt, Provider } from '../provider.ts';
import { createInProcessJudge } from './in-process-judge.ts';
import { type KerberosProviderOptions, realmMappings } from './options.ts';
import { mapPrincipal, type RealmMapping } from './principal-name.ts';
import { AcceptedServices } from './services.ts';
import { inspectToken } from './token.ts';
import type { Obstacle, TicketJudge, Verdict } from './verdict.ts';

export interface KerberosDependencies {
  /** Stays the caller's; `undefined`: a principal's name is all that is known of a person. */
  readonly directory: Directory | undefined;
  /** Where presented tickets are recorded. */
  readonly replayFile: string;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

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

  constructor(options: KerberosProviderOptions, dependencies: KerberosDependencies) {
    this.name = options.name;
    this.title = options.title ?? options.name;
    this.#options = options;
    this.#dependencies = dependencies;
    this.#realms = realmMappings(options);
    this.#services = acceptedServices(options);
    this.#judge = createInProcessJudge({
      keytab: options.keytab,
      replayFile: options.replay === 'on' ? dependencies.replayFile : undefined,
    });
  }

  async authenticate(credential: Credential, attempt: Attempt): Promise<AuthenticationOutcome> {
    if (credential.kind !== 'negotiate') return { kind: 'not-applicable' };
    if (credential.provider !== undefined && credential.provider !== this.name) {
      return { kind: 'not-applicable' };
    }
    const token = credential.token.reveal();
    const reason = this.#inspect(token);
    if (reason !== undefined) return { kind: 'rejected', reason };
    const verdict = await this.#judge.judge(token, attempt.signal);
    switch (verdict.kind) {
      case 'unable':
        throw this.#obstacle(verdict.obstacle, verdict.detail);
      case 'refused':
        return { kind: 'rejected', reason: verdict.reason };
      case 'accepted':
        return await this.#accept(verdict, attempt.signal);
    }
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
    await this.#judge[Symbol.asyncDispose]();
  }

  #inspect(token: string): TicketRejection | undefined {
    const inspection = inspectToken(token, this.#options.maxTokenLength);
    if (inspection.kind === 'rejected') return inspection.reason;
    const { service, realm } = inspection;
    if (this.#options.strictSpn && !this.#services.has(`${service}@${realm}`)) return 'spn-mismatch';
    return undefined;
  }

  async #accept(
    verdict: Extract<Verdict, { kind: 'accepted' }>,
    signal: AbortSignal,
  ): Promise<AuthenticationOutcome> {
    // The entry whose key fitted, not what the client says: a keytab may hold keys that are not for signing in.
    if (!this.#services.has(verdict.service)) return { kind: 'rejected', reason: 'spn-mismatch' };
    const mapped = mapPrincipal(verdict.principal, this.#realms);
    if (mapped.kind === 'rejected') return mapped;
    const person = await this.#find(mapped.username, signal);
    if (person?.kind === 'ended') return { kind: 'rejected', reason: person.reason };
    const principal =
      person === undefined
        ? namedPrincipal(this.name, mapped.principal, mapped.username)
        : toPrincipal(this.name, person.person);
    return { kind: 'authenticated', principal, headers: replyHeaders(verdict.reply) };
  }

  async #find(username: string, signal: AbortSignal): Promise<LookupOutcome | undefined> {
    return await this.#dependencies.directory?.find(username, signal);
  }

  #obstacle(obstacle: Obstacle, detail: string): GatewayError {
    return new GatewayError('PROVIDER_MISCONFIGURED', `provider ${this.name}: ${obstacle}: ${detail}`, {
      fields: { provider: this.name, obstacle },
    });
  }
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
