/** Apache with mod_auth_gssapi: tickets judged for each request at /ticket, and once for a session at /session. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, copyFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Kdc } from '#test/servers/kdc.ts';
import { freePort } from '#test/support/free-port.ts';
import { ask } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

export interface ApacheGssapi extends AsyncDisposable {
  readonly port: number;
  readonly pid: number;
}

const modules = [
  'mpm_event',
  'authn_core',
  'authz_core',
  'authz_user',
  'auth_gssapi',
  'session',
  'session_cookie',
];

export async function startApacheGssapi(kdc: Kdc): Promise<ApacheGssapi> {
  const folder = await mkdtemp(join(tmpdir(), 'vratar-apache-'));
  // Started as root it serves as www-data, who must read the key; the key is of this run alone.
  await chmod(folder, 0o755);
  const keytab = join(folder, 'http.keytab');
  const krb5 = join(folder, 'krb5.conf');
  await copyFile(kdc.keytab, keytab);
  await copyFile(kdc.configFile, krb5);
  await chmod(keytab, 0o644);
  await chmod(krb5, 0o644);
  for (const place of ['ticket', 'session']) {
    await mkdir(join(folder, 'site', place), { recursive: true });
    await writeFile(join(folder, 'site', place, 'x'), '');
  }
  const port = await freePort();
  const file = join(folder, 'apache2.conf');
  await writeFile(file, configuration(folder, port, keytab));
  const apache = spawn('/usr/sbin/apache2', ['-D', 'FOREGROUND', '-f', file], {
    stdio: ['ignore', 'inherit', 'inherit'],
    env: { ...process.env, KRB5_CONFIG: krb5, KRB5RCACHENAME: 'none:' },
  });
  await until(async () => await answers(port, apache), { timeoutMs: 10_000, what: 'Apache answering' });
  return {
    port,
    pid: apache.pid as number,
    [Symbol.asyncDispose]: async () => {
      if (apache.exitCode === null) {
        const gone = once(apache, 'exit');
        apache.kill('SIGTERM');
        await gone;
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}

async function answers(port: number, apache: ChildProcess): Promise<boolean> {
  if (apache.exitCode !== null) throw new Error(`apache2 ended with ${apache.exitCode}`);
  try {
    return (await ask({ port, path: '/ticket/x' })).status === 401;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ECONNREFUSED') return false;
    throw error;
  }
}

/** As its documentation has it: Kerberos alone, nothing bound to connections, an access log as everybody has one. */
function configuration(folder: string, port: number, keytab: string): string {
  return `
ServerRoot ${folder}
ServerName bench.localhost
Listen 127.0.0.1:${port}
PidFile ${folder}/apache2.pid
DefaultRuntimeDir ${folder}
ErrorLog ${folder}/error.log
LogLevel warn
${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
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
${['ticket', 'session'].map((place) => protectedPlace(place, keytab)).join('\n')}
`;
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
