/** A gateway whose people come with Kerberos tickets, beside a password provider, on names that browsers find by themselves. */

import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import type { Kdc } from '#test/servers/kdc.ts';

export const hosts = {
  /** Where the service principal of the tickets is. */
  gateway: 'gw.localhost',
  wiki: 'wiki.localhost',
  api: 'api.localhost',
  plain: 'plain.localhost',
} as const;

export const services = Object.values(hosts).map((host) => `HTTP/${host}`);

export const rules = [
  { paths: ['/public/**'], access: 'public' },
  { paths: ['/alice/**'], access: { users: ['alice'] } },
  { access: 'authenticated' },
];

/** `upstream`: of every application; `sso`: more options of the Kerberos provider. */
export function kerberosConfig(
  kdc: Kdc,
  {
    upstream = 'whoami',
    sso = {},
    ...more
  }: { upstream?: string; sso?: Record<string, unknown> } & Record<string, unknown> = {},
): Record<string, unknown> & { server: Record<string, unknown> } {
  return {
    server: { publicUrl: 'http://gw.localhost', trustedProxies: ['127.0.0.1/32'] },
    providers: [
      { name: 'staff', type: 'local', users: [{ username: 'alice' }] },
      { name: 'sso', type: 'kerberos', keytab: kdc.keytab, realms: [kdc.realm], ...sso },
    ],
    applications: [
      {
        name: 'wiki',
        hosts: [hosts.wiki, 'gw.localhost'],
        upstream,
        credentials: ['session', 'negotiate'],
        rules,
      },
      {
        name: 'api',
        hosts: [hosts.api],
        upstream,
        credentials: ['session', 'negotiate'],
        challenge: 'direct',
        forwardAuthorization: true,
        rules,
      },
      { name: 'plain', hosts: [hosts.plain], upstream, rules },
    ],
    ...more,
  };
}

export async function startKerberosSite(
  kdc: Kdc,
  options: Parameters<typeof kerberosConfig>[1] = {},
): Promise<TestGateway> {
  return await startGateway({ config: kerberosConfig(kdc, options) });
}

/** How many tickets were decrypted, whatever came of them: neither remembered nor seen through before. */
export async function acceptsOf(gateway: Pick<TestGateway, 'metrics'>): Promise<number> {
  const text = await gateway.metrics();
  return [
    ...text.matchAll(
      /^vratar_kerberos_accepts_total\{(?![^}]*"(?:remembered|ntlm|mechanism-not-supported|token-malformed|token-too-long)")[^}]*\} (\d+)$/gm,
    ),
  ]
    .map(([, count]) => Number(count))
    .reduce((sum, count) => sum + count, 0);
}
