/**
 * Who is asked for a ticket. Machines outside the domain answer `WWW-Authenticate: Negotiate` with a dialog or with
 * NTLM, and a script cannot show a form: everybody who is not asked gets the sign-in page at once.
 */
import type { Exchange } from '../../http/exchange.ts';
import { isNavigation } from '../../http/navigation.ts';
import type { RequestHead } from '../../http/request-head.ts';
import { AddressSet } from '../../lib/address-set.ts';
import type { ChallengeOptions } from '../../providers/challenge-options.ts';
import type { NoSsoCookie } from './no-sso-cookie.ts';

/** Facts about a request, or about the one a front proxy asks about. */
export interface Challengeable extends Pick<Exchange, 'head' | 'clientAddress'> {
  readonly method: string;
  /** Lower case, without port. */
  readonly host: string;
}

export class ChallengePolicy {
  readonly #conditions: readonly Condition[];
  readonly #cookie: NoSsoCookie;

  /** `options`: of each Kerberos provider; a client is asked when one of them wants it to be. */
  constructor(options: readonly ChallengeOptions[], cookie: NoSsoCookie) {
    this.#conditions = options.map(compile);
    this.#cookie = cookie;
  }

  /** Whether heads must be read with their User-Agent. */
  get readsUserAgent(): boolean {
    return this.#conditions.some(({ readsUserAgent }) => readsUserAgent);
  }

  /** Whether the operator wants this client to be asked on this host. */
  admits(request: Pick<Challengeable, 'head' | 'clientAddress' | 'host'>): boolean {
    return this.#conditions.some(({ holds }) => holds(request));
  }

  /** A person's page is asked for, and nothing says that they would rather have the form. */
  mayAskPerson(request: Challengeable): boolean {
    return isNavigation(request.head) && this.mayAsk(request);
  }

  /** As `mayAskPerson`, and programs that are no browser: they have no form to fall back to, and no dialog. */
  mayAsk(request: Challengeable): boolean {
    const { head, method } = request;
    return (
      // Whatever has a body would send it twice, and a preflight request (Fetch, "CORS-preflight") never has a ticket.
      (method === 'GET' || method === 'HEAD') &&
      !isBrowserScript(head) &&
      !this.#cookie.isPresent(head.cookie) &&
      this.admits(request)
    );
  }

  /** Where the application itself says that its clients are programs: with any method but that of a preflight. */
  mayAskProgram(request: Challengeable): boolean {
    const { head, method } = request;
    if (isNavigation(head)) return this.mayAskPerson(request);
    return method !== 'OPTIONS' && !isBrowserScript(head) && this.admits(request);
  }
}

/**
 * What a page loads by itself. Browsers leave the Sec-Fetch fields out on plain http, but never Accept-Language, which
 * command-line programs do not send.
 */
export function isBrowserScript(head: RequestHead): boolean {
  if (isNavigation(head)) return false;
  return (
    head.secFetchMode !== undefined || head.requestedWith !== undefined || head.acceptLanguage !== undefined
  );
}

interface Condition {
  readonly readsUserAgent: boolean;
  readonly holds: (request: Pick<Challengeable, 'head' | 'clientAddress' | 'host'>) => boolean;
}

function compile({ clients, hosts, userAgents, exceptUserAgents }: ChallengeOptions): Condition {
  const addresses = clients === undefined ? undefined : new AddressSet(clients);
  const isOnHost =
    hosts === undefined ? () => true : (host: string) => hosts.some((each) => covers(each, host));
  return {
    readsUserAgent: userAgents !== undefined || exceptUserAgents.length > 0,
    holds: ({ head, clientAddress, host }) => {
      const { userAgent = '' } = head;
      return (
        (addresses === undefined || addresses.has(clientAddress)) &&
        isOnHost(host) &&
        (userAgents === undefined || userAgents.some((part) => userAgent.includes(part))) &&
        !exceptUserAgents.some((part) => userAgent.includes(part))
      );
    },
  };
}

function covers(pattern: string, host: string): boolean {
  return pattern.startsWith('*.') ? host.endsWith(pattern.slice(1)) : host === pattern;
}
