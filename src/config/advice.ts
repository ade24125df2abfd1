/** Doubts about a configuration that works: what an operator probably did not mean. Never stops the gateway. */
import { statSync } from 'node:fs';
import { isLoopback } from '../lib/loopback.ts';
import { readTlsIdentity } from '../lib/tls-identity.ts';
import { adviceOnAccounts } from './account-advice.ts';
import { isCovered } from './checks/listeners.ts';
import type { Finding } from './problem.ts';
import type { Readable } from './readable.ts';
import { adviceOnRules } from './rule-advice.ts';

export function adviceFor(config: Readable): readonly Finding[] {
  return [
    ...adviceOnGrpc(config),
    ...adviceOnCertificate(config),
    ...adviceOnDirectoryKeys(config),
    ...adviceOnCompatibility(config),
    ...adviceOnCookie(config),
    ...adviceOnAccounts(config),
    ...adviceOnRules(config),
  ];
}

function adviceOnGrpc({ server }: Readable): readonly Finding[] {
  if (server?.grpc === undefined || server.trustedProxies.length > 0) return [];
  return [
    { path: ['server', 'grpc'], message: 'nobody may ask over gRPC while server.trustedProxies is empty' },
  ];
}

/** Certificates are renewed some weeks before their end; one this close to it was forgotten. */
const expiryNoticeDays = 14;

function adviceOnCertificate({ server, applications }: Readable): readonly Finding[] {
  if (server?.tls === undefined) return [];
  const { identity } = readTlsIdentity(server.tls);
  if (identity === undefined) return [];
  const findings: Finding[] = [];
  const days = Math.floor((identity.expiresAtMs - Date.now()) / 86_400_000);
  if (days < expiryNoticeDays) {
    const message = days < 0 ? 'the certificate has expired' : `the certificate expires in ${days} days`;
    findings.push({ path: ['server', 'tls', 'certificateFile'], message });
  }
  const uncovered = (host: string): string => `the certificate of server.tls is not for ${host}`;
  const { hostname } = new URL(server.publicUrl);
  if (!identity.covers(hostname)) {
    findings.push({ path: ['server', 'publicUrl'], message: uncovered(hostname) });
  }
  applications.forEach((application, index) => {
    application?.hosts.forEach((host, position) => {
      if (identity.covers(host.replace(/^\*\./, 'any.'))) return;
      findings.push({ path: ['applications', index, 'hosts', position], message: uncovered(host) });
    });
  });
  return [...findings, ...adviceOnKeyFile(server.tls.keyFile, ['server', 'tls', 'keyFile'])];
}

function adviceOnDirectoryKeys({ directories }: Readable): readonly Finding[] {
  return directories.flatMap((directory, index) =>
    adviceOnKeyFile(directory?.tls.keyFile, ['directories', index, 'tls', 'keyFile']),
  );
}

function adviceOnKeyFile(file: string | undefined, path: Finding['path']): readonly Finding[] {
  const found = file === undefined ? undefined : statSync(file, { throwIfNoEntry: false });
  if (found === undefined || (found.mode & 0o077) === 0) return [];
  return [{ path, message: 'the file is readable for other accounts; make its mode 0600' }];
}

/** The documented nginx configuration of oauth2-proxy hands the client's own X-Forwarded-For on. */
function adviceOnCompatibility({ server, applications }: Readable): readonly Finding[] {
  const position = server?.compatibility.indexOf('oauth2-proxy') ?? -1;
  const hasNetworks = applications.some(
    (application) => application?.rules.some(({ networks }) => networks !== undefined) === true,
  );
  if (position < 0 || !hasNetworks) return [];
  const message =
    'rules name networks: the front proxy must set X-Forwarded-For itself, which configurations for oauth2-proxy often do not';
  return [{ path: ['server', 'compatibility', position], message }];
}

function adviceOnCookie({ server, session, applications }: Readable): readonly Finding[] {
  if (server === undefined) return [];
  const findings: Finding[] = [];
  const publicUrl = new URL(server.publicUrl);
  if (publicUrl.protocol === 'http:' && !isLoopback(publicUrl.hostname)) {
    const message = 'http: passwords and the session cookie travel in clear text, the cookie is not Secure';
    findings.push({ path: ['server', 'publicUrl'], message });
  }
  if (session === undefined) return findings;
  const { domain } = session.cookie;
  applications.forEach((application, index) => {
    application?.hosts.forEach((host, position) => {
      // Nothing can cover these, and nobody signs in twice on a machine of their own.
      if (isLoopback(host)) return;
      const isShared = domain === undefined ? host === publicUrl.hostname : isCovered(host, domain);
      if (isShared) return;
      const message = `${host} is not covered by session.cookie.domain: people sign in once more on this host`;
      findings.push({ path: ['applications', index, 'hosts', position], message });
    });
  });
  return findings;
}
