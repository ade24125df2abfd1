/** What bench/proxy.ts compares: one origin, and the well-known proxies in front of it, each as lean as it can be set. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FrontProxyProcess, startFrontProxy } from '#test/servers/front-proxy.ts';

/** Answers of fixed sizes, and a place that takes uploads; nginx, so that it costs little. */
export const answers = { small: '/1k.txt', large: '/100k.txt', upload: '/upload' } as const;

const isRoot = process.getuid?.() === 0;
const temporaryPaths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];

/** Connections stay open for the whole run, logs are off. */
function nginxAround(folder: string, http: string): string {
  return `
daemon off;
worker_processes 1;
pid ${folder}/nginx.pid;
error_log ${folder}/error.log error;
${isRoot ? 'user root;' : ''}
events { worker_connections 4096; }
http {
  access_log off;
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 100000000;
  keepalive_timeout 300s;
  default_type text/plain;
  open_file_cache max=100;
  open_file_cache_valid 300s;
  client_max_body_size 10m;
  ${temporaryPaths.map((name) => `${name}_temp_path ${folder}/${name};`).join('\n  ')}
  ${http}
}
`;
}

const nginx = (http: (folder: string, port: number) => string) => ({
  program: 'nginx',
  debianPackage: 'nginx',
  prepare: async (folder: string, port: number): Promise<readonly string[]> => {
    const file = join(folder, 'nginx.conf');
    await writeFile(file, nginxAround(folder, http(folder, port)));
    return ['-p', folder, '-c', file, '-e', join(folder, 'error.log')];
  },
});

export async function startOrigin(): Promise<FrontProxyProcess> {
  const server = nginx(
    (folder, port) => `
  upstream sink { server unix:${folder}/sink.sock; keepalive 64; }
  client_body_buffer_size 2m;
  server {
    listen 127.0.0.1:${port} backlog=1024;
    root ${folder}/www;
    # Only a request that goes on somewhere makes nginx read the body.
    location ${answers.upload} {
      proxy_pass http://sink;
      proxy_http_version 1.1;
      proxy_method GET;
      proxy_set_header Connection "";
      proxy_set_header Content-Length "";
      proxy_pass_request_body off;
    }
  }
  server { listen unix:${folder}/sink.sock; location / { return 200 "ok\\n"; } }`,
  );
  return await startFrontProxy({
    ...server,
    prepare: async (folder, port) => {
      await mkdir(join(folder, 'www'));
      await writeFile(join(folder, 'www', answers.small), 'x'.repeat(1_024));
      await writeFile(join(folder, 'www', answers.large), 'x'.repeat(102_400));
      return await server.prepare(folder, port);
    },
  });
}

export async function startNginxProxy(origin: number): Promise<FrontProxyProcess> {
  return await startFrontProxy(
    nginx(
      (_folder, port) => `
  upstream origin { server 127.0.0.1:${origin}; keepalive 64; keepalive_requests 100000000; keepalive_timeout 300s; }
  server {
    listen 127.0.0.1:${port} backlog=1024;
    location / {
      proxy_pass http://origin;
      proxy_http_version 1.1;
      proxy_request_buffering off;
      proxy_set_header Connection "";
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $remote_addr;
      proxy_set_header X-Forwarded-Proto $scheme;
    }
  }`,
    ),
  );
}

export async function startApacheProxy(origin: number): Promise<FrontProxyProcess> {
  const modules = ['mpm_event', 'authz_core', 'proxy', 'proxy_http'];
  return await startFrontProxy({
    program: 'apache2',
    debianPackage: 'apache2',
    prepare: async (folder, port) => {
      await chmod(folder, 0o755);
      const file = join(folder, 'apache2.conf');
      await writeFile(
        file,
        `
ServerRoot ${folder}
ServerName localhost
Listen 127.0.0.1:${port}
PidFile ${folder}/apache2.pid
DefaultRuntimeDir ${folder}
ErrorLog ${folder}/error.log
LogLevel error
${isRoot ? 'User www-data\nGroup www-data' : ''}
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
KeepAlive On
MaxKeepAliveRequests 0
KeepAliveTimeout 300
# No child ends for want of work: its connections would end with it.
ServerLimit 2
StartServers 2
ThreadLimit 64
ThreadsPerChild 64
MaxRequestWorkers 128
MaxSpareThreads 128
MaxConnectionsPerChild 0
ProxyPass / http://127.0.0.1:${origin}/ connectiontimeout=5 timeout=60 keepalive=On max=64 ttl=300
ProxyPreserveHost On
`,
      );
      return ['-D', 'FOREGROUND', '-f', file];
    },
  });
}

export async function startCaddyProxy(origin: number): Promise<FrontProxyProcess> {
  return await startFrontProxy({
    program: 'caddy',
    debianPackage: 'caddy',
    prepare: async (folder, port) => {
      const file = join(folder, 'Caddyfile');
      await writeFile(
        file,
        `{
	admin off
	auto_https off
	log {
		output discard
	}
}
http://:${port} {
	bind 127.0.0.1
	reverse_proxy 127.0.0.1:${origin} {
		transport http {
			keepalive_idle_conns_per_host 128
			compression off
		}
	}
}
`,
      );
      return ['run', '--config', file, '--adapter', 'caddyfile'];
    },
  });
}

/** `node:http` and undici, without authentication. */
export async function startLeanProxy(
  origin: number,
): Promise<{ readonly port: number; readonly pid: number } & Disposable> {
  const file = fileURLToPath(new URL('lean-proxy.ts', import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [file, `http://127.0.0.1:${origin}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [line] = (await once(child.stdout as NodeJS.ReadableStream, 'data')) as [Buffer];
  return {
    port: Number(line.toString()),
    pid: child.pid as number,
    [Symbol.dispose]: () => void child.kill('SIGKILL'),
  };
}
