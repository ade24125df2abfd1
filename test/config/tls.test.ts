import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readLines } from '#test/config/reading.ts';
import { type Authority, type Certificate, createAuthority } from '#test/servers/certificates.ts';

interface Case {
  readonly what: string;
  readonly publicUrl?: string;
  readonly tls: () => Certificate;
  readonly redirect?: string;
  readonly problems?: readonly RegExp[];
  readonly warnings?: readonly RegExp[];
}

describe('the certificate of the public listener', () => {
  let authority: Authority;
  let good: Certificate;
  let other: Certificate;
  let expired: Certificate;
  let expiring: Certificate;
  const folder = mkdtempSync(join(tmpdir(), 'vratar-test-'));
  const text = join(folder, 'text.pem');
  before(async () => {
    authority = await createAuthority();
    const hosts = ['login.example.com', '*.app.example.com'];
    const issue = async (until?: string): Promise<Certificate> => {
      const issued = await authority.issue({ hosts, ...(until === undefined ? {} : { until }) });
      chmodSync(issued.keyFile, 0o600);
      return issued;
    };
    good = await issue();
    other = await issue();
    expired = await authority.issue({ hosts, from: '20200101000000Z', until: '20200201000000Z' });
    chmodSync(expired.keyFile, 0o600);
    const soon = new Date(Date.now() + 3 * 86_400_000 + 60_000);
    expiring = await issue(`${soon.toISOString().replaceAll(/[-:T]/g, '').slice(0, 14)}Z`);
    writeFileSync(text, 'no certificate\n');
  });
  after(async () => {
    await authority[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const cases: readonly Case[] = [
    { what: 'that fits is taken without a word', tls: () => good },
    {
      what: 'with the key of another one is refused',
      tls: () => ({ certificateFile: good.certificateFile, keyFile: other.keyFile }),
      problems: [/server\.tls\.keyFile: is not the key of the certificate$/],
    },
    {
      what: 'that is none is refused',
      tls: () => ({ certificateFile: text, keyFile: good.keyFile }),
      problems: [/server\.tls\.certificateFile: holds no certificate in PEM form$/],
    },
    {
      what: 'whose key is none is refused',
      tls: () => ({ certificateFile: good.certificateFile, keyFile: text }),
      problems: [/server\.tls\.keyFile: holds no private key in PEM form without a passphrase$/],
    },
    {
      what: 'needs a public address over https',
      publicUrl: 'http://login.example.com',
      tls: () => good,
      problems: [/server\.publicUrl: must be https: the gateway itself ends TLS$/],
    },
    {
      what: 'that has expired is named',
      tls: () => expired,
      warnings: [/server\.tls\.certificateFile: the certificate has expired$/],
    },
    {
      what: 'that ends within two weeks is named',
      tls: () => expiring,
      warnings: [/server\.tls\.certificateFile: the certificate expires in 3 days$/],
    },
    {
      what: 'that is not for the public host is named',
      publicUrl: 'https://gate.example.com',
      tls: () => good,
      warnings: [/server\.publicUrl: the certificate of server\.tls is not for gate\.example\.com$/],
    },
    {
      what: 'does not go with a redirect on the same address',
      tls: () => good,
      redirect: '127.0.0.1:8080',
      problems: [/server\.redirect\.listen: is the address of server\.listen$/],
    },
  ];
  for (const { what, publicUrl = 'https://login.example.com', tls, redirect, problems, warnings } of cases) {
    test(what, () => {
      const server = {
        publicUrl,
        tls: tls(),
        ...(redirect === undefined ? {} : { redirect: { listen: redirect } }),
      };
      const providers = [{ name: 'staff', type: 'local', users: [{ username: 'alice' }] }];
      const read = readLines(JSON.stringify({ server, providers }));
      assert.equal(read.problems.length, problems?.length ?? 0, read.problems.join('\n'));
      for (const [i, pattern] of (problems ?? []).entries())
        assert.match(read.problems[i] as string, pattern);
      const told = read.warnings.filter((line) => line.includes('certificate'));
      assert.equal(told.length, warnings?.length ?? 0, told.join('\n'));
      for (const [i, pattern] of (warnings ?? []).entries()) assert.match(told[i] as string, pattern);
    });
  }

  test('whose key others can read is named', () => {
    chmodSync(good.keyFile, 0o644);
    const server = { publicUrl: 'https://login.example.com', tls: good };
    const { warnings } = readLines(JSON.stringify({ server, providers: [] }));
    assert.ok(
      warnings.some((line) =>
        line.includes('server.tls.keyFile: the file is readable for other accounts; make its mode 0600'),
      ),
    );
  });
});
