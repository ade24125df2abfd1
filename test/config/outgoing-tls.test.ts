import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { readLines } from '#test/config/reading.ts';
import { type Authority, type Certificate, createAuthority } from '#test/servers/certificates.ts';

interface Files {
  readonly caFile?: string;
  readonly certificateFile?: string;
  readonly keyFile?: string;
}

describe('what a connection to a server over TLS needs', () => {
  let authority: Authority;
  let own: Certificate;
  let other: Certificate;
  const folder = mkdtempSync(join(tmpdir(), 'vratar-test-'));
  const text = join(folder, 'text.pem');
  const half = join(folder, 'half.pem');
  const whole = join(folder, 'whole.pem');
  before(async () => {
    authority = await createAuthority();
    own = await authority.issue({ hosts: ['gateway.example.com'] });
    other = await authority.issue({ hosts: ['gateway.example.com'] });
    const pem = readFileSync(authority.caFile, 'latin1');
    writeFileSync(text, 'no certificate\n');
    writeFileSync(half, `${pem}\n${pem.replace(/\n[A-Za-z0-9+/]{64}\n/, '\n')}`);
    writeFileSync(whole, `# Ours\n${pem}\nSubject: the same once more\n${pem}`);
  });
  after(async () => {
    await authority[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const cases: readonly (readonly [what: string, files: () => Files, problem: RegExp | undefined])[] = [
    ['is fine', () => ({ caFile: authority.caFile, ...own }), undefined],
    ['may be a list of authorities with words between them', () => ({ caFile: whole }), undefined],
    ['is no text', () => ({ caFile: text }), /\.tls\.caFile: holds no certificate in PEM form$/],
    [
      'is no list with a broken authority',
      () => ({ caFile: half }),
      /\.tls\.caFile: holds a certificate that cannot be read \(number 2\)$/,
    ],
    [
      'is no certificate with the key of another',
      () => ({ certificateFile: own.certificateFile, keyFile: other.keyFile }),
      /\.tls\.keyFile: is not the key of the certificate$/,
    ],
  ];
  const places: Readonly<Record<string, (tls: Files) => Record<string, unknown>>> = {
    'a directory': (tls) => ({
      directories: [
        {
          name: 'corp',
          servers: ['ldaps://dc.example.com'],
          kind: 'openLdap',
          tls,
          bind: { dn: 'cn=gateway', password: 'x' },
          users: { baseDn: 'dc=example,dc=com' },
          groups: { baseDn: 'dc=example,dc=com' },
        },
      ],
    }),
    'an application': (tls) => ({
      applications: [
        {
          name: 'wiki',
          hosts: ['wiki.example.com'],
          upstream: 'https://10.0.0.5',
          proxy: { tls },
          rules: [{ access: 'public' }],
        },
      ],
    }),
  };
  for (const [place, sections] of Object.entries(places)) {
    for (const [what, files, problem] of cases) {
      test(`${what}, for ${place}`, () => {
        const server = { publicUrl: 'https://login.example.com' };
        const providers = [{ name: 'staff', type: 'local', users: [{ username: 'alice' }] }];
        const { problems } = readLines(JSON.stringify({ server, providers, ...sections(files()) }));
        assert.equal(problems.length, problem === undefined ? 0 : 1, problems.join('\n'));
        if (problem !== undefined) assert.match(problems[0] as string, problem);
      });
    }
  }
});
