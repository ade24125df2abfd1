/** A server's URL taken apart into what dialling needs: three distinct ways to speak, each with its own port. */
import { readFileSync } from 'node:fs';
import { createSecureContext, getCACertificates, type SecureContext } from 'node:tls';
import { GatewayError } from '../errors.ts';

export type Transport = 'plain' | 'startTls' | 'ldaps';

export interface Endpoint {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly transport: Transport;
  /** Name or address the certificate must carry. */
  readonly certificateName: string;
  /** `undefined` for plain connections. */
  readonly secureContext: SecureContext | undefined;
}

export interface EndpointOptions {
  readonly servers: readonly string[];
  readonly startTls: boolean;
  readonly tls: { readonly caFile?: string | undefined; readonly serverName?: string | undefined };
}

/** Throws GatewayError CONFIG_INVALID when the file of authorities cannot be read. */
export function toEndpoints(options: EndpointOptions): readonly Endpoint[] {
  let shared: SecureContext | undefined;
  return options.servers.map((url) => {
    const { host, port, isSecure } = parseServerUrl(url);
    const transport = isSecure ? 'ldaps' : options.startTls ? 'startTls' : 'plain';
    if (transport !== 'plain') shared ??= secureContext(options.tls.caFile);
    return {
      url,
      host,
      port,
      transport,
      certificateName: options.tls.serverName ?? host,
      secureContext: transport === 'plain' ? undefined : shared,
    };
  });
}

export function parseServerUrl(url: string): { host: string; port: number; isSecure: boolean } {
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

function secureContext(caFile: string | undefined): SecureContext {
  // RFC 8996: TLS 1.0 and 1.1 are not to be used.
  const minVersion = 'TLSv1.2';
  if (caFile === undefined) {
    const ca = [...getCACertificates('default'), ...getCACertificates('system')];
    return createSecureContext({ minVersion, ca });
  }
  try {
    return createSecureContext({ minVersion, ca: readFileSync(caFile) });
  } catch (error) {
    throw new GatewayError('CONFIG_INVALID', `cannot use the certificate authorities in ${caFile}`, {
      cause: error,
      fields: { file: caFile },
    });
  }
}
