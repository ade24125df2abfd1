/** Addresses of another gateway's pages, which people and applications still link to: each leads to the portal's own. */
import type { Exchange } from '../../http/exchange.ts';
import type { Compatibility } from '../../http/options.ts';
import type { Target } from '../../http/target.ts';
import type { RequestOrigin } from '../addresses/request-origin.ts';
import { allowedReturnTarget } from '../addresses/return-to.ts';
import { signInLocation } from '../addresses/sign-in-location.ts';
import type { Snapshot } from '../snapshot.ts';

/** Addresses that people still link to, and the page of the portal each leads to. */
const pagesByGateway: Record<Compatibility, Readonly<Record<string, 'login' | 'logout'>>> = {
  'oauth2-proxy': { '/oauth2/start': 'login', '/oauth2/sign_in': 'login', '/oauth2/sign_out': 'logout' },
  authelia: {},
};

/** oauth2-proxy's name for the page that was asked for, as its nginx configuration sends it. */
const returnField = 'x-auth-request-redirect';

export class MovedPages {
  readonly #pages: ReadonlyMap<string, 'login' | 'logout'>;
  readonly #snapshot: Snapshot;

  constructor(snapshot: Snapshot, compatibility: readonly Compatibility[]) {
    this.#snapshot = snapshot;
    this.#pages = new Map(compatibility.flatMap((name) => Object.entries(pagesByGateway[name])));
  }

  /** Where the request is led to; `undefined`: it is for nobody's old page. */
  locationOf(exchange: Exchange, origin: RequestOrigin, target: Target): string | undefined {
    if (this.#pages.size === 0) return undefined;
    const page = this.#pages.get(target.canonical);
    if (page === undefined) return undefined;
    const { portalPath } = this.#snapshot;
    // Signing out changes something: the portal asks first.
    if (page === 'logout') return `${portalPath}/logout`;
    const own = `${origin.scheme}://${origin.authority}`;
    const returnTo =
      allowedReturnTarget(askedReturn(exchange, target), this.#snapshot, origin.authority) ?? '/';
    // The sign-in page may be on another host, where a path would mean another page.
    return signInLocation(origin, returnTo.startsWith('/') ? own + returnTo : returnTo, this.#snapshot);
  }
}

function askedReturn({ request, isPeerTrusted }: Exchange, target: Target): string | undefined {
  const targets = new URLSearchParams(target.query).getAll('rd');
  if (targets.length > 0) return targets.length === 1 ? targets[0] : undefined;
  const field = isPeerTrusted ? request.headersDistinct[returnField] : undefined;
  return field?.length === 1 ? field[0] : undefined;
}
