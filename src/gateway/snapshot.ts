/** The configuration as requests see it: compiled once, never changed, captured once per request. */
import { Applications } from '../access/applications.ts';
import type { ApplicationOptions } from '../access/options.ts';
import type { ServerOptions } from '../http/options.ts';
import { AddressSet } from '../lib/address-set.ts';
import { Upstream } from '../proxy/upstream.ts';
import { ProtectedApplication } from './application.ts';
import { type PublicOrigin, parsePublicUrl } from './public-origin.ts';

export interface Snapshot extends AsyncDisposable {
  readonly portalPath: string;
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
}

export function compileSnapshot(options: SnapshotOptions): Snapshot {
  const { server } = options;
  const publicOrigin = parsePublicUrl(server.publicUrl);
  const applications = new Applications(
    options.applications.map((application) => new ProtectedApplication(application, upstreamOf(application))),
  );
  return {
    portalPath: server.portalPath,
    publicOrigin,
    cookieDomain: options.cookieDomain,
    trustedProxies: new AddressSet(server.trustedProxies),
    applications,
    knowsHost: (host) => host === publicOrigin.host || applications.knowsHost(host),
    [Symbol.asyncDispose]: async () => {
      const upstreams = applications.all
        .map(({ upstream }) => upstream)
        .filter((upstream) => upstream instanceof Upstream);
      await Promise.all(upstreams.map(async (upstream) => await upstream[Symbol.asyncDispose]()));
    },
  };
}

function upstreamOf(application: ApplicationOptions): Upstream | 'whoami' | undefined {
  const { name, upstream } = application;
  return upstream === undefined || upstream === 'whoami' ? upstream : new Upstream(name, upstream);
}
