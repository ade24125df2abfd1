/**
 * The servers of one directory: those of the configuration, or those DNS names at the time. Opens and closes them; which
 * one is asked is failover.ts's decision.
 */
import { Resolver } from 'node:dns';
import type { Logger } from '../observability/logger.ts';
import type { DirectoryHealth } from './directory.ts';
import { type Endpoint, endpointMaker, toEndpoints } from './endpoint.ts';
import type { DirectoryOptions } from './options.ts';
import type { LdapServer } from './server.ts';
import { type Discovered, ServiceDiscovery, type ServiceName, serviceNameOf } from './service-discovery.ts';
import type { Timings } from './timings.ts';

export interface ServerListOptions {
  readonly directory: DirectoryOptions;
  readonly timings: Timings;
  readonly logger: Logger;
  /** Asked for SRV records; omitted: the servers of the system. */
  readonly resolver?: Resolver | undefined;
  /** `index` is what metrics call the server. */
  readonly open: (endpoint: Endpoint, index: number) => LdapServer;
}

const notReachedYet = { reason: 'not reached yet', isPending: true } as const;

interface Place {
  readonly server: LdapServer;
  readonly index: number;
}

export class ServerList implements AsyncDisposable {
  readonly #options: ServerListOptions;
  readonly #discovery: ServiceDiscovery | undefined;
  readonly #service: ServiceName | undefined;
  readonly #toEndpoint: (url: string) => Endpoint;
  #places: readonly Place[] = [];
  #servers: readonly LdapServer[] = [];
  /** Left out by DNS, closed once what they were asked has ended. */
  readonly #leaving = new Map<LdapServer, NodeJS.Timeout>();

  /** Throws GatewayError CONFIG_INVALID when a certificate or key cannot be used. */
  constructor(options: ServerListOptions) {
    this.#options = options;
    const { directory, timings, resolver } = options;
    this.#toEndpoint = endpointMaker(directory);
    this.#service = serviceNameOf(directory);
    if (this.#service === undefined) {
      this.#take(toEndpoints(directory).map(({ url }) => url));
      return;
    }
    // So that unusable files are told now and not when DNS answers.
    this.#toEndpoint(`${this.#service.scheme}://${this.#service.domain}`);
    this.#discovery = new ServiceDiscovery({
      service: this.#service,
      trustsAnyTarget: directory.tls.serverName !== undefined,
      resolver: resolver ?? new Resolver({ timeout: timings.connectMs, tries: 2 }),
      refreshMs: timings.discoveryMs,
      retryMs: timings.discoveryRetryMs,
      onServers: (discovered) => this.#discovered(discovered),
      onFailure: (reason) => this.#report(reason),
    });
  }

  /** In the order in which they are asked. Hot path: bench/ldap.ts. */
  get current(): readonly LdapServer[] {
    return this.#servers;
  }

  /** Settles when there are servers, or DNS was asked in vain. */
  async whenKnown(): Promise<readonly LdapServer[]> {
    await this.#discovery?.first;
    return this.#servers;
  }

  /** None of them is available. */
  noneAvailable(): void {
    this.#discovery?.hurry();
  }

  /** Each server, or the record that would name them while DNS has not. */
  health(): DirectoryHealth['servers'] {
    if (this.#servers.length === 0 && this.#service !== undefined) {
      const reason = this.#discovery?.failure;
      const pending = reason === undefined ? notReachedYet : { reason };
      return [{ url: this.#service.record, available: false, ...pending }];
    }
    return this.#servers.map(({ endpoint: { url }, isProven: available, failure }) => {
      const refusal = failure?.kind === 'config' ? failure.resultCode : undefined;
      return {
        url,
        available,
        ...(failure === undefined ? (available ? {} : notReachedYet) : { reason: failure.message }),
        ...(refusal === undefined ? {} : { refusal }),
      };
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#discovery?.[Symbol.dispose]();
    for (const timer of this.#leaving.values()) clearTimeout(timer);
    const all = [...this.#servers, ...this.#leaving.keys()];
    await Promise.all(all.map(async (server) => await server[Symbol.asyncDispose]()));
  }

  #discovered({ urls, foreign }: Discovered): void {
    const { logger } = this.#options;
    logger.info('directory-servers-discovered', { record: this.#service?.record, urls });
    if (foreign.length > 0) {
      logger.warn('directory-servers-outside-domain', { record: this.#service?.record, targets: foreign });
    }
    this.#take(urls);
  }

  #report(reason: string): void {
    this.#options.logger.error('directory-discovery-failed', {
      record: this.#service?.record,
      reason,
      kept: this.#servers.map(({ endpoint }) => endpoint.url),
    });
  }

  /** A server that was there before keeps its connections. */
  #take(urls: readonly string[]): void {
    const before = this.#places;
    const kept = before.filter(({ server }) => urls.includes(server.endpoint.url));
    const used = new Set(kept.map(({ index }) => index));
    this.#places = urls.map((url) => {
      const same = kept.find(({ server }) => server.endpoint.url === url);
      if (same !== undefined) return same;
      let index = 0;
      while (used.has(index)) index++;
      used.add(index);
      return { server: this.#options.open(this.#toEndpoint(url), index), index };
    });
    this.#servers = this.#places.map(({ server }) => server);
    for (const { server } of before) if (!this.#servers.includes(server)) this.#leave(server);
  }

  #leave(server: LdapServer): void {
    const close = (): void => {
      this.#leaving.delete(server);
      void server[Symbol.asyncDispose]();
    };
    this.#leaving.set(server, setTimeout(close, this.#options.timings.wholeMs).unref());
  }
}
