/** The configuration most gateway tests share: local accounts, one application with rules, one that is open. */
import { startGateway, type TestGateway } from '#test/servers/gateway.ts';
import { Visitor } from '#test/support/http-client.ts';

export const appHost = ['Host', 'app.example.test'] as const;

export function siteConfig(upstream?: string, overrides: Record<string, unknown> = {}) {
  return {
    server: { publicUrl: 'http://gw.example.test', trustedProxies: ['127.0.0.1/32'] },
    throttle: { address: { failures: 1_000 } },
    providers: [
      {
        name: 'staff',
        type: 'local',
        title: 'Staff account',
        users: [
          { username: 'alice', email: 'alice@example.test', displayName: 'Alice Example', groups: ['staff'] },
          { username: 'ivan', displayName: 'Иван Петров', groups: ['staff', 'editors'] },
          { username: 'root1', groups: ['staff', 'admins'] },
        ],
      },
    ],
    roles: [{ when: { group: 'editors' }, grant: { roles: ['editor'] } }],
    applications: [
      {
        name: 'app',
        title: 'The application',
        hosts: ['app.example.test'],
        ...(upstream === undefined ? {} : { upstream }),
        headers: { encoding: 'percent' },
        rules: [
          { paths: ['/public/**'], access: 'public' },
          { paths: ['/admin/**'], access: { groups: ['admins'] } },
          { paths: ['/api/**'], methods: ['GET'], access: { groups: ['staff'] } },
          { paths: ['/api/**'], access: { roles: ['editor'] } },
          { access: { groups: ['staff'] } },
        ],
      },
      {
        name: 'whoami',
        hosts: ['who.example.test'],
        upstream: 'whoami',
        rules: [{ access: 'authenticated' }],
      },
    ],
    ...overrides,
  };
}

/** A signed-in visitor of the application's host. */
export async function signedIn(
  gateway: TestGateway,
  username: string,
  host: readonly [string, string] = appHost,
): Promise<Visitor> {
  const visitor = new Visitor(gateway.port, [host]);
  const answer = await visitor.signIn(username, gateway.passwords.get(`staff:${username}`) as string);
  if (answer.status !== 303)
    throw new Error(`${username} could not sign in: ${answer.status}\n${gateway.logText}`);
  return visitor;
}

export async function startSite(
  upstream?: string,
  overrides?: Record<string, unknown>,
): Promise<TestGateway> {
  return await startGateway({ config: siteConfig(upstream, overrides) });
}
