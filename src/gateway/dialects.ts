/** Per-proxy conventions of forward-auth as rows of one table: where the original request stands, how "sign in first" is said. */
import type { IncomingMessage } from 'node:http';
import type { RequestHead } from '../http/request-head.ts';
import { type OriginalRequest, originalRequest, splitUrl } from './original-request.ts';

export type DialectName = 'nginx' | 'traefik' | 'caddy' | 'haproxy' | 'envoy';

export interface Dialect {
  readonly name: DialectName;
  /** `undefined`: metadata missing, doubled, contradictory or malformed. `prefix` is the endpoint's own path. */
  read(head: RequestHead, request: IncomingMessage, prefix: string): OriginalRequest | undefined;
  /** `true`: a browser navigation is redirected by the answer itself. nginx turns a 302 of the subrequest into a 500. */
  readonly redirects: boolean;
  /** `Vary` of verdicts that a cache of this proxy may keep; `undefined`: it has none. */
  readonly vary: string | undefined;
}

function readNginx(head: RequestHead): OriginalRequest | undefined {
  const { originalUrl, originalUri } = head;
  if (
    head.duplicates !== undefined &&
    (head.isDuplicate('originalUrl') || head.isDuplicate('originalUri') || head.isDuplicate('originalMethod'))
  ) {
    return undefined;
  }
  if (originalUrl === undefined) {
    if (isForwardedDoubled(head)) return undefined;
    return originalRequest(head.originalMethod, head.forwardedProto, head.forwardedHost, originalUri);
  }
  const url = splitUrl(originalUrl);
  if (url === undefined) return undefined;
  if (originalUri !== undefined && originalUri !== url.target) return undefined;
  return originalRequest(head.originalMethod, url.scheme, url.authority, url.target);
}

function readForwarded(head: RequestHead): OriginalRequest | undefined {
  if (isForwardedDoubled(head) || head.isDuplicate('forwardedMethod') || head.isDuplicate('forwardedUri'))
    return undefined;
  // Another proxy's spelling of the same fact must not contradict it.
  if (head.originalUri !== undefined && head.originalUri !== head.forwardedUri) return undefined;
  return originalRequest(head.forwardedMethod, head.forwardedProto, head.forwardedHost, head.forwardedUri);
}

function readEnvoy(head: RequestHead, request: IncomingMessage, prefix: string): OriginalRequest | undefined {
  if (head.isDuplicate('forwardedProto')) return undefined;
  const target = (request.url as string).slice(prefix.length);
  return originalRequest(request.method, head.forwardedProto, head.host, target === '' ? '/' : target);
}

function isForwardedDoubled(head: RequestHead): boolean {
  return (
    head.duplicates !== undefined && (head.isDuplicate('forwardedProto') || head.isDuplicate('forwardedHost'))
  );
}

/** nginx keeps no answer whose Vary is longer than 128 bytes. */
const nginxVary =
  'Cookie,Authorization,X-Original-URL,X-Original-URI,X-Original-Method,X-Forwarded-Host,X-Forwarded-For,Forwarded';

export const dialects: Record<DialectName, Dialect> = {
  nginx: { name: 'nginx', read: readNginx, redirects: false, vary: nginxVary },
  traefik: { name: 'traefik', read: readForwarded, redirects: true, vary: undefined },
  caddy: { name: 'caddy', read: readForwarded, redirects: true, vary: undefined },
  haproxy: { name: 'haproxy', read: readForwarded, redirects: true, vary: undefined },
  envoy: { name: 'envoy', read: readEnvoy, redirects: true, vary: undefined },
};

/** The dialect an endpoint path (`nginx`, `envoy/wiki/page`) names. */
export function dialectOf(endpoint: string): Dialect | undefined {
  const name = endpoint.split(/[/?]/, 1)[0] ?? '';
  if (!Object.hasOwn(dialects, name)) return undefined;
  const dialect = dialects[name as DialectName];
  // Caddy and Traefik may append the query of the original request to the endpoint; its own place is the metadata.
  return dialect.name === 'envoy' || endpoint === name || endpoint[name.length] === '?' ? dialect : undefined;
}
