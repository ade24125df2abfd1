/** The servers of the corpus and everything a row's text stands for: gateways by set-up, sessions, tokens, addresses. */
import { startMail } from '#test/preauth/site.ts';
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import type { Slapd } from '#test/servers/slapd.ts';
import { csrfOf, Visitor } from '#test/support/http-client.ts';
import { type AttackRow, expandRepeats, type Setup } from './attack-rows.ts';
import { directoryFaults, type FaultyDirectory, operationTimeoutMs } from './directory-faults.ts';
import { type EchoUpstream, startEchoUpstream } from './echo-upstream.ts';
import { Realms } from './kerberos-realms.ts';
import { passwordOf, startCorpusDirectory } from './people.ts';
import { hosts, setupOf, siteConfig } from './site.ts';

/** Addresses of the product, by the names the rows use. */
const addresses: Readonly<Record<string, string>> = {
  '{login}': '/_vratar/login',
  '{logout}': '/_vratar/logout',
  '{callback}': '/_vratar/providers/sso/callback',
  '{verify}': '/_vratar/auth/traefik',
  '{verifyNginx}': '/_vratar/auth/nginx',
  '{metrics}': '/metrics',
  '{preauth}': '/_vratar/zimbra/mail',
};

export const sessionCookieName = '__Host-gw';
export const csrfCookieName = '__Host-gw-csrf';
/** Where a refused return target leads. */
export const defaultTarget = '/_vratar/';

/** What rows need of a gateway, in this process or in one of its own. */
export type GatewayUnderTest = Pick<TestGateway, 'port' | 'logText' | 'metrics' | 'report'>;

/** A gateway with its own sessions and forms. */
export class Site {
  readonly gateway: GatewayUnderTest;
  readonly setup: Setup;
  /** Instead of the shared directory. */
  readonly faulty: FaultyDirectory | undefined;
  readonly #tickets = new Map<string, Promise<string>>();
  #form: Promise<FormToken> | undefined;

  constructor(gateway: GatewayUnderTest, setup: Setup = {}, faulty?: FaultyDirectory) {
    this.gateway = gateway;
    this.setup = setup;
    this.faulty = faulty;
  }

  /** Signs in once through the form and keeps the cookie's value. */
  async ticketOf(username: string): Promise<string> {
    let ticket = this.#tickets.get(username);
    if (ticket === undefined) {
      ticket = this.signIn(username, passwordOf(username));
      this.#tickets.set(username, ticket);
    }
    return await ticket;
  }

  async signIn(username: string, password: string, provider = 'corp'): Promise<string> {
    const visitor = new Visitor(this.gateway.port, [['Host', hosts.portal]]);
    const answer = await visitor.signIn(username, password, { provider });
    const ticket = visitor.cookies.get(sessionCookieName) ?? visitor.cookies.get('gw');
    if (answer.status !== 303 || ticket === undefined) {
      throw new Error(
        `${username} could not sign in: ${answer.status}\n${this.gateway.logText.slice(-4_000)}`,
      );
    }
    return ticket;
  }

  /** The form value of one browser, the same for all rows; each of them has its own cookie jar otherwise. */
  async form(): Promise<FormToken> {
    this.#form ??= this.newForm();
    return await this.#form;
  }

  async newForm(): Promise<FormToken> {
    const visitor = new Visitor(this.gateway.port, [['Host', hosts.portal]]);
    const page = await visitor.ask('/_vratar/login', { headers: [['Accept', 'text/html']] });
    return { field: csrfOf(page.body), cookie: visitor.cookies.get(csrfCookieName) ?? '' };
  }

  /** Replaces what the notation of the rows stands for. */
  async fill(text: string): Promise<string> {
    let filled = expandRepeats(text);
    for (const [name, path] of Object.entries(addresses)) filled = filled.replaceAll(name, path);
    // Anything in braces that is left would be an address this version does not have.
    const unknown = /\{(oidcStart|backchannel|frontchannel|adminApi|selfApi)\}/.exec(filled);
    if (unknown !== null) throw new Error(`${unknown[0]} has no address`);
    const parts = filled.split(
      /(\$(?:pct\(cookie\(\w+\)\)|b64\([^)]*\)|cookie\([\w, =+-]+\)|chunk\(\w+,\d\)|value\([\w-]+\)|loginform\([^)]*\)|csrf))/,
    );
    const values = await Promise.all(
      parts.map(async (part, i) => (i % 2 === 0 ? part : await this.#value(part))),
    );
    return values.join('');
  }

  async #value(placeholder: string): Promise<string> {
    const [, name = '', argument = ''] = /^\$(\w+)(?:\((.*)\))?$/.exec(placeholder) ?? [];
    switch (name) {
      case 'cookie':
        return await this.ticketOf(argument);
      case 'pct': {
        const ticket = await this.ticketOf(/^cookie\((\w+)\)$/.exec(argument)?.[1] ?? '');
        return Array.from(ticket)
          .map((char) => `%${char.charCodeAt(0).toString(16)}`)
          .join('');
      }
      case 'b64':
        return Buffer.from(argument).toString('base64url');
      case 'chunk':
        // The session cookie is one opaque value and is never split: any bytes.
        return Buffer.from(`chunk of ${argument}`).toString('base64url');
      case 'value':
        return argument === csrfCookieName ? (await this.form()).cookie : '';
      case 'csrf':
        return (await this.form()).field;
      default: {
        const [username = '', password = '', token] = argument.split(',');
        const csrf = token === 'token=other' ? (await this.newForm()).field : (await this.form()).field;
        return new URLSearchParams({ username, password, csrf }).toString();
      }
    }
  }
}

export interface FormToken {
  readonly field: string;
  readonly cookie: string;
}

/** One directory and one upstream for all gateways, started when first needed. */
export class Rig implements AsyncDisposable {
  readonly #resources = new AsyncDisposableStack();
  readonly #sites = new Map<string, Promise<Site>>();
  #lastStart: Promise<void> = Promise.resolve();
  #realms: Promise<Realms> | undefined;
  #servers: Promise<{ slapd: Slapd; upstream: EchoUpstream }> | undefined;

  async servers(): Promise<{ slapd: Slapd; upstream: EchoUpstream }> {
    this.#servers ??= Promise.all([startCorpusDirectory(), startEchoUpstream()]).then(([slapd, upstream]) => {
      this.#resources.use(slapd);
      this.#resources.use(upstream);
      return { slapd, upstream };
    });
    return await this.#servers;
  }

  /** Where tickets come from; shared, and started when first needed. */
  async realms(): Promise<Realms> {
    this.#realms ??= Realms.start().then((realms) => this.#resources.use(realms));
    return await this.#realms;
  }

  /** The gateway for a row: shared by all rows of the same set-up. */
  async siteOf(row: AttackRow): Promise<Site> {
    return await this.site(setupOf(row));
  }

  async site(setup: Setup = {}): Promise<Site> {
    const key = JSON.stringify(Object.entries(setup).toSorted(([a], [b]) => a.localeCompare(b)));
    let site = this.#sites.get(key);
    if (site === undefined) {
      site = this.#start(setup);
      this.#sites.set(key, site);
    }
    return await site;
  }

  /** One at a time: while a gateway starts, this process has no time for the others. */
  async #start(setup: Setup): Promise<Site> {
    const earlier = this.#lastStart;
    const { promise, resolve } = Promise.withResolvers<void>();
    this.#lastStart = promise;
    await earlier;
    try {
      return await this.#startNow(setup);
    } finally {
      resolve();
    }
  }

  async #startNow(setup: Setup): Promise<Site> {
    const { slapd, upstream } = await this.servers();
    const faulty = await this.#faultyDirectory(setup['directory'], slapd.port);
    const config = await siteConfig(
      {
        upstream: upstream.url,
        directories: faulty?.servers ?? [slapd.url],
        keytab: setup['negotiate'] === true ? (await this.realms()).keytab : undefined,
        ...(setup['mailbox'] === true ? { mail: this.#resources.use(await startMail()).url } : {}),
        ...(faulty === undefined
          ? {}
          : { directoryOptions: { timeout: `${operationTimeoutMs}ms`, ...faulty.options } }),
      },
      setup,
    );
    return new Site(this.#resources.use(await startGateway({ config })), setup, faulty);
  }

  async #faultyDirectory(
    name: Setup[string] | undefined,
    port: number,
  ): Promise<FaultyDirectory | undefined> {
    if (name === undefined) return undefined;
    const fault = directoryFaults[String(name)];
    if (fault === undefined) throw new Error(`no directory that ${String(name)}`);
    return await fault(this.#resources, { port });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}
