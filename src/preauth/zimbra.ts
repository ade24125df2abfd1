/**
 * One Zimbra or Carbonio: makes the link that opens a person's mailbox, by URL or by SOAP, and ends its sessions. Decides
 * whose mailbox and with which key; whether the person may is decided before.
 */
import { readFileSync } from 'node:fs';
import type { Principal } from '../identity/principal.ts';
import type { Clock } from '../lib/clock.ts';
import { Outgoing } from '../lib/outgoing.ts';
import { compileDeepLinks, type FindDeepLink } from './deep-links.ts';
import { DomainKeys } from './domain-keys.ts';
import { type MailRefusal, meaningOf } from './faults.ts';
import { Holds } from './holds.ts';
import { MailServerCheck, type Probe, probeMailServer } from './mail-server-check.ts';
import { preauthMac, preauthTarget, type SignedValues, Timestamps } from './mint.ts';
import type { ZimbraOptions } from './options.ts';
import { type AccountFault, type MailAccount, readAccount } from './signed-value.ts';
import { authenticate, endSessions, type SoapAnswer } from './soap.ts';

export type OpeningRefusal = AccountFault | MailRefusal | 'held';

export type Opening =
  /** `location` is a secret: it opens the mailbox for whoever has it. */
  | { readonly kind: 'redirect'; readonly location: string; readonly mailAccount: string }
  | { readonly kind: 'refused'; readonly reason: OpeningRefusal; readonly mailAccount: string | undefined };

export interface OpeningRequest {
  /** To the administration console; the caller has checked that the person may and that there is one. */
  readonly isAdmin: boolean;
  /** As the browser sent it; only what `deepLinks` lists is passed on. */
  readonly query: URLSearchParams;
}

export interface ZimbraSetup {
  readonly options: ZimbraOptions;
  /** The identifier to sign, exactly; `''`: the person has none. */
  readonly accountOf: (principal: Principal) => string;
  /** Whose key signs, where `by` is not `name`; omitted: the only domain's. */
  readonly domainOf?: (principal: Principal) => string;
  readonly clock: Clock;
  readonly onProbed: (probe: Probe) => void;
}

/** A session that lasts just long enough to end the others. */
const briefSessionMs = 60_000;
const maxAnswerBytes = 65_536;

export class Zimbra implements AsyncDisposable {
  readonly options: ZimbraOptions;
  readonly check: MailServerCheck;
  readonly #setup: ZimbraSetup;
  readonly #outgoing: Outgoing;
  readonly #keys: ReadonlyMap<string, DomainKeys>;
  readonly #timestamps = new Timestamps();
  readonly #findDeepLink: FindDeepLink;
  readonly #holds: Holds;

  constructor(setup: ZimbraSetup) {
    const { options, clock, onProbed } = setup;
    this.options = options;
    this.#setup = setup;
    this.#outgoing = outgoingTo(options.url, options);
    this.#keys = new Map(
      Object.entries(options.domains).map(([name, domain]) => [name, new DomainKeys(domain)]),
    );
    this.#findDeepLink = compileDeepLinks(options.deepLinks);
    this.#holds = new Holds(clock);
    this.check = new MailServerCheck(
      async () => await probeMailServer(this.#outgoing, clock),
      options.healthInterval,
      onProbed,
    );
  }

  /**
   * The link for this person, made now; guarded by `bench/preauth.ts`. Throws, or rejects with, GatewayError THROTTLED,
   * and with `interface: soap` UPSTREAM_UNREACHABLE, _TIMEOUT, _RESET or _PROTOCOL.
   */
  open(principal: Principal, { isAdmin, query }: OpeningRequest): Opening | Promise<Opening> {
    const mail = this.accountOf(principal);
    if (typeof mail === 'string') return { kind: 'refused', reason: mail, mailAccount: undefined };
    const deepLink = this.#findDeepLink(query);
    // SOAP never answers with an administrator's token: that way is always the link's.
    if (this.options.interface === 'soap' && !isAdmin) return this.#openBySoap(mail, deepLink);
    const values = this.#values(mail, isAdmin);
    const mac = preauthMac(values, this.#keysOf(mail).at(values.timestamp));
    const base = isAdmin ? (this.options.adminUrl ?? this.options.url) : this.options.url;
    const location = `${base}${preauthTarget(values, mac, deepLink)}`;
    return { kind: 'redirect', location, mailAccount: mail.account };
  }

  /** Whose mailbox it is, or why there is none to open. */
  accountOf(principal: Principal): MailAccount | AccountFault {
    const { accountOf, domainOf } = this.#setup;
    return this.readAccount(accountOf(principal), domainOf?.(principal));
  }

  readAccount(text: string, domain: string | undefined): MailAccount | AccountFault {
    const [only] = this.#keys.size === 1 ? this.#keys.keys() : [undefined];
    return readAccount(text, {
      by: this.options.by,
      hasDomain: (name) => this.#keys.has(name),
      domain: domain ?? only,
    });
  }

  /** Ends the web sessions of a person everywhere on this mail server. Rejects as `open` does. */
  async endSessions(mail: MailAccount): Promise<'ended' | MailRefusal | 'held'> {
    const signedIn = await this.signIn(mail, this.#now() + briefSessionMs);
    if (signedIn.kind === 'refused') return signedIn.reason;
    const answer = await endSessions(this.#outgoing, signedIn.token, 'all');
    return answer.kind === 'done' ? 'ended' : meaningOf(answer.code);
  }

  /** Ends the session of a token that `signIn` returned. */
  async endOwn(token: string): Promise<SoapAnswer<undefined>> {
    return await endSessions(this.#outgoing, token, 'own');
  }

  /**
   * Signs in over SOAP. Zimbra counts a refusal like a wrong password, so after one the account is left alone for a
   * while; only while its key is being changed is the other key tried too.
   */
  async signIn(mail: MailAccount, expires: number): Promise<SignedIn> {
    if (this.#holds.has(mail.account)) return { kind: 'refused', reason: 'held' };
    const keys = this.#keysOf(mail);
    let reason: MailRefusal = 'mail-refused';
    for (const key of keys.inOrder(this.#now())) {
      const values = { ...this.#values(mail, false), expires };
      const answer = await authenticate(this.#outgoing, values, preauthMac(values, key));
      if (answer.kind === 'done') {
        keys.accept(key);
        return { kind: 'done', token: answer.result, usesNextKey: keys.isNext(key) };
      }
      reason = meaningOf(answer.code);
      if (reason !== 'mail-refused') break;
    }
    if (reason === 'mail-refused') this.#holds.add(mail.account);
    return { kind: 'refused', reason };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.check[Symbol.dispose]();
    await this.#outgoing[Symbol.asyncDispose]();
  }

  async #openBySoap(mail: MailAccount, deepLink: string): Promise<Opening> {
    const signedIn = await this.signIn(mail, this.#expires(this.#now()));
    if (signedIn.kind === 'refused') {
      return { kind: 'refused', reason: signedIn.reason, mailAccount: mail.account };
    }
    const token = encodeURIComponent(signedIn.token);
    const location = `${this.options.url}/service/preauth?isredirect=1${deepLink}&authtoken=${token}`;
    return { kind: 'redirect', location, mailAccount: mail.account };
  }

  #values({ account }: MailAccount, isAdmin: boolean): SignedValues {
    const timestamp = this.#timestamps.next(account, this.#now());
    return { account, by: this.options.by, expires: this.#expires(timestamp), timestamp, isAdmin };
  }

  #expires(nowMs: number): number {
    return this.options.expires === 0 ? 0 : nowMs + this.options.expires;
  }

  #now(): number {
    return this.#setup.clock.now() + this.check.correctionMs;
  }

  #keysOf({ domain }: MailAccount): DomainKeys {
    const keys = this.#keys.get(domain);
    if (keys === undefined) throw new RangeError(`no key for ${domain}`);
    return keys;
  }
}

export type SignedIn =
  | { readonly kind: 'done'; readonly token: string; readonly usesNextKey: boolean }
  | { readonly kind: 'refused'; readonly reason: MailRefusal | 'held' };

/** The gateway's own requests to an address of this mail server. */
export function outgoingTo(url: string, { tls, timeout }: Pick<ZimbraOptions, 'tls' | 'timeout'>): Outgoing {
  return new Outgoing({
    origin: url,
    ca: tls === undefined ? undefined : readFileSync(tls.caFile, 'utf8'),
    timeoutMs: timeout,
    maxResponseBytes: maxAnswerBytes,
  });
}
