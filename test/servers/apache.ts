/** A real Apache with the shipped configuration and Lua file, addresses adapted as an operator would. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type FrontProxy, type ProtectedSite, startFrontProxy } from './front-proxy.ts';

const shipped = fileURLToPath(new URL('../../deploy/apache/', import.meta.url));
const modules = ['mpm_event', 'authz_core', 'headers', 'proxy', 'proxy_http', 'lua'];

export async function startApache({ gateway, application }: ProtectedSite): Promise<FrontProxy> {
  return await startFrontProxy({
    program: 'apache2',
    debianPackage: 'apache2',
    prepare: async (folder, port) => {
      // Started as root, Apache serves as www-data, who must be able to read the Lua file.
      await chmod(folder, 0o755);
      for (const name of ['vratar.conf', 'vratar.lua']) {
        const text = await readFile(join(shipped, name), 'utf8');
        await writeFile(
          join(folder, name),
          text.replaceAll('127.0.0.1:8080', gateway).replaceAll('/etc/apache2/', `${folder}/`),
        );
      }
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
LogLevel warn
${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
<VirtualHost *>
  Include ${folder}/vratar.conf
  ProxyPass / http://${application}/ nocanon upgrade=websocket
</VirtualHost>
`,
      );
      return ['-D', 'FOREGROUND', '-f', file];
    },
  });
}
