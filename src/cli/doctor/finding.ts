/** What a probe finds out, and what it may ask to find it out. */
import type { ProbeClient } from './probe-client.ts';

export type ProbeName =
  | 'sign-in-page'
  | 'cookie-relay'
  | 'script'
  | 'navigation'
  | 'original-address'
  | 'endpoint'
  | 'locations'
  | 'identity'
  | 'twins'
  | 'forged-identity'
  | 'forwarded-for'
  | 'forged-address'
  | 'ticket'
  | 'body'
  | 'direct';

export type Finding =
  /** `note`: as far as it could be seen. */
  | { readonly outcome: 'ok'; readonly note?: string }
  /** `details`: what was seen, a sentence each; `headers`: names the mending is about. */
  | { readonly outcome: 'failed'; readonly details: readonly string[]; readonly headers?: readonly string[] }
  | { readonly outcome: 'not-tried'; readonly why: string };

export interface Probe {
  readonly name: ProbeName;
  /** What is true when all is well. */
  readonly title: string;
  run(site: ProbedSite): Promise<Finding>;
}

/** The site as it should be: told by the configuration, or assumed where there is none. */
export interface ProbedSite {
  readonly client: ProbeClient;
  /** A page that needs a sign-in. */
  readonly page: string;
  /** Further ones, in places where a front proxy is often given a location of its own. */
  readonly morePages: readonly string[];
  /** A page that needs none. */
  readonly publicPage: string | undefined;
  readonly portalPath: string;
  /** Headers that only the gateway may send to the application. */
  readonly identityHeaders: readonly string[];
  /** Prefix of every cookie of the gateway. */
  readonly cookieName: string;
  readonly person: SignedInPerson | undefined;
  /** Why nobody is signed in. */
  readonly whyNobody: string;
  /** The application's own address. */
  readonly direct: ProbeClient | undefined;
}

export interface SignedInPerson {
  readonly username: string;
  readonly cookie: string;
}

export const ok: Finding = { outcome: 'ok' };

export function notTried(why: string): Finding {
  return { outcome: 'not-tried', why };
}

/** `ok` when there is nothing to say. */
export function failedIf(details: readonly string[], headers: readonly string[] = []): Finding {
  return details.length === 0 ? ok : { outcome: 'failed', details, headers };
}
