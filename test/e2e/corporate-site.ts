/** A whole site as an operator builds it: nginx with the shipped snippets, the gateway's real processes, a directory, an application. */
import type { FrontProxy } from '#test/servers/front-proxy.ts';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { protectedServer, startNginx } from '#test/servers/nginx.ts';
import { directoryConfig, type Slapd } from '#test/servers/slapd.ts';
import { startUpstream, type TestUpstream } from '#test/servers/upstream.ts';
import { freePort } from '#test/support/free-port.ts';

export interface CorporateSite extends AsyncDisposable {
  readonly nginx: FrontProxy;
  readonly gateway: GatewayProcess;
  readonly application: TestUpstream;
}

/** `directories`: URLs in order of preference. */
export function corporateConfig(urls: readonly string[], overrides: Record<string, unknown> = {}) {
  return {
    directories: [directoryConfig(urls, { timeout: '1s' })],
    providers: [{ name: 'corp', type: 'ldap', title: 'Corporate account', directory: 'corp' }],
    throttle: { address: { failures: 10_000 } },
    applications: [
      {
        name: 'wiki',
        title: 'Wiki',
        hosts: ['wiki.example.test'],
        rules: [
          { paths: ['/public/**'], access: 'public' },
          { paths: ['/admin/**'], access: { groups: ['admins'] } },
          { access: { groups: ['everyone'] } },
        ],
      },
    ],
    ...overrides,
  };
}

export async function startCorporateSite(
  slapd: Slapd,
  overrides: Record<string, unknown> = {},
): Promise<CorporateSite> {
  const resources = new AsyncDisposableStack();
  try {
    const application = resources.use(await startUpstream());
    const gatewayPort = await freePort();
    const nginx = resources.use(
      await startNginx({
        gateway: `127.0.0.1:${gatewayPort}`,
        servers: (port) =>
          protectedServer({ port, application: application.url, hosts: ['wiki.example.test'] }),
      }),
    );
    const gateway = resources.use(
      await startGatewayProcess({
        ...corporateConfig([slapd.url], overrides),
        server: {
          listen: `127.0.0.1:${gatewayPort}`,
          publicUrl: `http://wiki.example.test:${nginx.port}`,
          workers: 2,
        },
      }),
    );
    const moved = resources.move();
    return { nginx, gateway, application, [Symbol.asyncDispose]: async () => await moved.disposeAsync() };
  } catch (error) {
    await resources.disposeAsync();
    throw error;
  }
}
