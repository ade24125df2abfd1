/** Addresses, the public URL and the cookie have to fit together. */
import { isIP } from 'node:net';
import type { ListenAddress } from '../../http/options.ts';
import { readTlsIdentity } from '../../lib/tls-identity.ts';
import type { Finding } from '../problem.ts';
import type { Readable } from '../readable.ts';

export function checkListeners({ server, management, session }: Readable): readonly Finding[] {
  const findings = [...collisions({ server, management }), ...tlsFindings(server)];
  if (session === undefined) return findings;
  const { domain, sameSite } = session.cookie;
  if (domain !== undefined && isIP(domain) !== 0) {
    findings.push({ path: ['session', 'cookie', 'domain'], message: 'must be a domain, not an address' });
  } else if (server !== undefined && domain !== undefined) {
    const host = new URL(server.publicUrl).hostname;
    if (!isCovered(host, domain)) {
      const message = `does not cover ${host}, the host of server.publicUrl`;
      findings.push({ path: ['session', 'cookie', 'domain'], message });
    }
  }
  // Browsers drop SameSite=None cookies that are not Secure (RFC 6265bis section 5.7).
  if (server !== undefined && sameSite === 'none' && server.publicUrl.startsWith('http:')) {
    const message = 'none needs server.publicUrl with https';
    findings.push({ path: ['session', 'cookie', 'sameSite'], message });
  }
  return findings;
}

function collisions({ server, management }: Pick<Readable, 'server' | 'management'>): Finding[] {
  const listeners: readonly { path: readonly string[]; address: ListenAddress | undefined }[] = [
    { path: ['server', 'listen'], address: server?.listen },
    { path: ['management', 'listen'], address: management?.listen },
    { path: ['server', 'grpc', 'listen'], address: server?.grpc?.listen },
    { path: ['server', 'redirect', 'listen'], address: server?.redirect?.listen },
  ];
  return listeners.flatMap(({ path, address }, index) => {
    const other = listeners
      .slice(0, index)
      .find(
        (before) => address !== undefined && before.address !== undefined && collide(before.address, address),
      );
    return other === undefined ? [] : [{ path, message: `is the address of ${other.path.join('.')}` }];
  });
}

function tlsFindings(server: Readable['server']): Finding[] {
  if (server === undefined) return [];
  const { tls, redirect, publicUrl } = server;
  const isHttps = publicUrl.startsWith('https:');
  const findings: Finding[] = [];
  if (redirect !== undefined && !isHttps) {
    findings.push({ path: ['server', 'redirect'], message: 'leads to https, but server.publicUrl is http' });
  }
  if (tls === undefined) return findings;
  if (!isHttps) {
    findings.push({ path: ['server', 'publicUrl'], message: 'must be https: the gateway itself ends TLS' });
  }
  const read = readTlsIdentity(tls);
  if (read.identity === undefined) {
    findings.push({ path: ['server', 'tls', read.file], message: read.fault });
  }
  return findings;
}

/** Whether browsers send a cookie of `domain` to `host` (RFC 6265 section 5.1.3). A `*.` host is covered as a whole. */
export function isCovered(host: string, domain: string): boolean {
  const name = host.startsWith('*.') ? host.slice(2) : host;
  return name === domain || name.endsWith(`.${domain}`);
}

function collide(a: ListenAddress, b: ListenAddress): boolean {
  if (a.kind === 'unix' || b.kind === 'unix') {
    return a.kind === 'unix' && b.kind === 'unix' && a.path === b.path;
  }
  if (a.port !== b.port || a.port === 0) return false;
  return a.host === b.host || isAnyAddress(a.host) || isAnyAddress(b.host);
}

function isAnyAddress(host: string): boolean {
  return host === '0.0.0.0' || host === '::';
}
