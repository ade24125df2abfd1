import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { check } from '#src/cli/check.ts';
import { key, startMail } from '#test/preauth/site.ts';
import { runCommand } from '#test/support/command-run.ts';
import { freePort } from '#test/support/free-port.ts';

const folder = mkdtempSync(join(tmpdir(), 'vratar-mail-'));
after(() => {
  rmSync(folder, { recursive: true, force: true });
});

async function connect(url: string, more = ''): Promise<{ code: number; out: string }> {
  const file = join(folder, 'vratar.yaml');
  writeFileSync(
    file,
    `server: { publicUrl: "https://login.example.com", workers: 1 }
providers: [ { name: staff, type: local, users: [ { username: alice } ] } ]
zimbra:
  - name: mail
    url: ${url}
    domains: { example.test: { preauthKey: { env: KEY } } }
    ${more}
`,
  );
  const { code, printed } = await runCommand(check, ['--connect', '--config', file], { env: { KEY: key } });
  return { code, out: printed.replaceAll(`${folder}/`, '').replaceAll(url, 'URL') };
}

test('a mail server that answers is said to, and the summary names it', async () => {
  await using mail = await startMail();
  const { code, out } = await connect(mail.url);
  assert.equal(code, 0, out);
  assert.ok(out.includes('every mail server answers as configured\n'), out);
  assert.ok(out.includes('1 mailbox service\n  mail: URL, 1 domain\n'), out);
  assert.ok(mail.requests.every(({ target }) => target === '/service/preauth'));
});

test('one that does not answer, here the administration port, is a problem at its line', async () => {
  await using mail = await startMail();
  const adminUrl = `http://127.0.0.1:${await freePort()}`;
  const { code, out } = await connect(mail.url, `adminUrl: ${adminUrl}\n    admin: authenticated`);
  assert.equal(code, 78);
  assert.ok(
    out.includes(
      `vratar.yaml:7:15 zimbra[0].adminUrl: port: ${adminUrl} cannot be reached (ECONNREFUSED); check`,
    ),
    out,
  );
});

test('a clock two minutes off is a warning', async () => {
  await using mail = await startMail({ clockOffsetMs: -120_000 });
  const { code, out } = await connect(mail.url);
  assert.equal(code, 0);
  assert.match(
    out,
    /warning: vratar\.yaml:5:10 zimbra\[0\]\.url: clock: the clock of URL is 1[12]\d s behind ours; set both by NTP\./,
  );
});
