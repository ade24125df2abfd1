import assert from 'node:assert/strict';
import { once } from 'node:events';
import { Agent, type IncomingHttpHeaders, type IncomingMessage, request } from 'node:http';
import { after, describe, test } from 'node:test';
import { startGateway } from '#test/servers/gateway.ts';
import { askAsNginx, Visitor } from '#test/support/http-client.ts';
import { until } from '#test/support/until.ts';

const portalHost = ['Host', 'gw.example.test'] as const;
const appHost = ['Host', 'app.example.test'] as const;

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

interface Ask {
  readonly port: number;
  readonly path?: string;
  readonly method?: string;
  readonly headers: readonly (readonly [string, string])[];
  readonly body?: string;
}

/** Keeps its connections: a process that is held up takes few new ones. */
const agent = new Agent({ keepAlive: true });
after(() => agent.destroy());

async function ask({ headers, body, ...more }: Ask): Promise<Answer> {
  const sent = request({ ...more, host: '127.0.0.1', agent, headers: headers.flat() }).end(body);
  const [response] = (await once(sent, 'response')) as [IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return { status: response.statusCode, headers: response.headers, body: text };
}

/** Holds this process up as a worker is that has too much to do; the gateway runs in it. */
function holdUp(): Disposable {
  const never = new Int32Array(new SharedArrayBuffer(4));
  const timer = setInterval(() => void Atomics.wait(never, 0, 0, 100), 10);
  return { [Symbol.dispose]: () => clearInterval(timer) };
}

describe('a worker that is held up again and again', () => {
  test('gives up anonymous requests first, then all of applications, then the form; never forward-auth', async () => {
    await using gateway = await startGateway({
      config: {
        server: { publicUrl: 'http://gw.example.test', limits: { eventLoopDelay: '40ms' } },
        session: { cookie: { domain: 'example.test' } },
        providers: [{ name: 'staff', type: 'local', users: [{ username: 'alice' }] }],
        applications: [
          { name: 'app', hosts: [appHost[1]], upstream: 'whoami', rules: [{ access: 'public' }] },
        ],
      },
    });
    const { port } = gateway;
    const visitor = new Visitor(port, [portalHost]);
    const password = gateway.passwords.get('staff:alice') as string;
    assert.equal((await visitor.signIn('alice', password)).status, 303);
    const cookie = ['Cookie', visitor.cookieHeader] as const;

    const kinds: Readonly<Record<string, () => Promise<Answer>>> = {
      anonymous: async () => await ask({ port, headers: [appHost] }),
      person: async () => await ask({ port, headers: [appHost, cookie] }),
      form: async () => await ask({ port, path: '/_vratar/login', headers: [portalHost] }),
      decision: async () => await askAsNginx(port, 'http://app.example.test/', [portalHost, cookie]),
    };
    /** In the order in which each kind was refused for the first time. */
    const refused: string[] = [];
    const statuses = new Map(Object.keys(kinds).map((kind) => [kind, new Set<number | undefined>()]));
    let first: Answer | undefined;
    let isRunning = true;
    const asking = Object.entries(kinds).flatMap(([kind, once]) =>
      Array.from({ length: 5 }, async () => {
        while (isRunning) {
          const answer = await once();
          statuses.get(kind)?.add(answer.status);
          if (answer.status === 503 && !refused.includes(kind)) refused.push(kind);
          if (answer.status === 503) first ??= answer;
        }
      }),
    );
    {
      using _overload = holdUp();
      await until(() => refused.includes('form'), { timeoutMs: 90_000, what: 'a refused sign-in form' });
    }
    isRunning = false;
    await Promise.all(asking);
    assert.deepEqual(refused, ['anonymous', 'person', 'form']);
    assert.deepEqual([...(statuses.get('decision') ?? [])], [200]);
    assert.equal(first?.headers['retry-after'], '5');
    assert.equal((JSON.parse(first?.body ?? '') as { error: string }).error, 'OVERLOADED');
    assert.match(await gateway.metrics(), /^vratar_requests_shed_total\{surface="proxy"\} [1-9]/m);

    await until(async () => (await kinds['anonymous']?.())?.status === 200, {
      timeoutMs: 90_000,
      what: 'the end of the overload',
    });
    for (const [kind, once] of Object.entries(kinds)) assert.equal((await once()).status, 200, kind);
    await until(() => gateway.logs.some(({ event }) => event === 'overload.ended'));
    const events = gateway.logs.map(({ event }) => event).filter((event) => event.startsWith('overload.'));
    assert.deepEqual(events, ['overload.began', 'overload.ended']);
  });

  test('shows people a page, in their language, and leaves a body that comes with a request', async () => {
    await using gateway = await startGateway({
      config: {
        server: { publicUrl: 'http://gw.example.test', limits: { eventLoopDelay: '40ms' } },
        providers: [],
        applications: [
          { name: 'app', hosts: [appHost[1]], upstream: 'whoami', rules: [{ access: 'public' }] },
        ],
      },
    });
    const { port } = gateway;
    using _overload = holdUp();
    const page = await until(
      async () => {
        const answers = await Promise.all(
          Array.from(
            { length: 10 },
            async () =>
              await ask({
                port,
                method: 'POST',
                body: 'a=b',
                headers: [
                  appHost,
                  ['Accept', 'text/html'],
                  ['Accept-Language', 'ru'],
                  ['Content-Length', '3'],
                ],
              }),
          ),
        );
        return answers.find(({ status }) => status === 503);
      },
      { timeoutMs: 90_000, what: 'a refusal' },
    );
    assert.match(page.body, /<html lang="ru"/);
    assert.equal(page.headers['retry-after'], '5');
    assert.equal(page.headers.connection, 'close');
  });
});
