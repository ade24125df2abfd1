import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { zimbra as command } from '#src/cli/zimbra.ts';
import { key, newKey, startMail } from '#test/preauth/site.ts';
import { type Authority, createAuthority } from '#test/servers/certificates.ts';
import { startUpstream } from '#test/servers/upstream.ts';
import type { TestZimbra, ZimbraSetup } from '#test/servers/zimbra.ts';
import { type CommandRun, runCommand } from '#test/support/command-run.ts';
import { freePort } from '#test/support/free-port.ts';

let folder: string;
let authority: Authority;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'vratar-zimbra-'));
  writeFileSync(join(folder, 'zimbra.key'), `${key}\n`, { mode: 0o600 });
  writeFileSync(join(folder, 'next.key'), `${newKey()}\n`, { mode: 0o600 });
  authority = await createAuthority();
});
after(async () => {
  rmSync(folder, { recursive: true, force: true });
  await authority[Symbol.asyncDispose]();
});

async function run(argv: readonly string[], options: Readonly<Record<string, unknown>>): Promise<CommandRun> {
  const file = join(folder, 'vratar.yaml');
  const config = {
    server: { publicUrl: 'https://login.example.test' },
    zimbra: [
      { name: 'mail', domains: { 'example.test': { preauthKey: { file: 'zimbra.key' } } }, ...options },
    ],
  };
  writeFileSync(file, JSON.stringify(config));
  return await runCommand(command, argv, { env: { VRATAR_CONFIG: file } });
}

const tryAs = (account: string): readonly string[] => ['test', 'mail', '--account', account];

interface Row {
  readonly name: string;
  readonly mail?: Partial<ZimbraSetup>;
  /** Beside url. */
  readonly options?: Readonly<Record<string, unknown>>;
  readonly account?: string;
  readonly more?: readonly string[];
  readonly code?: number;
  /** The sentence, with `URL` for the address of the mail server. */
  readonly expect: string | RegExp;
}

const rows: readonly Row[] = [
  {
    name: 'everything is right',
    code: 0,
    expect: /^works: URL signs alice@example\.test in, the clocks differ by \d s\.$/,
  },
  {
    name: 'the key is wrong',
    mail: { domains: { 'example.test': newKey() } },
    expect:
      "key: URL refuses alice@example.test: the key of example.test is not Zimbra's (compare with zmprov gd example.test zimbraPreAuthKey), or no such account may sign in; Zimbra tells the two apart only in its mailbox.log.",
  },
  {
    name: 'the key has been changed, and the successor is known',
    mail: { domains: { 'example.test': 'next' } },
    options: {
      interface: 'soap',
      domains: {
        'example.test': { preauthKey: { file: 'zimbra.key' }, nextPreauthKey: { file: 'next.key' } },
      },
    },
    code: 0,
    expect:
      /^works: URL signs alice@example\.test in with nextPreauthKey, so preauthKey can be replaced by it/,
  },
  {
    name: 'the domain has no key on the mail server',
    mail: { domains: { 'example.test': undefined } },
    expect:
      'domain: URL does not take preauth for example.test: it has no key there (zmprov gdpak example.test), or the address is not the https one.',
  },
  {
    name: 'the domain is not configured here',
    account: 'alice@other.test',
    expect:
      'domain: "alice@other.test" is in none of the configured domains (example.test); add its domain with its own key.',
  },
  {
    name: 'the account is not one',
    account: 'alice@example.test|1',
    expect: 'account: "alice@example.test|1" is no identifier of the kind by: name; nothing was sent.',
  },
  {
    name: 'the account is closed',
    account: 'gone@example.test',
    expect:
      'account: gone@example.test exists but is not active or in maintenance (zmprov ga gone@example.test zimbraAccountStatus).',
  },
  {
    name: 'the clocks are six minutes apart',
    mail: { clockOffsetMs: -360_000 },
    expect:
      /^clock: the clock of URL is 3[56]\d s behind ours; Zimbra refuses whatever was signed more than 300 s ago or ahead, so set both clocks by NTP\.$/,
  },
  {
    name: 'the clocks are two minutes apart',
    mail: { clockOffsetMs: 120_000 },
    code: 0,
    expect: /^works: URL signs alice@example\.test in, but the clock of URL is 1[12]\d s ahead of ours\.$/,
  },
];

describe('vratar zimbra test says in one sentence', () => {
  for (const {
    name,
    mail: setup = {},
    options = {},
    account = 'alice@example.test',
    more = [],
    code = 1,
    expect,
  } of rows) {
    test(name, async () => {
      const next = readFileSync(join(folder, 'next.key'), 'utf8').trim();
      const domains = setup.domains?.['example.test'] === 'next' ? { domains: { 'example.test': next } } : {};
      await using mail: TestZimbra = await startMail({ ...setup, ...domains });
      const result = await run([...tryAs(account), ...more], { url: mail.url, ...options });
      const sentence = result.out.trimEnd().replaceAll(mail.url, 'URL');
      if (typeof expect === 'string') assert.equal(sentence, expect);
      else assert.match(sentence, expect);
      assert.ok(!sentence.includes('\n'));
      assert.equal(result.code, code);
      // The session of the trial is over, and at most one failure was counted.
      assert.deepEqual(mail.sessions, []);
      assert.ok(mail.failuresOf(account) <= 1);
    });
  }

  test('nobody listens there', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    const { out, code } = await run(tryAs('alice@example.test'), { url });
    assert.equal(
      out,
      `port: ${url} cannot be reached (ECONNREFUSED); check host and port in url, the firewall, and zmcontrol status.\n`,
    );
    assert.equal(code, 1);
  });

  test('something else listens there', async () => {
    await using other = await startUpstream();
    const { out } = await run(tryAs('alice@example.test'), { url: other.url });
    assert.equal(
      out,
      `port: ${other.url} answers 200 to GET /service/preauth, so url is not the address of the mailbox service.\n`,
    );
  });

  test('the administration port is wrong, the mailbox is right', async () => {
    await using mail = await startMail();
    const adminUrl = `http://127.0.0.1:${await freePort()}`;
    const { out, code } = await run(tryAs('alice@example.test'), {
      url: mail.url,
      adminUrl,
      admin: 'authenticated',
    });
    assert.equal(
      out,
      `alice@example.test can be signed in, but port: ${adminUrl} cannot be reached (ECONNREFUSED); check host and port in adminUrl, the firewall, and zmcontrol status.\n`,
    );
    assert.equal(code, 1);
  });

  test('the certificate is not trusted, until its authority is named', async () => {
    const { certificateFile, keyFile } = await authority.issue({ hosts: ['127.0.0.1'] });
    const tls = { cert: readFileSync(certificateFile, 'utf8'), key: readFileSync(keyFile, 'utf8') };
    await using mail = await startMail({ tls });
    const untrusted = await run(tryAs('alice@example.test'), { url: mail.url });
    assert.match(
      untrusted.out,
      /^certificate: no trusted connection to https:\/\/127\.0\.0\.1:\d+ \([A-Z_]+\); check/,
    );
    const trusted = await run(tryAs('alice@example.test'), {
      url: mail.url,
      tls: { caFile: authority.caFile },
    });
    assert.match(trusted.out, /^works: /);
    assert.equal(trusted.code, 0);
  });
});

test('a command that names no account, or no such mailbox, says what is expected', async () => {
  const missing = await run(['test', 'mail'], { url: 'https://mail.example.test' });
  assert.equal(missing.code, 64);
  assert.match(missing.err, /usage: vratar zimbra test NAME --account ACCOUNT/);
  const unknown = await run(['test', 'post', '--account', 'a@example.test'], {
    url: 'https://mail.example.test',
  });
  assert.equal(unknown.code, 78);
  assert.match(unknown.err, /no entry of zimbra is named "post"; there is mail/);
});
