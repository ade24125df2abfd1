/** Which addresses are questions of front proxies: the dialect behind a request target, in one look-up. */
import type { Compatibility } from '../http/options.ts';
import { compatibilityDialects } from './compatibility/dialects.ts';
import { type Dialect, nativeDialects } from './dialects.ts';

export interface Endpoint {
  readonly dialect: Dialect;
  /** Its own path, in front of the original one where the dialect has it there. */
  readonly prefix: string;
}

export type FindEndpoint = (url: string) => Endpoint | undefined;

/** Hot path: `bench/forward-auth.ts`. The function takes a request target as it came. */
export function compileEndpoints(portalPath: string, compatibility: readonly Compatibility[]): FindEndpoint {
  const endpoints: readonly Endpoint[] = [
    ...Object.values(nativeDialects).map((dialect) => ({
      dialect,
      prefix: `${portalPath}/auth/${dialect.endpoint}`,
    })),
    ...compatibility.flatMap((name) =>
      compatibilityDialects[name].map((dialect) => ({ dialect, prefix: dialect.endpoint })),
    ),
  ];
  const exact = new Map(endpoints.map((endpoint) => [endpoint.prefix, endpoint]));
  const folders = [...new Set(endpoints.map(({ prefix }) => prefix.slice(0, prefix.lastIndexOf('/') + 1)))];
  return (url) => {
    const found = exact.get(url);
    if (found !== undefined) return found;
    if (!folders.some((folder) => url.startsWith(folder))) return undefined;
    return endpoints.find(({ dialect, prefix }) => leadsTo(url, prefix, dialect.hasOriginalPath === true));
  };
}

/** Caddy and Traefik may append the query of the original request to the endpoint; its own place is the metadata. */
function leadsTo(url: string, prefix: string, hasOriginalPath: boolean): boolean {
  if (!url.startsWith(prefix)) return false;
  const next = url[prefix.length];
  return next === '?' || (next === '/' && hasOriginalPath);
}
