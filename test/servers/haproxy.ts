/** A real HAProxy with the shipped configuration and Lua file, addresses adapted as an operator would. */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FrontProxy, type ProtectedSite, startFrontProxy } from './front-proxy.ts';

const shipped = fileURLToPath(new URL('../../deploy/haproxy/', import.meta.url));

export async function startHaproxy({ gateway, application }: ProtectedSite): Promise<FrontProxy> {
  return await startFrontProxy({
    program: 'haproxy',
    debianPackage: 'haproxy',
    prepare: async (folder, port) => {
      const file = join(folder, 'haproxy.cfg');
      const text = await readFile(join(shipped, 'vratar.cfg'), 'utf8');
      await writeFile(
        file,
        text
          .replaceAll('127.0.0.1:8080', gateway)
          .replace('/etc/haproxy/vratar.lua', join(shipped, 'vratar.lua'))
          .replace('127.0.0.1:3000', application)
          .replace('bind :80', `bind 127.0.0.1:${port}`),
      );
      return ['-db', '-f', file];
    },
  });
}
