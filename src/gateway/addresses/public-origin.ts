/** Where people reach the gateway and its applications: scheme, host and port of `publicUrl`. */
import type { ProtectedApplication } from '../application.ts';

export interface PublicOrigin {
  readonly scheme: 'http' | 'https';
  /** Lower case, without port. */
  readonly host: string;
  /** With its colon, or `''` for the scheme's default port. */
  readonly port: string;
  /** `scheme://host[:port]`. */
  readonly url: string;
}

/** `publicUrl` as the configuration schema accepts it. */
export function parsePublicUrl(publicUrl: string): PublicOrigin {
  const { protocol, hostname, port, origin } = new URL(publicUrl);
  return {
    scheme: protocol === 'https:' ? 'https' : 'http',
    host: hostname,
    port: port === '' ? '' : `:${port}`,
    url: origin,
  };
}

/** Whether a cookie with this Domain is sent to `host` (RFC 6265 section 5.1.3). */
export function isCovered(host: string, cookieDomain: string | undefined): boolean {
  return cookieDomain !== undefined && (host === cookieDomain || host.endsWith(`.${cookieDomain}`));
}

/** Address of an application for a tile; `undefined` when it has only wildcard hosts. */
export function applicationUrl(application: ProtectedApplication, origin: PublicOrigin): string | undefined {
  const { hosts, pathPrefix } = application.options;
  const host = hosts.find((name) => !name.startsWith('*.'));
  return host === undefined ? undefined : `${origin.scheme}://${host}${origin.port}${pathPrefix}`;
}
