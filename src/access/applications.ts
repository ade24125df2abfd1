/** Which application a host and path belong to: exact hosts before wildcards, the longest path prefix first. */
import type { ApplicationOptions } from './options.ts';

/** Anything that is routed by host and path prefix. */
export interface Routed {
  readonly options: Pick<ApplicationOptions, 'hosts' | 'pathPrefix' | 'caseInsensitivePaths'>;
}

export class Applications<Application extends Routed> {
  readonly all: readonly Application[];
  readonly #exact = new Map<string, Application[]>();
  /** Suffix with its leading dot (`.example.com`), the longest first. */
  readonly #wildcards: (readonly [suffix: string, Application[]])[];

  constructor(applications: readonly Application[]) {
    this.all = applications;
    const wildcards = new Map<string, Application[]>();
    for (const application of applications) {
      for (const host of application.options.hosts) {
        const [table, key] = host.startsWith('*.') ? [wildcards, host.slice(1)] : [this.#exact, host];
        const routed = table.get(key) ?? [];
        routed.push(application);
        table.set(key, routed);
      }
    }
    for (const routed of [...this.#exact.values(), ...wildcards.values()]) {
      routed.sort((a, b) => b.options.pathPrefix.length - a.options.pathPrefix.length);
    }
    this.#wildcards = [...wildcards].sort(([a], [b]) => b.length - a.length);
  }

  /** Whether any application is served on this host (lower case, without port). */
  knowsHost(host: string): boolean {
    return this.#routed(host) !== undefined;
  }

  /** Hot path: `bench/forward-auth.ts`. `canonical` is the canonical path of http/target.ts. */
  find(host: string, canonical: string): Application | undefined {
    const routed = this.#routed(host);
    if (routed === undefined) return undefined;
    for (let i = 0; i < routed.length; i++) {
      const application = routed[i] as Application;
      const { pathPrefix, caseInsensitivePaths } = application.options;
      if (
        isBelow(
          caseInsensitivePaths ? canonical.toLowerCase() : canonical,
          caseInsensitivePaths ? pathPrefix.toLowerCase() : pathPrefix,
        )
      )
        return application;
    }
    return undefined;
  }

  #routed(host: string): Application[] | undefined {
    const exact = this.#exact.get(host);
    if (exact !== undefined) return exact;
    for (const [suffix, routed] of this.#wildcards) {
      // `*.example.com` stands for one or more labels, never for example.com itself.
      if (host.length > suffix.length && host.endsWith(suffix)) return routed;
    }
    return undefined;
  }
}

/** Whether `path` is `prefix` or lies below it, at a segment boundary. */
export function isBelow(path: string, prefix: string): boolean {
  if (prefix === '/') return true;
  if (!path.startsWith(prefix)) return false;
  return prefix.endsWith('/') || path.length === prefix.length || path.charCodeAt(prefix.length) === 0x2f;
}
