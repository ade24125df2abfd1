/** The drop-in paths of oauth2-proxy and Authelia, for front proxies configured for them: rows of the dialect table. */
import type { IncomingMessage } from 'node:http';
import { compileGroups } from '../../access/conditions.ts';
import { parseAuthority } from '../../http/host.ts';
import type { Compatibility } from '../../http/options.ts';
import type { RequestHead } from '../../http/request-head.ts';
import type { Principal } from '../../identity/principal.ts';
import { type OriginalRequest, originalRequest, splitUrl } from '../addresses/original-request.ts';
import { type Dialect, nginxVary, readEnvoy, readForwarded, readNginx, type Site } from '../dialects.ts';

/** Rows by what `server.compatibility` names. */
export const compatibilityDialects: Record<Compatibility, readonly Dialect[]> = {
  'oauth2-proxy': [
    {
      name: 'oauth2-proxy',
      endpoint: '/oauth2/auth',
      read: (head, { url }, _prefix, site) => restricted(readOauth2(head, site), url as string),
      redirects: false,
      // What its users' configurations wait for, and the names they copy.
      allowedStatus: 202,
      preset: 'authRequest',
      // The query restricts who may, and no cache key of a migrated configuration is known.
      vary: undefined,
    },
  ],
  authelia: [
    {
      name: 'authelia-auth-request',
      endpoint: '/api/authz/auth-request',
      read: readNginx,
      redirects: false,
      allowedStatus: 200,
      preset: 'remote',
      vary: nginxVary,
    },
    {
      name: 'authelia-forward-auth',
      endpoint: '/api/authz/forward-auth',
      read: readForwarded,
      redirects: true,
      allowedStatus: 200,
      preset: 'remote',
      vary: undefined,
    },
    {
      name: 'authelia-ext-authz',
      endpoint: '/api/authz/ext-authz',
      hasOriginalPath: true,
      read: readEnvoyBelowSlash,
      redirects: true,
      allowedStatus: 200,
      preset: 'remote',
      vary: undefined,
    },
  ],
};

/**
 * `X-Original-URL`, else `X-Forwarded-*`, when the subrequest itself is for the gateway's own host. Its documented
 * nginx configuration keeps the application's host and sends the path alone: then whatever else describes the request
 * comes from the client. So that host counts, nothing may contradict it, and every method has to be allowed.
 */
function readOauth2(head: RequestHead, site: Site): OriginalRequest | undefined {
  const { originalUrl, originalUri, forwardedUri, originalMethod, forwardedMethod, forwardedHost } = head;
  if (originalMethod !== undefined && forwardedMethod !== undefined && originalMethod !== forwardedMethod)
    return undefined;
  if (originalUri !== undefined && forwardedUri !== undefined && originalUri !== forwardedUri)
    return undefined;
  const uri = originalUri ?? forwardedUri;
  const url = originalUrl === undefined ? undefined : splitUrl(originalUrl);
  if (originalUrl !== undefined && (url === undefined || (uri !== undefined && uri !== url.target)))
    return undefined;
  const ownHost = hostOf(head.host);
  const isKept = ownHost !== undefined && site.isApplicationHost(ownHost);
  const authorities = [url?.authority, forwardedHost].filter((authority) => authority !== undefined);
  if (isKept && authorities.some((authority) => hostOf(authority) !== ownHost)) return undefined;
  const method = isKept ? undefined : (originalMethod ?? forwardedMethod);
  const original = originalRequest(
    method ?? 'GET',
    url?.scheme ?? head.forwardedProto ?? site.publicScheme,
    authorities[0] ?? head.host,
    url?.target ?? uri,
  );
  return original === undefined || method !== undefined ? original : { ...original, isMethodUnknown: true };
}

function hostOf(authority: string | undefined): string | undefined {
  return parseAuthority(authority ?? '')?.host;
}

/** `allowed_groups` asks for one of its groups, on top of the rules. A restriction we do not know lets nobody in. */
function restricted(original: OriginalRequest | undefined, url: string): OriginalRequest | undefined {
  const at = url.indexOf('?');
  if (original === undefined || at < 0) return original;
  const query = new URLSearchParams(url.slice(at));
  const restrictions = [...query.keys()].filter((name) => name.startsWith('allowed_'));
  if (restrictions.length === 0) return original;
  if (restrictions.some((name) => name !== 'allowed_groups')) return undefined;
  const groups = query.getAll('allowed_groups').flatMap((value) => value.split(','));
  const isMember = compileGroups(groups.filter((group) => group !== ''));
  return { ...original, restriction: (principal: Principal) => isMember(principal) };
}

/**
 * The documented Envoy configuration ends its prefix with a slash and appends the path: the second slash of
 * `/api/authz/ext-authz//wiki` is the first of the original path.
 */
function readEnvoyBelowSlash(
  head: RequestHead,
  request: IncomingMessage,
  prefix: string,
): OriginalRequest | undefined {
  const isDoubled = (request.url as string).startsWith('//', prefix.length);
  return readEnvoy(head, request, isDoubled ? `${prefix}/` : prefix);
}
