/** `vratar doctor` against a real nginx in front of the composed gateway, with the shipped snippets and with spoiled ones. */
import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import type { ProbeName } from '#src/cli/doctor/finding.ts';
import { frontProxies, mendings } from '#src/cli/doctor/mending.ts';
import { doctor } from '#src/cli/doctor.ts';
import { siteConfig, startSite } from '#test/gateway/site.ts';
import { startApache } from '#test/servers/apache.ts';
import { startCaddy } from '#test/servers/caddy.ts';
import type { TestGateway } from '#test/servers/gateway.ts';
import { startHaproxy } from '#test/servers/haproxy.ts';
import { type NginxOptions, protectedServer, startNginx } from '#test/servers/nginx.ts';
import { freePort } from '#test/support/free-port.ts';

interface Result {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(argv: readonly string[], password = ''): Promise<Result> {
  const stdin = new PassThrough();
  stdin.end(`${password}\n`);
  const written = { stdout: '', stderr: '' };
  const code = await doctor(argv, {
    env: {},
    stdin,
    stdout: { write: (text) => (written.stdout += text) },
    stderr: { write: (text) => (written.stderr += text) },
  });
  return { code, ...written };
}

let gateway: TestGateway;
let folder: string;
let config: string;
before(async () => {
  gateway = await startSite();
  folder = mkdtempSync(join(tmpdir(), 'vratar-doctor-'));
  config = join(folder, 'vratar.yaml');
  writeFileSync(config, JSON.stringify(siteConfig()));
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await gateway[Symbol.asyncDispose]();
});

interface Plant {
  readonly spoil?: NginxOptions['spoil'];
  /** More lines of the server block; `${application}` stands for its address. */
  readonly server?: string;
  /** More lines of the protected location. */
  readonly location?: string;
  readonly argv?: (addresses: { readonly echo: string }) => readonly string[];
}

/** The doctor's words about an nginx that is configured like that. */
async function examine({ spoil, server = '', location = '', argv = () => [] }: Plant): Promise<Result> {
  const echo = `127.0.0.1:${await freePort()}`;
  await using nginx = await startNginx({
    gateway: `127.0.0.1:${gateway.port}`,
    ...(spoil === undefined ? {} : { spoil }),
    servers: (port) =>
      protectedServer({ port, application: `http://${echo}`, location }).replace(
        /\}\s*$/,
        `${server.replaceAll('${application}', `http://${echo}`)}\n}`,
      ),
  });
  return await run(
    [
      `--through=http://app.example.test:${nginx.port}/spaces`,
      `--connect=127.0.0.1:${nginx.port}`,
      `--echo=${echo}`,
      '--user=alice',
      ...argv({ echo }),
    ],
    gateway.passwords.get('staff:alice'),
  );
}

const lineOf = (stdout: string, word: string): readonly string[] =>
  stdout.split('\n').filter((line) => line.startsWith(word));

/** Takes every line with `part` out of one snippet. */
function without(file: string, part: string): NginxOptions['spoil'] {
  return (text, name) => {
    if (name !== file) return text;
    assert.ok(text.includes(part), part);
    return text
      .split('\n')
      .filter((line) => !line.includes(part))
      .join('\n');
  };
}

function replaced(file: string, part: string, by: string): NginxOptions['spoil'] {
  return (text, name) => {
    if (name !== file) return text;
    assert.ok(text.includes(part), part);
    return text.replaceAll(part, by);
  };
}

describe('vratar doctor', () => {
  for (const [name, argv] of [
    ['told by the configuration', () => [`--config=${config}`]],
    ['told by hand', () => ['--public=/public/x', '--path=/admin/x']],
  ] as const) {
    test(`finds nothing to mend behind the shipped snippets, ${name}`, async () => {
      const { code, stdout, stderr } = await examine({ argv });
      assert.equal(stderr, '');
      assert.deepEqual(lineOf(stdout, 'FAIL'), [], stdout);
      assert.deepEqual(lineOf(stdout, 'not tried'), [
        'not tried  the application is reached through the front proxy only (no --direct URL given)',
      ]);
      assert.equal(lineOf(stdout, 'ok').length, 14);
      assert.equal(code, 0);
    });
  }

  for (const [name, start] of [
    ['caddy', startCaddy],
    ['haproxy', startHaproxy],
    ['apache', startApache],
  ] as const) {
    test(`finds nothing to mend behind the shipped snippets for ${name}`, async () => {
      const application = `127.0.0.1:${await freePort()}`;
      await using proxy = await start({ gateway: `127.0.0.1:${gateway.port}`, application });
      const { code, stdout } = await run(
        [
          `--through=http://app.example.test:${proxy.port}/spaces`,
          `--connect=127.0.0.1:${proxy.port}`,
          `--echo=${application}`,
          `--config=${config}`,
          `--proxy=${name}`,
          '--user=alice',
        ],
        gateway.passwords.get('staff:alice'),
      );
      assert.deepEqual(lineOf(stdout, 'FAIL'), [], stdout);
      assert.equal(lineOf(stdout, 'ok').length, 14, stdout);
      assert.equal(code, 0);
    });
  }

  test('finds nothing to mend where the gateway itself is the reverse proxy', async () => {
    const whoami = {
      name: 'whoami',
      hosts: ['app.example.test'],
      upstream: 'whoami',
      rules: [{ paths: ['/public/**'], access: 'public' }, { access: 'authenticated' }],
    };
    const alone = await startSite(undefined, {
      server: { publicUrl: 'http://gw.example.test', trustedProxies: [] },
      applications: [whoami],
    });
    await using _ = alone;
    const { code, stdout } = await run(
      [
        `--through=http://app.example.test:${alone.port}/spaces`,
        `--connect=127.0.0.1:${alone.port}`,
        '--public=/public/x',
        '--user=alice',
      ],
      alone.passwords.get('staff:alice'),
    );
    assert.deepEqual(lineOf(stdout, 'FAIL'), [], stdout);
    assert.equal(lineOf(stdout, 'ok').length, 13, stdout);
    assert.match(stdout, /^not tried {2}a body goes to the application alone \(no question shows/m);
    assert.equal(code, 0);
  });

  const plants: readonly (Plant & {
    readonly name: string;
    readonly finds: readonly ProbeName[];
    readonly says: RegExp;
    readonly mends: string;
  })[] = [
    {
      name: 'an identity header that is not cleared',
      spoil: without('vratar-protect.conf', 'proxy_set_header Remote-Roles'),
      finds: ['forged-identity'],
      says: /received Remote-Roles: vratar-doctor-forged/,
      mends: 'proxy_set_header Remote-Roles $vratar_roles;',
    },
    {
      name: 'an underscore twin',
      spoil: replaced('vratar-http.conf', 'underscores_in_headers off', 'underscores_in_headers on'),
      finds: ['twins'],
      says: /received Remote_User: /,
      mends: 'underscores_in_headers off;',
    },
    {
      name: 'a twin with a dot',
      spoil: replaced('vratar-http.conf', 'ignore_invalid_headers on', 'ignore_invalid_headers off'),
      finds: ['twins'],
      says: /received Remote\.User: /,
      mends: 'ignore_invalid_headers on;',
    },
    {
      name: 'X-Forwarded-For appended blindly for the application',
      spoil: replaced(
        'vratar-protect.conf',
        'X-Forwarded-For $remote_addr',
        'X-Forwarded-For $proxy_add_x_forwarded_for',
      ),
      finds: ['forwarded-for'],
      says: /the application received X-Forwarded-For: 203\.0\.113\.77, 127\.0\.0\.1/,
      mends: 'proxy_set_header X-Forwarded-For $remote_addr;',
    },
    {
      name: 'X-Forwarded-For appended blindly in the question',
      spoil: replaced(
        'vratar.conf',
        'X-Forwarded-For $remote_addr',
        'X-Forwarded-For $proxy_add_x_forwarded_for',
      ),
      finds: ['forwarded-for'],
      says: /the gateway is told the X-Forwarded-For that the client made up/,
      mends: 'proxy_set_header X-Forwarded-For $remote_addr;',
    },
    {
      name: 'a redirect inside auth_request',
      spoil: (text, name) =>
        name === 'vratar.conf'
          ? text
              .replace(
                'location = /_vratar/auth/nginx {\n    internal;\n    proxy_pass http://vratar;',
                `location = /_vratar/auth/nginx {
    internal;
    proxy_pass http://vratar/_vratar/auth/traefik;
    proxy_set_header X-Forwarded-Uri $request_uri;
    proxy_set_header X-Forwarded-Method $request_method;`,
              )
              .replace(
                /(auth\/traefik;[^}]*?)\n {4}proxy_set_header X-Forwarded-Method "";\n {4}proxy_set_header X-Forwarded-Uri "";/,
                '$1',
              )
          : text,
      finds: ['navigation'],
      says: /GET by a person gets 503: a redirect inside the question/,
      mends: 'error_page 401 = $vratar_on_challenge;',
    },
    {
      name: 'cookies of the gateway that are not relayed',
      spoil: replaced(
        'vratar.conf',
        '    # The gateway takes forms up to 16 KiB.',
        '    proxy_hide_header Set-Cookie;',
      ),
      finds: ['cookie-relay'],
      says: /the cookie of the sign-in form does not arrive/,
      mends: 'add_header Set-Cookie $vratar_set_cookie always;',
    },
    {
      name: 'an endpoint that strangers reach',
      spoil: replaced('vratar.conf', 'auth/nginx {\n    internal;', 'auth/nginx {'),
      finds: ['endpoint'],
      says: /\/_vratar\/auth\/nginx answers a stranger/,
      mends: 'internal;',
    },
    {
      name: 'a location without auth_request',
      server: 'location /static/ { proxy_pass ${application}; }',
      finds: ['locations'],
      says: /\/static\/vratar-doctor is served without a question \(200\)/,
      mends: 'location / { include snippets/vratar-protect.conf; proxy_pass http://127.0.0.1:3000; }',
    },
    {
      name: 'a location that is named with --path',
      server: 'location /reports/ { return 200 "report"; }',
      argv: () => ['--path=/reports/2026'],
      finds: ['locations'],
      says: /\/reports\/2026 is served without a question \(200\)/,
      mends: 'location / { include snippets/vratar-protect.conf; proxy_pass http://127.0.0.1:3000; }',
    },
    {
      name: 'a Content-Length in the question',
      spoil: (text, name) =>
        without('vratar.conf', 'proxy_set_header Content-Length')?.(
          without('vratar.conf', 'proxy_pass_request_body off')?.(text, name) ?? '',
          name,
        ) ?? '',
      finds: ['body'],
      says: /the question announces a body \(Content-Length\)/,
      mends: 'proxy_set_header Content-Length "";',
    },
    {
      name: '$uri instead of $request_uri',
      spoil: replaced('vratar.conf', '$vratar_port$request_uri', '$vratar_port$uri'),
      finds: ['original-address'],
      // Inside the question $uri is the address of the endpoint: every page would be judged alike.
      says: /but the gateway judged http:\/\/app\.example\.test:\d+\/_vratar\/auth\/nginx$/m,
      mends: 'proxy_set_header X-Original-URL $scheme://$host$vratar_port$request_uri;',
    },
    {
      name: 'a decoded address in the question',
      spoil: replaced('vratar.conf', '$vratar_port$request_uri', '$vratar_port$decoded'),
      location: 'set $decoded $uri$is_args$args;',
      finds: ['original-address'],
      says: /but the gateway judged http:\/\/app\.example\.test:\d+\/vratar-doctor\/~a\/b;c=1\?q=%2F&r=1$/m,
      mends: 'proxy_set_header X-Original-URL $scheme://$host$vratar_port$request_uri;',
    },
    {
      name: 'an application that is reached past the proxy',
      argv: ({ echo }) => [`--direct=http://${echo}/`],
      finds: ['direct'],
      says: /answers 200 to anybody who reaches it/,
      mends:
        '# the application is reached through the front proxy only: let the application listen on loopback',
    },
    {
      name: 'the session ticket in the hands of the application',
      spoil: without('vratar-protect.conf', 'proxy_set_header Cookie'),
      finds: ['ticket'],
      says: /the application received Cookie: /,
      mends: 'proxy_set_header Cookie $vratar_application_cookie;',
    },
    {
      name: 'a metadata header of the client that reaches the gateway',
      spoil: without('vratar.conf', 'proxy_set_header X-Original-URI'),
      finds: ['forged-address'],
      says: /the gateway is told the X-Original-URI/,
      mends: 'proxy_set_header X-Original-URI "";',
    },
    {
      name: 'an identity that is not handed on',
      spoil: without('vratar-protect.conf', 'auth_request_set $vratar_user '),
      server: 'set $vratar_user "";',
      finds: ['identity'],
      says: /received Remote-User 0 times/,
      mends: 'auth_request_set $vratar_user $upstream_http_remote_user;',
    },
  ];
  for (const { name, finds, says, mends, argv = () => [], ...plant } of plants) {
    test(`finds ${name} and prints what mends it`, async () => {
      const { code, stdout, stderr } = await examine({
        ...plant,
        argv: (addresses) => ['--public=/public/x', ...argv(addresses)],
      });
      assert.equal(stderr, '');
      assert.match(stdout, says);
      assert.ok(stdout.slice(stdout.indexOf('What mends it')).includes(`\n${mends}`), stdout);
      const failed = stdout.split('\n').flatMap((line) => (/^# (.+?): /.exec(line) ?? []).slice(1));
      assert.deepEqual(
        failed.length,
        finds.length,
        `more than what was planted: ${failed.join(' | ')}\n${stdout}`,
      );
      assert.equal(code, 1);
    });
  }

  test('says why it tried less: nobody signed in, no open page, no whoami page', async () => {
    const nobody = await examine({ argv: () => ['--user=nobody'] });
    assert.equal(nobody.code, 0, nobody.stdout);
    assert.match(
      nobody.stdout,
      /not tried .*the sign-in of nobody was refused \(401\), and no open page is known/,
    );
  });

  test('says that the front proxy is not reached, and does not call that protection', async () => {
    const port = await freePort();
    const { code, stdout, stderr } = await run([`--through=http://127.0.0.1:${port}/`]);
    assert.equal(code, 1);
    assert.equal(stdout, '');
    assert.match(stderr, /ECONNREFUSED/);
  });

  for (const argv of [
    [],
    ['--through=ftp://a/'],
    ['--through=http://a/', '--proxy=squid'],
    ['--through=http://a/', '--echo=9000'],
    ['--through=http://a/', '--direct=a:1'],
    ['--through=http://a/', '--unknown'],
  ]) {
    test(`refuses the arguments ${JSON.stringify(argv)}`, async () => {
      const { code, stderr } = await run(argv);
      assert.equal(code, 64);
      assert.match(stderr, /^vratar doctor: /);
    });
  }

  test('refuses a configuration that has no such application', async () => {
    const { code, stderr } = await run(['--through=http://other.example.test/', `--config=${config}`]);
    assert.equal(code, 78);
    assert.match(stderr, /no application at http:\/\/other\.example\.test\//);
  });
});

test('every line the doctor prints stands in the snippets of that proxy', () => {
  for (const proxy of frontProxies) {
    const deploy = new URL(`../../deploy/${proxy}/`, import.meta.url);
    const shipped = readdirSync(deploy)
      .map((file) => readFileSync(new URL(file, deploy), 'utf8'))
      .join('\n');
    for (const { lines } of Object.values(mendings))
      for (const line of lines[proxy] ?? []) assert.ok(shipped.includes(line), `${proxy}: ${line}`);
  }
});
