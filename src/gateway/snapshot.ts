/** The configuration as requests see it: compiled once, never changed, captured once per request. */
import { Applications } from '../access/applications.ts';
import type { ApplicationOptions } from '../access/options.ts';
import type { Compatibility, ServerOptions } from '../http/options.ts';
import { AddressSet } from '../lib/address-set.ts';
import type { Logger } from '../observability/logger.ts';
import { SlowClients } from '../proxy/slow-clients.ts';
import type { Upstream } from '../proxy/upstream.ts';
import { type PublicOrigin, parsePublicUrl } from './addresses/public-origin.ts';
import { ProtectedApplication, type Signing } from './application.ts';

export interface Snapshot extends AsyncDisposable {
  readonly portalPath: string;
  /** Fields a request head may have. */
  readonly maxFields: number;
  readonly compatibility: readonly Compatibility[];
  readonly publicOrigin: PublicOrigin;
  readonly cookieDomain: string | undefined;
  readonly trustedProxies: AddressSet;
  readonly applications: Applications<ProtectedApplication>;
  /** Whether the gateway answers on this host (lower case, without port). */
  knowsHost(host: string): boolean;
}

export interface SnapshotOptions {
  readonly server: ServerOptions;
  readonly cookieDomain: string | undefined;
  readonly applications: readonly ApplicationOptions[];
  readonly logger: Logger;
  /** Needed where an application has `headers.assertion`. */
  readonly signing?: Signing | undefined;
}

/** The proxy's client is loaded only where an application has an upstream: it costs 27 MB and 80 ms (bench/startup.ts). */
export async function compileSnapshot(options: SnapshotOptions): Promise<Snapshot> {
  const { server } = options;
  const publicOrigin = parsePublicUrl(server.publicUrl);
  const slowClients = new SlowClients({
    bodyRate: server.limits.bodyRate,
    unreadAnswerMs: server.limits.unreadAnswer,
  });
  const applications = new Applications(
    await Promise.all(
      options.applications.map(
        async (application) =>
          new ProtectedApplication(
            application,
            await upstreamOf(application, slowClients, options.logger),
            options.signing,
          ),
      ),
    ),
  );
  return {
    portalPath: server.portalPath,
    maxFields: server.limits.fields,
    compatibility: server.compatibility,
    publicOrigin,
    cookieDomain: options.cookieDomain,
    trustedProxies: new AddressSet(server.trustedProxies),
    applications,
    knowsHost: (host) => host === publicOrigin.host || applications.knowsHost(host),
    [Symbol.asyncDispose]: async () => {
      slowClients[Symbol.dispose]();
      const upstreams = applications.all
        .map(({ upstream }) => upstream)
        .filter((upstream) => upstream !== undefined && upstream !== 'whoami');
      for (const upstream of upstreams) upstream[Symbol.dispose]();
    },
  };
}

async function upstreamOf(
  { name, upstream, proxy }: ApplicationOptions,
  slowClients: SlowClients,
  logger: Logger,
): Promise<Upstream | 'whoami' | undefined> {
  if (upstream === undefined || upstream === 'whoami') return upstream;
  const { Upstream } = await import('../proxy/upstream.ts');
  const addresses = typeof upstream === 'string' ? [upstream] : upstream;
  return new Upstream({ application: name, addresses, proxy, slowClients, logger });
}
