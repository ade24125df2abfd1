/** A real Apache: with the lines a site needs, or with the shipped configuration and Lua file in place. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import {
  type FrontProxy,
  type FrontProxyProcess,
  type FrontProxyProgram,
  type ProtectedSite,
  startFrontProxy,
} from './front-proxy.ts';

export interface ApacheSite {
  /** `proxy_http`, without the `mod_` of the file. */
  readonly modules: readonly string[];
  /** Lines of the configuration, for which it may put files into the folder; www-data reads them. */
  readonly lines: (folder: string) => Promise<string>;
  readonly environment?: FrontProxyProgram['environment'];
}

const shipped = fileURLToPath(new URL('../../deploy/apache/', import.meta.url));

export async function startApacheSite({ lines, modules, ...site }: ApacheSite): Promise<FrontProxyProcess> {
  return await startFrontProxy({
    program: 'apache2',
    debianPackage: 'apache2',
    ...site,
    prepare: async (folder, port) => {
      // Started as root, Apache serves as www-data, who must be able to read what lies there.
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
LogLevel warn
${process.getuid?.() === 0 ? 'User www-data\nGroup www-data' : ''}
${modules.map((name) => `LoadModule ${name}_module /usr/lib/apache2/modules/mod_${name}.so`).join('\n')}
${await lines(folder)}
`,
      );
      return ['-D', 'FOREGROUND', '-f', file];
    },
  });
}

/** Addresses adapted as an operator would. */
export async function startApache({ gateway, application }: ProtectedSite): Promise<FrontProxy> {
  return await startApacheSite({
    modules: ['mpm_event', 'authz_core', 'headers', 'proxy', 'proxy_http', 'lua'],
    lines: async (folder) => {
      for (const name of ['vratar.conf', 'vratar.lua']) {
        const text = await readFile(join(shipped, name), 'utf8');
        await writeFile(
          join(folder, name),
          text.replaceAll('127.0.0.1:8080', gateway).replaceAll('/etc/apache2/', `${folder}/`),
        );
      }
      return `<VirtualHost *>
  Include ${folder}/vratar.conf
  ProxyPass / http://${application}/ nocanon upgrade=websocket
</VirtualHost>`;
    },
  });
}
