/** One configured mailbox service: who may open it, whose mailbox that is, and how its mail server fares. */
import { compileConditions, type PrincipalPredicate } from '../../access/conditions.ts';
import type { AccessOption } from '../../access/options.ts';
import { compileTemplate } from '../../headers/template.ts';
import type { Principal } from '../../identity/principal.ts';
import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../../observability/logger.ts';
import type { Metrics } from '../../observability/metrics.ts';
import { doubtfulOffsetMs, type Probe } from '../../preauth/mail-server-check.ts';
import type { ZimbraOptions } from '../../preauth/options.ts';
import { Zimbra } from '../../preauth/zimbra.ts';

export interface MailboxSurroundings {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Metrics;
}

/** As `readyz` shows it. */
export interface MailServerHealth {
  readonly name: string;
  readonly status: 'available' | 'degraded' | 'unavailable';
  readonly reason?: string;
}

export class Mailbox implements AsyncDisposable {
  readonly name: string;
  readonly title: string;
  readonly host: string;
  readonly zimbra: Zimbra;
  readonly mayOpen: PrincipalPredicate;
  /** Nobody, where no administration port is configured. */
  readonly mayAdminister: PrincipalPredicate;
  readonly hasAdministration: boolean;
  readonly endsSessions: boolean;
  readonly #surroundings: MailboxSurroundings;
  #lastHealth: MailServerHealth['status'] = 'available';

  constructor(options: ZimbraOptions, surroundings: MailboxSurroundings) {
    this.#surroundings = surroundings;
    this.name = options.name;
    this.title = options.title ?? options.name;
    this.host = new URL(options.url).host;
    this.mayOpen = compileAccess(options.access);
    this.hasAdministration = options.adminUrl !== undefined && options.admin !== undefined;
    this.mayAdminister = this.hasAdministration ? compileAccess(options.admin) : () => false;
    this.endsSessions = options.signOut === 'end';
    const { domain } = options;
    this.zimbra = new Zimbra({
      options,
      accountOf: compileIdentifier(options.account),
      ...(domain === undefined ? {} : { domainOf: compileIdentifier(domain) }),
      clock: surroundings.clock,
      onProbed: (probe) => this.#probed(probe),
    });
  }

  health(): MailServerHealth {
    const { name } = this;
    const probe = this.zimbra.check.latest;
    switch (probe?.kind) {
      case undefined:
        return { name, status: 'available' };
      case 'down':
        return { name, status: 'unavailable', reason: 'does not answer' };
      case 'other':
        return { name, status: 'unavailable', reason: `answers ${probe.status}, not as a mail server does` };
      case 'up': {
        const { offsetMs = 0 } = probe;
        if (Math.abs(offsetMs) <= doubtfulOffsetMs) return { name, status: 'available' };
        return { name, status: 'degraded', reason: `its clock and ours differ by ${seconds(offsetMs)} s` };
      }
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.zimbra[Symbol.asyncDispose]();
  }

  #probed(probe: Probe): void {
    const { logger, metrics } = this.#surroundings;
    const labels = { zimbra: this.name };
    metrics.zimbraUp.set(labels, probe.kind === 'up' ? 1 : 0);
    if (probe.kind === 'up' && probe.offsetMs !== undefined) {
      metrics.zimbraClockOffset.set(labels, seconds(probe.offsetMs));
    }
    const { status, reason } = this.health();
    // Only what changed: a mail server that is away for a day is one line, not a thousand.
    if (status === this.#lastHealth) return;
    this.#lastHealth = status;
    if (status === 'available') logger.info('zimbra.available', labels);
    else {
      logger.warn('zimbra.not-available', {
        ...labels,
        status,
        reason,
        ...(probe.kind === 'down' ? { error: probe.error } : {}),
      });
    }
  }
}

function seconds(offsetMs: number): number {
  return Math.abs(Math.round(offsetMs / 1_000));
}

function compileAccess(access: AccessOption | undefined): PrincipalPredicate {
  if (access === 'authenticated') return () => true;
  if (access === undefined || typeof access === 'string') return () => false;
  return compileConditions(access).holds;
}

/** Text for exactly one person. An attribute with several values names several, so none. */
function compileIdentifier(text: string): (principal: Principal) => string {
  const template = compileTemplate(text, { groups: () => [] });
  return (principal) => {
    const value = template(principal);
    if (typeof value === 'string') return value;
    return value.length === 1 ? (value[0] as string) : '';
  };
}
