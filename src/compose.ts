/**
 * The composition root of a worker: configuration in, a disposable gateway out. With compose-primary.ts, which the
 * primary process loads alone, the only place where parts are joined.
 */

import { compileRoles } from './access/roles.ts';
import type { Surroundings } from './compose-primary.ts';
import type { Config } from './config/schema.ts';
import type { Directory, DirectoryHealth } from './directory/directory.ts';
import { createDirectory } from './directory/ldap-directory.ts';
import { GatewayError } from './errors.ts';
import { Credentials } from './gateway/credentials.ts';
import type { GatewayDependencies } from './gateway/dependencies.ts';
import { createHandler } from './gateway/handler.ts';
import type { Mailbox, MailboxSurroundings, MailServerHealth } from './gateway/mailbox/mailbox.ts';
import { Negotiation } from './gateway/negotiate/negotiation.ts';
import { guardIdentity } from './gateway/outgoing/identity-guard.ts';
import { Overload } from './gateway/overload.ts';
import { compileSnapshot, type Snapshot } from './gateway/snapshot.ts';
import { WebSockets } from './gateway/web-sockets.ts';
import { type AssertionSigner, publicKeySet } from './headers/asserted.ts';
import { type Listener, maxTicketHeadBytes } from './http/listener.ts';
import type { ListenAddress } from './http/options.ts';
import { listenPublicly } from './http/public-listeners.ts';
import { GroupTable } from './identity/group.ts';
import type { RefreshOutcome } from './identity/outcome.ts';
import type { Principal } from './identity/principal.ts';
import { systemClock } from './lib/clock.ts';
import type { MetricsReport } from './observability/metrics.ts';
import { createAssets } from './portal/assets.ts';
import { createPages } from './portal/pages.ts';
import { createAccountRouting } from './providers/account-routing.ts';
import { createSignInChain } from './providers/chain.ts';
import { PasswordChanges } from './providers/password-changes.ts';
import { createProviders } from './providers/registry.ts';
import { RequestSignIn } from './providers/request-sign-in.ts';
import { createThrottle } from './providers/throttle.ts';
import { SessionCookie } from './session/cookie.ts';
import { SessionLifecycle } from './session/lifecycle.ts';
import type { Channel } from './state/channel.ts';
import { createHubClient } from './state/hub-client.ts';
import { isPublished, type KeyRing } from './state/key-ring.ts';

export interface WorkerOptions extends Surroundings {
  readonly config: Config;
  /** To the hub. */
  readonly channel: Channel;
  /** Hashes of the passwords generated for local accounts without one, by `provider:username`. */
  readonly generatedHashes: ReadonlyMap<string, string>;
  /** Keys of identity assertions. */
  readonly keyRing: KeyRing;
}

export interface WorkerReport {
  readonly metrics: MetricsReport;
  readonly directories: readonly DirectoryHealth[];
  readonly mailServers: readonly MailServerHealth[];
}

export interface GatewayWorker extends AsyncDisposable {
  /** Where it listens, with the real port. */
  readonly address: ListenAddress;
  report(): Promise<WorkerReport>;
  /** The first key of the ring signs from now on; assertions signed with another one are made anew. */
  useKeys(ring: KeyRing): void;
  /** Ends when every request in flight is answered or `timeoutMs` is over; `idleMs`: how long silent connections stay. */
  drain(timeoutMs: number, idleMs: number): Promise<void>;
}

export async function composeWorker(options: WorkerOptions): Promise<GatewayWorker> {
  const { config, logger, metrics, clock = systemClock } = options;
  const resources = new AsyncDisposableStack();
  try {
    const groups = new GroupTable();
    const client = resources.use(createHubClient({ channel: options.channel, clock }));
    let ring = options.keyRing;
    const signer = await signerFor(config, ring);
    const snapshot = resources.use(
      await compileSnapshot({
        server: config.server,
        cookieDomain: config.session.cookie.domain,
        applications: config.applications,
        logger,
        signing: signer === undefined ? undefined : { signer, logger },
      }),
    );
    const directories = new Map<string, Directory>();
    for (const directory of config.directories) {
      directories.set(
        directory.name,
        resources.use(createDirectory(directory, { logger, metrics, clock, groupTable: groups })),
      );
    }
    const providers = createProviders(config.providers, {
      directories,
      groupTable: groups,
      generatedHashes: options.generatedHashes,
      stateDirectory: config.state.directory,
      logger,
      metrics,
      clock,
      tickets: client.tickets,
    });
    for (const provider of providers) resources.use(provider);
    const throttle = createThrottle({ counters: client.counters, metrics });
    const routing = createAccountRouting(config.providers);
    const chain = createSignInChain({
      providers,
      routing,
      throttle,
      clock,
      logger,
      metrics,
    });
    const mapping = compileRoles(config.roles, groups);
    /** What every way in, and every refresh, does with what a provider says. */
    const grantRoles = (principal: Principal): Principal => mapping(guardIdentity(principal, logger));
    const sessions = resources.use(
      new SessionLifecycle({
        store: client.sessions,
        groups,
        clock,
        logger,
        metrics,
        idleTimeoutMs: config.session.idleTimeout,
        absoluteTimeoutMs: config.session.absoluteTimeout,
        refreshIntervalMs: config.session.refreshInterval,
        unconfirmedForMs: ({ provider }) => staleForMs(config, provider),
        refresher: async (principal: Principal, signal: AbortSignal): Promise<RefreshOutcome> => {
          const outcome = await chain.refresh(principal, signal);
          return outcome.kind === 'current' ? refreshed(outcome, grantRoles) : outcome;
        },
      }),
    );
    const mailboxes = await openMailboxes(config, { clock, logger, metrics }, resources);
    const isSecure = snapshot.publicOrigin.scheme === 'https';
    const assets = createAssets(snapshot.portalPath);
    const pages = createPages({
      portalPath: snapshot.portalPath,
      assets,
      formTargets: [...formTargets(snapshot), ...mailOrigins(config)],
      signInOrigin: snapshot.publicOrigin.url,
    });
    const sessionCookie = new SessionCookie(config.session.cookie, isSecure);
    const requestSignIn = new RequestSignIn({ chain, grantRoles, trials: client.trials, clock });
    const passwordProviders = providers
      .filter(({ type }) => type !== 'kerberos')
      .map(({ name, title }) => ({ name, title }));
    const ticketProviders = config.providers.filter((provider) => provider.type === 'kerberos');
    const negotiation =
      ticketProviders.length === 0
        ? undefined
        : new Negotiation({
            providers: ticketProviders,
            hasPasswordProvider: passwordProviders.length > 0,
            chain,
            grantRoles,
            sessions,
            sessionCookie,
            cookieScope: { domain: snapshot.cookieDomain, isSecure },
            clock,
          });
    const dependencies: GatewayDependencies = {
      snapshot,
      sessions,
      sessionCookie,
      credentials: new Credentials({ sessions, sessionCookie, requestSignIn, negotiation }),
      chain,
      passwordChanges: new PasswordChanges({ providers, throttle, routing, logger, metrics }),
      grantRoles,
      negotiation,
      providerTitles: new Map(providers.map(({ name, title }) => [name, title])),
      passwordProviders,
      mailboxes,
      webSockets: resources.use(new WebSockets({ sessions, sessionCookie, clock, logger, metrics })),
      forms: client.forms,
      publicKeys: () => publicKeySet(ring.keys.filter((key) => isPublished(key, clock.now()))),
      overload: resources.use(
        new Overload({
          delayMs: config.server.limits.eventLoopDelay,
          portalPath: snapshot.portalPath,
          sessionCookie,
          pages,
          logger,
          metrics,
        }),
      ),
      pages,
      assets,
      clock,
      logger,
      metrics,
    };
    const { listener, redirect } = await listenPublicly(
      {
        server: config.server,
        handler: createHandler(dependencies),
        headBytes: negotiation === undefined ? undefined : maxTicketHeadBytes,
        onRefused: (status) => {
          metrics.httpRequests.cell({ listener: 'public', surface: 'proxy', code: String(status) }).count++;
        },
        isTrusted: (address) => snapshot.trustedProxies.has(address),
        knowsHost: (host) => snapshot.knowsHost(host),
        logger,
      },
      resources,
    );
    const listeners: [Listener, ...Listener[]] = [listener];
    if (redirect !== undefined) listeners.push(redirect);
    if (config.server.grpc !== undefined) {
      const { listenExternalAuthorization } = await import('./gateway/external-authorization.ts');
      const grpcListener = await listenExternalAuthorization(config.server.grpc.listen, dependencies);
      listeners.push(resources.adopt(grpcListener, async (adopted) => await adopted.drain(0)));
    }
    return gatewayWorker(listeners, resources, {
      report: async () => {
        sessions.reportMetrics();
        return {
          metrics: await metrics.report(),
          directories: [...directories.values()].map((directory) => directory.health()),
          mailServers: mailboxes.map((mailbox) => mailbox.health()),
        };
      },
      useKeys: (changed) => {
        ring = changed;
        signer?.useKeys(changed.keys);
      },
    });
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}

/** A person whose identifiers can no longer be told to an application is signed out, not left with the old ones. */
function refreshed(
  outcome: Extract<RefreshOutcome, { kind: 'current' }>,
  grantRoles: (principal: Principal) => Principal,
): RefreshOutcome {
  try {
    return { ...outcome, principal: grantRoles(outcome.principal) };
  } catch (error) {
    if (!(error instanceof GatewayError) || error.code !== 'ACCESS_DENIED') throw error;
    return { kind: 'ended', reason: 'sign-in-not-permitted' };
  }
}

/** The first listener is the public one. */
function gatewayWorker(
  listeners: readonly [Listener, ...Listener[]],
  resources: AsyncDisposableStack,
  { report, useKeys }: Pick<GatewayWorker, 'report' | 'useKeys'>,
): GatewayWorker {
  return {
    address: listeners[0].address,
    report,
    useKeys,
    drain: async (timeoutMs, idleMs) => {
      await Promise.all(listeners.map(async (listener) => await listener.drain(timeoutMs, idleMs)));
    },
    [Symbol.asyncDispose]: async () => await resources.disposeAsync(),
  };
}

/** The signer is loaded only where an application wants assertions. */
async function signerFor(config: Config, { keys }: KeyRing): Promise<AssertionSigner | undefined> {
  if (!config.applications.some(({ headers }) => headers.assertion)) return undefined;
  const { createAssertionSigner } = await import('./headers/assertion.ts');
  return createAssertionSigner(config.server.publicUrl, keys);
}

/** The client of mail servers is loaded only where there is one. */
async function openMailboxes(
  { zimbra }: Config,
  surroundings: MailboxSurroundings,
  resources: AsyncDisposableStack,
): Promise<readonly Mailbox[]> {
  if (zimbra.length === 0) return [];
  const { Mailbox } = await import('./gateway/mailbox/mailbox.ts');
  return zimbra.map((options) => resources.use(new Mailbox(options, surroundings)));
}

/** Whoever signs in on the way to a mailbox is led there by the form's answer. */
function mailOrigins({ zimbra }: Config): readonly string[] {
  return zimbra.flatMap(({ url, adminUrl }) => (adminUrl === undefined ? [url] : [url, adminUrl]));
}

/** How long a person is served whose provider cannot confirm them: as long as its directory's last answer serves. */
function staleForMs(config: Config, providerName: string): number {
  const provider = config.providers.find(({ name }) => name === providerName);
  if (provider === undefined || provider.type === 'local') return Number.POSITIVE_INFINITY;
  const directory = config.directories.find(({ name }) => name === provider.directory);
  return directory?.cache.staleFor ?? Number.POSITIVE_INFINITY;
}

/**
 * Foreign origins that the sign-in form may lead to: with a cookie domain every host below it. Without one people
 * sign in on the application's own host, and the policy's 'self' is enough.
 */
function formTargets({ publicOrigin, cookieDomain }: Snapshot): readonly string[] {
  if (cookieDomain === undefined) return [];
  return [`${publicOrigin.scheme}://${cookieDomain}`, `${publicOrigin.scheme}://*.${cookieDomain}`];
}
