/** What bench/proxy.ts compares: one origin, and the well-known proxies in front of it, each as lean as it can be set. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startApacheSite } from '#test/servers/apache.ts';
import { startCaddySite } from '#test/servers/caddy.ts';
import type { FrontProxyProcess } from '#test/servers/front-proxy.ts';
import { startNginxSite } from '#test/servers/nginx.ts';
import { type NodeServer, startNodeServer } from './node-server.ts';

/** Answers of fixed sizes, and a place that takes uploads; nginx, so that it costs little. */
export const answers = { small: '/1k.txt', large: '/100k.txt', upload: '/upload' } as const;

/** Connections stay open for the whole run. */
const nginxSettings = `
  sendfile on;
  tcp_nopush on;
  tcp_nodelay on;
  keepalive_requests 100000000;
  keepalive_timeout 300s;
  default_type text/plain;
  open_file_cache max=100;
  open_file_cache_valid 300s;
  client_max_body_size 10m;`;

export async function startOrigin(): Promise<FrontProxyProcess> {
  return await startNginxSite({
    logLevel: 'error',
    http: async (folder, port) => {
      await mkdir(join(folder, 'www'), { recursive: true });
      await writeFile(join(folder, 'www', answers.small), 'x'.repeat(1_024));
      await writeFile(join(folder, 'www', answers.large), 'x'.repeat(102_400));
      return `${nginxSettings}
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
  server { listen unix:${folder}/sink.sock; location / { return 200 "ok\\n"; } }`;
    },
  });
}

export async function startNginxProxy(origin: number): Promise<FrontProxyProcess> {
  return await startNginxSite({
    logLevel: 'error',
    http: async (_folder, port) => `${nginxSettings}
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
  });
}

export async function startApacheProxy(origin: number): Promise<FrontProxyProcess> {
  return await startApacheSite({
    modules: ['mpm_event', 'authz_core', 'proxy', 'proxy_http'],
    lines: async () => `
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
ProxyPreserveHost On`,
  });
}

export async function startCaddyProxy(origin: number): Promise<FrontProxyProcess> {
  return await startCaddySite(
    (port) => `{
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
}

/** `node:http` and undici, without authentication. */
export async function startLeanProxy(origin: number): Promise<NodeServer> {
  return await startNodeServer('lean-proxy.ts', `http://127.0.0.1:${origin}`);
}
