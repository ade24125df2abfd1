/** A real Caddy: with any configuration, or with the shipped snippets in place. */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type FrontProxy,
  type FrontProxyProcess,
  type ProtectedSite,
  startFrontProxy,
} from './front-proxy.ts';

const snippets = fileURLToPath(new URL('../../deploy/caddy/vratar.caddy', import.meta.url));

/** `caddyfile`: all of it, for the port. */
export async function startCaddySite(caddyfile: (port: number) => string): Promise<FrontProxyProcess> {
  return await startFrontProxy({
    program: 'caddy',
    debianPackage: 'caddy',
    prepare: async (folder, port) => {
      const file = join(folder, 'Caddyfile');
      await writeFile(file, caddyfile(port));
      return ['run', '--config', file, '--adapter', 'caddyfile'];
    },
  });
}

export async function startCaddy({ gateway, application }: ProtectedSite): Promise<FrontProxy> {
  return await startCaddySite(
    (port) => `{
	admin off
	auto_https off
	grace_period 1s
}
import ${snippets}
http://:${port} {
	bind 127.0.0.1
	import vratar_outage
	route {
		import vratar ${gateway}
		reverse_proxy ${application}
	}
}
`,
  );
}
