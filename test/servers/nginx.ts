/**
 * A real nginx on a free loopback port in a temporary folder, with the shipped snippets in place.
 * Runs as root and as an ordinary user, and leaves nothing behind.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { freePort } from '#test/support/free-port.ts';
import { until } from '#test/support/until.ts';
import type { Certificate } from './certificates.ts';

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

export interface Nginx extends AsyncDisposable {
  readonly port: number;
  /** What nginx complained about so far, from level `info` up. */
  errorLog(): Promise<string>;
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

/** Resolves when nginx accepts connections. Throws with nginx's own words when it refuses the configuration. */
export async function startNginx(options: NginxOptions): Promise<Nginx> {
  const folder = await mkdtemp(join(tmpdir(), 'vratar-nginx-'));
  try {
    await writeSnippets(folder, options);
    // Between choosing a port and listening on it another process may take it.
    for (let attempt = 1; ; attempt++) {
      const port = await freePort();
      await writeFile(join(folder, 'nginx.conf'), configuration(folder, port, options));
      const process = await launch(folder, port);
      if (process !== undefined) return running(process, folder, port);
      const log = await readFile(join(folder, 'error.log'), 'utf8');
      if (attempt === 5 || !log.includes('Address already in use')) throw new Error(`nginx ended: ${log}`);
    }
  } catch (error) {
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function writeSnippets(folder: string, { gateway, spoil }: NginxOptions): Promise<void> {
  const shipped = new URL('../../deploy/nginx/', import.meta.url);
  await mkdir(join(folder, 'snippets'));
  for (const name of ['vratar-http.conf', 'vratar.conf', 'vratar-kerberos.conf', 'vratar-protect.conf']) {
    const whole = await readFile(new URL(name, shipped), 'utf8');
    const text = spoil === undefined ? whole : spoil(whole, name);
    await writeFile(
      join(folder, 'snippets', name),
      text.replace('server 127.0.0.1:8080;', `server ${gateway};`),
    );
  }
}

function configuration(folder: string, port: number, options: NginxOptions): string {
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log info;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 512; }
http {
  access_log off;
  types { text/html html; text/css css; application/javascript js; }
  default_type application/octet-stream;
  ${temporary.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  include snippets/vratar-http.conf;
  ${options.http ?? ''}
  ${options.servers(port)}
}
`;
}

/** `undefined` when nginx ended before it listened. */
async function launch(folder: string, port: number): Promise<ChildProcess | undefined> {
  const log = join(folder, 'error.log');
  const child = spawn(findBinary(), ['-p', folder, '-c', join(folder, 'nginx.conf'), '-e', log], {
    stdio: 'ignore',
  });
  await once(child, 'spawn');
  await until(async () => child.exitCode !== null || (await accepts(port)), {
    timeoutMs: 10_000,
    what: 'nginx listening',
  });
  return child.exitCode === null ? child : undefined;
}

function findBinary(): string {
  const folders = [...(process.env['PATH'] ?? '').split(delimiter), '/usr/sbin', '/usr/local/sbin'];
  const found = folders.map((folder) => join(folder, 'nginx')).find((file) => existsSync(file));
  if (found === undefined) throw new Error('nginx is not installed: run node deploy/setup.mjs test');
  return found;
}

async function accepts(port: number): Promise<boolean> {
  const socket = connect({ port, host: '127.0.0.1' });
  const isOpen = await new Promise<boolean>((resolve) => {
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
  });
  socket.destroy();
  return isOpen;
}

function running(child: ChildProcess, folder: string, port: number): Nginx {
  // A test process that ends without disposing must not leave a server behind.
  const killOnExit = (): void => {
    child.kill('SIGTERM');
  };
  process.once('exit', killOnExit);
  return {
    port,
    errorLog: async () => await readFile(join(folder, 'error.log'), 'utf8'),
    async [Symbol.asyncDispose]() {
      process.removeListener('exit', killOnExit);
      if (child.exitCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      await rm(folder, { recursive: true, force: true });
    },
  };
}
