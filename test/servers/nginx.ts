/** A real nginx: with any lines of the http context, or with the shipped snippets in place. */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Certificate } from './certificates.ts';
import {
  type FrontProxy,
  type FrontProxyProcess,
  type ProtectedSite,
  startFrontProxy,
} from './front-proxy.ts';

export interface NginxOptions {
  /** Where the gateway listens, as the upstream directive writes it: `127.0.0.1:4711` or `unix:/path`. */
  readonly gateway: string;
  /** Server blocks for the port; `include snippets/vratar.conf;` finds the shipped files. */
  readonly servers: (port: number) => string;
  /** More lines of the http context. */
  readonly http?: string;
  /** Spoils a shipped snippet, `vratar-http.conf`, `vratar.conf` or `vratar-protect.conf`, on its way to nginx. */
  readonly spoil?: (text: string, name: string) => string;
}

export interface ProtectedServerOptions {
  readonly port: number;
  /** Address of the application, `http://127.0.0.1:4711`. */
  readonly application: string;
  /** Names of the server block. Default: every name. */
  readonly hosts?: readonly string[];
  /** Listens with TLS. */
  readonly certificate?: Certificate;
  /** More lines of the protected location. */
  readonly location?: string;
}

/** A server block that protects one application as the README of the snippets says. */
export function protectedServer(options: ProtectedServerOptions): string {
  const { port, application, hosts = ['_'], certificate, location = '' } = options;
  const tls =
    certificate === undefined
      ? ''
      : `ssl_certificate ${certificate.certificateFile};\n  ssl_certificate_key ${certificate.keyFile};`;
  return `
server {
  listen 127.0.0.1:${port}${certificate === undefined ? '' : ' ssl'};
  server_name ${hosts.join(' ')};
  ${tls}
  include snippets/vratar.conf;
  location / {
    include snippets/vratar-protect.conf;
    proxy_pass ${application};
    ${location}
  }
}`;
}

export interface NginxSite {
  /** Lines of the http context, for which it may put files into the folder. */
  readonly http: (folder: string, port: number) => Promise<string>;
  readonly logLevel: 'info' | 'error';
}

/** Resolves when nginx accepts connections. Throws with nginx's own words when it refuses the configuration. */
export async function startNginxSite({ http, logLevel }: NginxSite): Promise<FrontProxyProcess> {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return await startFrontProxy({
    program: 'nginx',
    debianPackage: 'nginx',
    prepare: async (folder, port) => {
      const file = join(folder, 'nginx.conf');
      await writeFile(
        file,
        `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log ${logLevel};
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  access_log off;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  ${await http(folder, port)}
}
`,
      );
      return ['-p', folder, '-c', file, '-e', join(folder, 'error.log')];
    },
  });
}

export async function startNginx(options: NginxOptions): Promise<FrontProxy> {
  return await startNginxSite({
    logLevel: 'info',
    http: async (folder, port) => {
      await writeSnippets(folder, options);
      return `
  types { text/html html; text/css css; application/javascript js; }
  default_type application/octet-stream;
  include snippets/vratar-http.conf;
  ${options.http ?? ''}
  ${options.servers(port)}`;
    },
  });
}

/** In front of one application, with the shipped snippets as they are. */
export async function startProtectingNginx({ gateway, application }: ProtectedSite): Promise<FrontProxy> {
  return await startNginx({
    gateway,
    servers: (port) => protectedServer({ port, application: `http://${application}` }),
  });
}

async function writeSnippets(folder: string, { gateway, spoil }: NginxOptions): Promise<void> {
  const shipped = new URL('../../deploy/nginx/', import.meta.url);
  await mkdir(join(folder, 'snippets'), { recursive: true });
  for (const name of ['vratar-http.conf', 'vratar.conf', 'vratar-kerberos.conf', 'vratar-protect.conf']) {
    const whole = await readFile(new URL(name, shipped), 'utf8');
    const text = spoil === undefined ? whole : spoil(whole, name);
    await writeFile(
      join(folder, 'snippets', name),
      text.replace('server 127.0.0.1:8080;', `server ${gateway};`),
    );
  }
}
