/** Per-proxy conventions of forward-auth as rows of one table: where the original request stands, how "sign in first" is said. */
import type { IncomingMessage } from 'node:http';
import type { HeadersOptions } from '../headers/options.ts';
import type { RequestHead } from '../http/request-head.ts';
import { type OriginalRequest, originalRequest, splitUrl } from './addresses/original-request.ts';

type NativeDialect = 'nginx' | 'traefik' | 'caddy' | 'haproxy' | 'envoy';

/** What reading an original request may need to know of this gateway. */
export interface Site {
  /** Scheme of `publicUrl`, for proxies that do not say. */
  readonly publicScheme: 'http' | 'https';
  /** Whether an application is served on a host (lower case, without port). */
  isApplicationHost(host: string): boolean;
}

export interface Dialect {
  /** What metrics and logs call it. */
  readonly name: string;
  /** Below the portal's `auth/`; a drop-in path is absolute. */
  readonly endpoint: string;
  /** Whether the original path follows the endpoint. */
  readonly hasOriginalPath?: true;
  /** `undefined`: metadata missing, contradictory or malformed. `prefix` is the endpoint's own path. */
  read(head: RequestHead, request: IncomingMessage, prefix: string, site: Site): OriginalRequest | undefined;
  /** `true`: a browser navigation is redirected by the answer itself. nginx turns a 302 of the subrequest into a 500. */
  readonly redirects: boolean;
  /** Envoy and others let pass exactly 200. */
  readonly allowedStatus: 200 | 202;
  /** Names of the identity headers; `undefined`: as the application declares them. */
  readonly preset: HeadersOptions['preset'] | undefined;
  /** `Vary` of verdicts that a cache of this proxy may keep; `undefined`: it has none. */
  readonly vary: string | undefined;
}

export function readNginx(head: RequestHead): OriginalRequest | undefined {
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

export function readForwarded(head: RequestHead): OriginalRequest | undefined {
  if (isForwardedDoubled(head) || head.isDuplicate('forwardedMethod') || head.isDuplicate('forwardedUri'))
    return undefined;
  // Another proxy's spelling of the same fact must not contradict it.
  if (head.originalUri !== undefined && head.originalUri !== head.forwardedUri) return undefined;
  return originalRequest(head.forwardedMethod, head.forwardedProto, head.forwardedHost, head.forwardedUri);
}

export function readEnvoy(
  head: RequestHead,
  request: IncomingMessage,
  prefix: string,
): OriginalRequest | undefined {
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
export const nginxVary =
  'Cookie,Authorization,X-Original-URL,X-Original-URI,X-Original-Method,X-Forwarded-Host,X-Forwarded-For,Forwarded';

/** Proxies that hand the gateway's answer on to the browser, and keep none. */
const handsOn = { redirects: true, allowedStatus: 200, preset: undefined, vary: undefined } as const;

export const nativeDialects: Record<NativeDialect, Dialect> = {
  nginx: {
    name: 'nginx',
    endpoint: 'nginx',
    read: readNginx,
    redirects: false,
    allowedStatus: 200,
    preset: undefined,
    vary: nginxVary,
  },
  traefik: { name: 'traefik', endpoint: 'traefik', read: readForwarded, ...handsOn },
  caddy: { name: 'caddy', endpoint: 'caddy', read: readForwarded, ...handsOn },
  haproxy: { name: 'haproxy', endpoint: 'haproxy', read: readForwarded, ...handsOn },
  envoy: { name: 'envoy', endpoint: 'envoy', hasOriginalPath: true, read: readEnvoy, ...handsOn },
};
