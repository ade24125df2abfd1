/** Apache with mod_auth_gssapi: tickets judged for each request at /ticket, and once for a session at /session. */
import { chmod, copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startApacheSite } from '#test/servers/apache.ts';
import type { FrontProxyProcess } from '#test/servers/front-proxy.ts';
import type { Kdc } from '#test/servers/kdc.ts';

const modules = [
  'mpm_event',
  'authn_core',
  'authz_core',
  'authz_user',
  'auth_gssapi',
  'session',
  'session_cookie',
];

/** As its documentation has it: Kerberos alone, nothing bound to connections, an access log as everybody has one. */
export async function startApacheGssapi(kdc: Kdc): Promise<FrontProxyProcess> {
  return await startApacheSite({
    modules,
    lines: async (folder) => {
      // Apache must read the key; it is of this run alone.
      const keytab = join(folder, 'http.keytab');
      await copyFile(kdc.keytab, keytab);
      await copyFile(kdc.configFile, join(folder, 'krb5.conf'));
      await chmod(keytab, 0o644);
      await chmod(join(folder, 'krb5.conf'), 0o644);
      for (const place of ['ticket', 'session']) {
        await mkdir(join(folder, 'site', place), { recursive: true });
        await writeFile(join(folder, 'site', place, 'x'), '');
      }
      return `
LogFormat "%h %l %u %t \\"%r\\" %>s %b" common
CustomLog ${folder}/access.log common
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 60
# No child ends for want of work: its connections would end with it.
StartServers 2
ThreadsPerChild 64
MaxRequestWorkers 128
MaxSpareThreads 128
DocumentRoot ${folder}/site
<Directory ${folder}/site>
  AllowOverride None
</Directory>
${['ticket', 'session'].map((place) => protectedPlace(place, keytab)).join('\n')}`;
    },
    environment: (folder) => ({ KRB5_CONFIG: join(folder, 'krb5.conf'), KRB5RCACHENAME: 'none:' }),
  });
}

/** Complete in each place: the module takes nothing over from the place around. */
function protectedPlace(place: string, keytab: string): string {
  const session =
    place === 'session'
      ? 'GssapiUseSessions On\n  Session On\n  SessionCookieName gssapi_session path=/;httponly'
      : '';
  return `<Location /${place}>
  AuthType GSSAPI
  AuthName bench
  GssapiCredStore keytab:${keytab}
  GssapiAllowedMech krb5
  GssapiConnectionBound Off
  ${session}
  Require valid-user
</Location>`;
}
