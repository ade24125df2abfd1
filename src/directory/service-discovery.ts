/**
 * The servers of a directory as DNS names them (RFC 2782): which records count, and in which order. DNS is not
 * authenticated, so whatever it says is only ever reached over TLS, and only believed below the domain it was asked for.
 * Knows nothing of connections.
 */
import type { Resolver, SrvRecord } from 'node:dns';

/** What stands for "ask DNS" in the list of servers: `srv:DOMAIN`, or `srv:` for the domain of the base DN. */
export const discoveryScheme = 'srv:';

const maxServers = 16;

export interface ServiceName {
  /** `_ldaps._tcp.example.com`; with StartTLS `_ldap._tcp.example.com`. */
  readonly record: string;
  /** Targets must be this or below it. */
  readonly domain: string;
  readonly scheme: 'ldap' | 'ldaps';
}

/** `undefined`: the servers are listed. A base DN without `dc=` gives an empty domain, which options.ts refuses. */
export function serviceNameOf(options: {
  readonly servers: readonly string[];
  readonly startTls: boolean;
  readonly users: { readonly baseDn: string };
}): ServiceName | undefined {
  const [only = ''] = options.servers;
  if (!only.startsWith(discoveryScheme)) return undefined;
  const asked = only.slice(discoveryScheme.length) || domainOfDn(options.users.baseDn);
  const scheme = options.startTls ? 'ldap' : 'ldaps';
  // Below `dc._msdcs.example.com` and `site._sites.example.com` Active Directory lists hosts of example.com.
  const domain = asked.replace(/^.*\._[^.]+\./, '');
  return { record: `_${scheme}._tcp.${asked}`, domain: domain.toLowerCase(), scheme };
}

/** RFC 2247: `ou=people,dc=example,dc=com` is in `example.com`. */
function domainOfDn(dn: string): string {
  return [...dn.matchAll(/(?:^|,)\s*dc\s*=\s*([A-Za-z0-9-]+)\s*(?=,|$)/gi)]
    .map(([, label]) => label)
    .join('.');
}

export interface Discovered {
  /** URLs in the order of RFC 2782, new each time within a priority. */
  readonly urls: readonly string[];
  /** Targets that are not below the domain: whoever can forge DNS would name a host of his own there. */
  readonly foreign: readonly string[];
}

/** `trustsAnyTarget`: the certificate must carry a configured name, so that DNS has no say in it. */
export function toServers(
  records: readonly SrvRecord[],
  service: ServiceName,
  { trustsAnyTarget, random = Math.random }: { trustsAnyTarget: boolean; random?: () => number },
): Discovered {
  const urls = new Set<string>();
  const foreign = new Set<string>();
  for (const { name, port } of inOrder(records, random)) {
    const host = name.toLowerCase().replace(/\.$/, '');
    // A single record with the target "." says that there is no such service.
    if (!/^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$/.test(host) || port < 1 || port > 65_535) continue;
    const isInside = host === service.domain || host.endsWith(`.${service.domain}`);
    if (isInside || trustsAnyTarget) urls.add(`${service.scheme}://${host}:${port}`);
    else foreign.add(host);
  }
  return { urls: [...urls].slice(0, maxServers), foreign: [...foreign] };
}

/** RFC 2782, "Usage rules": lowest priority first; among equals at random, in proportion to the weights. */
function inOrder(records: readonly SrvRecord[], random: () => number): SrvRecord[] {
  const ordered: SrvRecord[] = [];
  const byPriority = Map.groupBy(records, ({ priority }) => priority);
  for (const priority of [...byPriority.keys()].toSorted((a, b) => a - b)) {
    // Those of weight 0 first, so that they keep a small chance.
    const left = (byPriority.get(priority) ?? []).toSorted((a, b) => a.weight - b.weight);
    while (left.length > 0) {
      const whole = left.reduce((sum, { weight }) => sum + weight, 0);
      const drawn = Math.floor(random() * (whole + 1));
      let sum = 0;
      const at = left.findIndex(({ weight }) => (sum += weight) >= drawn);
      ordered.push(...left.splice(Math.max(0, at), 1));
    }
  }
  return ordered;
}

export interface DiscoveryOptions {
  readonly service: ServiceName;
  readonly trustsAnyTarget: boolean;
  readonly resolver: Resolver;
  /** Time between two questions. The resolver asked keeps answers for their TTL; Node does not tell it. */
  readonly refreshMs: number;
  /** Time to the next question after one without an answer; also the least time between two. */
  readonly retryMs: number;
  /** The records changed, or came for the first time. */
  readonly onServers: (discovered: Discovered) => void;
  /** Called once per change from answers to failures, and with each other kind of failure. */
  readonly onFailure: (reason: string) => void;
}

/** Asks now and again until disposed. What a failed question would have told stays as it was: old servers are better than none. */
export class ServiceDiscovery implements Disposable {
  readonly #options: DiscoveryOptions;
  #known = '';
  #failure: string | undefined;
  #timer: NodeJS.Timeout | undefined;
  #asking: Promise<void> | undefined;
  #askedAt = -Infinity;
  #isDisposed = false;
  /** Settles with the first answer or failure. */
  readonly first: Promise<void>;

  constructor(options: DiscoveryOptions) {
    this.#options = options;
    this.first = this.#ask();
  }

  /** Why the last question went unanswered. */
  get failure(): string | undefined {
    return this.#failure;
  }

  /** None of the known servers is there: DNS may know others by now. */
  hurry(): void {
    if (performance.now() - this.#askedAt >= this.#options.retryMs) void this.#ask();
  }

  [Symbol.dispose](): void {
    this.#isDisposed = true;
    clearTimeout(this.#timer);
  }

  #ask(): Promise<void> {
    this.#asking ??= this.#askNow().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  async #askNow(): Promise<void> {
    const { service, trustsAnyTarget, resolver, refreshMs, retryMs, onServers } = this.#options;
    clearTimeout(this.#timer);
    this.#askedAt = performance.now();
    const answer = await resolveService(resolver, service.record);
    if (this.#isDisposed) return;
    if (typeof answer === 'string') {
      this.#fail(answer);
    } else {
      const discovered = toServers(answer, service, { trustsAnyTarget });
      // Sorted: the same records in another order are no change, and nobody's server is exchanged for it.
      const known = JSON.stringify([
        answer.map(({ name, port, priority, weight }) => [priority, weight, name, port].join(' ')).toSorted(),
      ]);
      if (discovered.urls.length === 0) {
        this.#fail(
          discovered.foreign.length === 0
            ? `${service.record} says that there is no such service`
            : `${service.record} names no server below ${service.domain}`,
        );
      } else {
        this.#failure = undefined;
        if (known !== this.#known) onServers(discovered);
        this.#known = known;
      }
    }
    const wait = this.#failure === undefined ? refreshMs : retryMs;
    this.#timer = setTimeout(() => void this.#ask(), wait).unref();
  }

  #fail(reason: string): void {
    if (reason === this.#failure) return;
    this.#failure = reason;
    this.#options.onFailure(reason);
  }
}

/** The records, or in one sentence why there are none. */
export async function resolveService(
  resolver: Resolver,
  record: string,
): Promise<readonly SrvRecord[] | string> {
  return await new Promise((resolve) => {
    resolver.resolveSrv(record, (error, records) => {
      if (error === null) resolve(records);
      else resolve(`DNS has no answer for ${record} (${error.code ?? 'no code'})`);
    });
  });
}
