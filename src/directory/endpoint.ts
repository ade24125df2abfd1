/** A server's URL taken apart into what dialling needs: three distinct ways to speak, each with its own port. */
import type { SecureContext } from 'node:tls';
import { GatewayError } from '../errors.ts';
import { TlsContext, type TlsFiles } from '../lib/tls-context.ts';
import { discoveryScheme } from './service-discovery.ts';

export type Transport = 'plain' | 'startTls' | 'ldaps';

export interface Endpoint {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly transport: Transport;
  /** Name or address the certificate must carry. */
  readonly certificateName: string;
  /** `undefined` for plain connections. Read once for each connection: its files may have been replaced. */
  readonly secureContext: SecureContext | undefined;
}

export interface EndpointOptions {
  readonly startTls: boolean;
  readonly tls: TlsFiles & { readonly serverName?: string | undefined };
}

/** Throws GatewayError CONFIG_INVALID when a certificate or key cannot be used. */
export function toEndpoints(options: EndpointOptions & { readonly servers: readonly string[] }): Endpoint[] {
  return options.servers.map(endpointMaker(options));
}

/** Endpoints of one directory share the files that speak for it. The maker throws like `toEndpoints`. */
export function endpointMaker(options: EndpointOptions): (url: string) => Endpoint {
  let shared: TlsContext | undefined;
  return (url) => {
    const { host, port, isSecure } = parseServerUrl(url);
    const transport = isSecure ? 'ldaps' : options.startTls ? 'startTls' : 'plain';
    const context = transport === 'plain' ? undefined : (shared ??= new TlsContext(options.tls));
    return {
      url,
      host,
      port,
      transport,
      certificateName: options.tls.serverName ?? host,
      get secureContext() {
        return context?.current;
      },
    };
  };
}

export function parseServerUrl(url: string): { host: string; port: number; isSecure: boolean } {
  // What DNS names is only reached over TLS, and has its ports from there.
  if (url.startsWith(discoveryScheme)) {
    return { host: url.slice(discoveryScheme.length), port: 636, isSecure: true };
  }
  const parts = /^(ldaps?):\/\/(\[[^\]]+\]|[^:/]+)(?::(\d+))?\/?$/.exec(url);
  if (parts === null) throw new GatewayError('CONFIG_INVALID', `not an LDAP server URL: ${url}`);
  const [, scheme, host = '', port] = parts;
  const isSecure = scheme === 'ldaps';
  return {
    host: host.replace(/^\[|\]$/g, ''),
    port: port === undefined ? (isSecure ? 636 : 389) : Number(port),
    isSecure,
  };
}
