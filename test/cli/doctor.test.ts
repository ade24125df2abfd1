/** `vratar doctor` on real front proxies with the shipped snippets, and what it says when it cannot look. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { frontProxies, mendings } from '#src/cli/doctor/mending.ts';
import { siteConfig, startSite } from '#test/gateway/site.ts';
import { startApache } from '#test/servers/apache.ts';
import { startCaddy } from '#test/servers/caddy.ts';
import { createAuthority } from '#test/servers/certificates.ts';
import type { TestGateway } from '#test/servers/gateway.ts';
import { startHaproxy } from '#test/servers/haproxy.ts';
import { protectedServer, startNginx } from '#test/servers/nginx.ts';
import { freePort } from '#test/support/free-port.ts';
import { examine, lineOf, run } from './examination.ts';

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

describe('vratar doctor', () => {
  for (const [name, argv] of [
    ['told by the configuration', () => [`--config=${config}`]],
    ['told by hand', () => ['--public=/public/x', '--path=/admin/x']],
  ] as const) {
    test(`finds nothing to mend behind the shipped snippets, ${name}`, async () => {
      const { code, out, err } = await examine(gateway, { argv });
      assert.equal(err, '');
      assert.deepEqual(lineOf(out, 'FAIL'), [], out);
      assert.deepEqual(lineOf(out, 'not tried'), [
        'not tried  the application is reached through the front proxy only (no --direct URL given)',
      ]);
      assert.equal(lineOf(out, 'ok').length, 14);
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
      const { code, out } = await run(
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
      assert.deepEqual(lineOf(out, 'FAIL'), [], out);
      assert.equal(lineOf(out, 'ok').length, 14, out);
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
    const { code, out } = await run(
      [
        `--through=http://app.example.test:${alone.port}/spaces`,
        `--connect=127.0.0.1:${alone.port}`,
        '--public=/public/x',
        '--user=alice',
      ],
      alone.passwords.get('staff:alice'),
    );
    assert.deepEqual(lineOf(out, 'FAIL'), [], out);
    assert.equal(lineOf(out, 'ok').length, 13, out);
    assert.match(out, /^not tried {2}a body goes to the application alone \(no question shows/m);
    assert.equal(code, 0);
  });

  test('looks over https as a command, and says so when the certificate is not to be believed', async () => {
    await using authority = await createAuthority();
    const certificate = await authority.issue({ hosts: ['app.example.test'] });
    const echo = `127.0.0.1:${await freePort()}`;
    await using nginx = await startNginx({
      gateway: `127.0.0.1:${gateway.port}`,
      servers: (port) => protectedServer({ port, application: `http://${echo}`, certificate }),
    });
    const command = async (environment: Record<string, string>) => {
      const launcher = fileURLToPath(new URL('../../src/launcher.mjs', import.meta.url));
      const child = spawn(
        process.execPath,
        [
          launcher,
          'doctor',
          `--through=https://app.example.test:${nginx.port}/spaces`,
          `--connect=127.0.0.1:${nginx.port}`,
          `--echo=${echo}`,
          '--public=/public/x',
          '--user=alice',
        ],
        { env: { PATH: process.env['PATH'] ?? '', ...environment } },
      );
      child.stdin.end(`${gateway.passwords.get('staff:alice')}\n`);
      const exited = once(child, 'close');
      const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
      const [code] = (await exited) as [number];
      return { code, out, err };
    };
    const believed = await command({ NODE_EXTRA_CA_CERTS: authority.caFile });
    assert.deepEqual(lineOf(believed.out, 'FAIL'), [], believed.out);
    assert.equal(believed.code, 0, believed.err);
    const doubtful = await command({});
    assert.equal(doubtful.code, 1);
    assert.match(doubtful.err, /^vratar doctor: .*certificate/);
  });

  test('says why it tried less: nobody signed in, no open page, no whoami page', async () => {
    const nobody = await examine(gateway, { argv: () => ['--user=nobody'] });
    assert.equal(nobody.code, 0, nobody.out);
    assert.match(
      nobody.out,
      /not tried .*the sign-in of nobody was refused \(401\), and no open page is known/,
    );
  });

  test('says that the front proxy is not reached, and does not call that protection', async () => {
    const port = await freePort();
    const { code, out, err } = await run([`--through=http://127.0.0.1:${port}/`]);
    assert.equal(code, 1);
    assert.equal(out, '');
    assert.match(err, /ECONNREFUSED/);
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
      const { code, err } = await run(argv);
      assert.equal(code, 64);
      assert.match(err, /^vratar doctor: /);
    });
  }

  test('refuses a configuration that has no such application', async () => {
    const { code, err } = await run(['--through=http://other.example.test/', `--config=${config}`]);
    assert.equal(code, 78);
    assert.match(err, /no application at http:\/\/other\.example\.test\//);
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
