/** The site that benchmarks ask: one person of ten groups, a wiki with a rule of each sort, twenty applications beside it. */
import type { GatewayProcess, GatewaySetup } from '#test/servers/gateway.ts';
import { Visitor } from '#test/support/http-client.ts';

export const wikiHost = 'wiki.example.test';

/** `upstream`: of all applications; omitted, they are decided on only. `server`: further options of it. */
export function wikiSite({
  upstream,
  server,
}: {
  readonly upstream?: string;
  readonly server?: Readonly<Record<string, unknown>>;
} = {}): GatewaySetup['config'] {
  const behind = upstream === undefined ? {} : { upstream };
  return {
    server: { publicUrl: 'http://login.example.test', workers: 1, ...server },
    session: { cookie: { domain: 'example.test' } },
    providers: [
      {
        name: 'staff',
        type: 'local',
        users: [
          {
            username: 'alice',
            email: 'alice@example.test',
            displayName: 'Alice Example',
            groups: Array.from({ length: 10 }, (_, i) => `app-group-${i}`),
          },
        ],
      },
    ],
    roles: [{ when: { group: 'app-group-1' }, grant: { roles: ['reader', 'editor'] } }],
    applications: [
      {
        name: 'wiki',
        hosts: [wikiHost],
        ...behind,
        rules: [
          { paths: ['/healthz'], access: 'public' },
          { paths: ['/admin/**'], access: { groups: ['admins'] } },
          { paths: ['/api/**'], methods: ['GET'], access: 'authenticated' },
          { networks: ['10.0.0.0/8'], access: { groups: ['staff'] } },
          { access: { groups: ['app-group-7'] } },
        ],
      },
      ...Array.from({ length: 20 }, (_, i) => ({
        name: `other-${i}`,
        hosts: [`other-${i}.example.test`],
        ...behind,
        rules: [{ access: 'authenticated' }],
      })),
    ],
  };
}

/** The browser of alice, signed in at the portal of a gateway whose local provider generated her password. */
export async function signInAlice(gateway: GatewayProcess): Promise<Visitor> {
  const visitor = new Visitor(gateway.port, [['Host', 'login.example.test']]);
  const { status } = await visitor.signIn('alice', await gateway.passwordOf('alice'));
  if (status !== 303) throw new Error(`sign-in answered ${status}`);
  return visitor;
}
