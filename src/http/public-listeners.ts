/**
 * The listeners people come to: the public one, with its certificate when the gateway itself ends TLS, and the one
 * that leads from http to https. Knows no gateway behind the handler.
 */
import { GatewayError } from '../errors.ts';
import { FileWatch } from '../lib/file-watch.ts';
import { readTlsIdentity, type TlsIdentity, type TlsIdentityFiles } from '../lib/tls-identity.ts';
import type { Logger } from '../observability/logger.ts';
import { ConnectionQuota } from './connection-quota.ts';
import { type HttpListener, type Listener, type ListenerOptions, listen } from './listener.ts';
import type { ServerOptions } from './options.ts';
import { redirectToHttps } from './redirect-to-https.ts';

/** A renewed certificate is presented after one or two looks at its files. */
const lookAtCertificateEveryMs = 5_000;

export interface PublicListenersOptions
  extends Omit<ListenerOptions, 'address' | 'tls' | 'streams' | 'quota'> {
  readonly server: Pick<ServerOptions, 'listen' | 'tls' | 'redirect' | 'publicUrl' | 'limits'>;
  /** A front proxy, whose connections are other people's. */
  readonly isTrusted: (address: string) => boolean;
  readonly knowsHost: (host: string) => boolean;
  readonly logger: Logger;
}

export interface PublicListeners {
  readonly listener: Listener;
  readonly redirect: Listener | undefined;
}

/** Opens them; they and the watch over the certificate end with `resources`. */
export async function listenPublicly(
  options: PublicListenersOptions,
  resources: AsyncDisposableStack,
): Promise<PublicListeners> {
  const { server, handler, headBytes, onRefused, logger, knowsHost } = options;
  const { connectionsPerAddress, streamsPerConnection } = server.limits;
  const quota =
    connectionsPerAddress === 'off'
      ? undefined
      : new ConnectionQuota({
          perAddress: connectionsPerAddress,
          isExempt: options.isTrusted,
          onReached: (client) =>
            logger.warn('listener.connections-refused', { client, limit: connectionsPerAddress }),
        });
  const end = async (listener: Listener): Promise<void> => await listener.drain(0);
  const listener = await listen({
    address: server.listen,
    handler,
    headBytes,
    streams: streamsPerConnection,
    quota,
    onRefused,
    tls: server.tls === undefined ? undefined : present(server.tls),
  });
  resources.adopt(listener, end);
  if (server.tls !== undefined) resources.use(renewing(server.tls, listener, logger));
  if (server.redirect === undefined) return { listener, redirect: undefined };
  const redirect = await listen({
    address: server.redirect.listen,
    handler: redirectToHttps(server.publicUrl, knowsHost),
    quota,
    onRefused,
  });
  return { listener, redirect: resources.adopt(redirect, end) };
}

/** The loader has read them already: what is wrong now has changed since. */
function present(files: TlsIdentityFiles): TlsIdentity {
  const read = readTlsIdentity(files);
  if (read.identity !== undefined) return read.identity;
  throw new GatewayError('CONFIG_INVALID', `${files[read.file]}: ${read.fault}`);
}

function renewing(files: TlsIdentityFiles, listener: HttpListener, logger: Logger): FileWatch {
  return new FileWatch({
    files: () => [files.certificateFile, files.keyFile],
    everyMs: lookAtCertificateEveryMs,
    onChange: async () => {
      const read = readTlsIdentity(files);
      if (read.identity === undefined) {
        // Mostly the two files do not belong together yet; connections go on with the certificate there is.
        logger.error('tls.certificate-refused', { file: files[read.file], fault: read.fault });
      } else {
        listener.present(read.identity);
        logger.info('tls.certificate-renewed', {
          expiresAt: new Date(read.identity.expiresAtMs).toISOString(),
        });
      }
      await Promise.resolve();
    },
  });
}
