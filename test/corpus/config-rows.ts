/**
 * Rows about the configuration file: each text is checked as it stands, and once more with its trick inside a file that
 * is otherwise sound, so that no row passes only because its keys are unknown.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { check } from '#src/cli/check.ts';
import { loadConfig } from '#src/config/load.ts';
import { startGateway } from '#test/servers/gateway.ts';
import { runCommand } from '#test/support/command-run.ts';
import { ask } from '#test/support/http-client.ts';
import { type AttackRow, expandRepeats } from './attack-rows.ts';
import { assertPrototypeClean } from './expectations.ts';
import { onThisMachine } from './load-target.ts';
import { Site } from './rig.ts';
import { hosts, siteConfig } from './site.ts';

const server = 'server: { publicUrl: "https://gw.example.test" }\n';
const people = (user: string): string =>
  `providers: [ { name: local, type: local, users: [ { username: alice, ${user} } ] } ]\n`;
const application = (more: string): string =>
  `applications: [ { name: app, hosts: [app.example.test], upstream: "http://127.0.0.1:1", ${more} } ]\n`;
const sound = `${server}${people('groups: [staff]')}${application('rules: [ { access: authenticated } ]')}`;
const withApplication = (more: string): string => `${server}${people('groups: [staff]')}${application(more)}`;

/** The trick of a row inside a sound file. */
const insideSound: Readonly<Record<string, (text: string) => string>> = {
  'CF-001': () => `${sound}session:\n  <<: &a\n    __proto__: { isAdmin: true }\n`,
  'CF-002': () => `${sound}__proto__: { isAdmin: true }\n`,
  'CF-003': () => `${sound}session: { constructor: { prototype: { isAdmin: true } } }\n`,
  'CF-004': (bomb) =>
    withApplication('rules: [ { access: { users: *g } } ]').replace(/^/, bomb.replace('g: [', 'g: &g [')),
  'CF-005': () =>
    withApplication(`title: !!js/function 'function(){}', rules: [ { access: authenticated } ]`),
  'CF-006': () => withApplication('rules: [ { access: deny, access: public } ]'),
  'CF-007': () => withApplication('rulse: [ { access: authenticated } ]'),
  'CF-010': () =>
    `${sound}directories: [ { name: corp, kind: openLdap, servers: ["ldaps://a.example.test"], users: { baseDn: dc=x }, bind: { dn: cn=a, password: { env: NOT_SET } } } ]\n`,
  'CF-011': () => sound.replace('http://127.0.0.1:1', 'https://auth..cluster'),
  'CF-014': (comment) => `${sound}${comment}`,
  'CF-015': () => sound.slice(0, -30),
  'CF-017': () =>
    withApplication(
      String.raw`rules: [ { access: authenticated } ], headers: { set: { X-Auth-User: "${'${username}'}\r\nX-Evil: 1" } }`,
    ),
  'CF-019': (lists) => `${sound}session: ${lists.slice('routes: '.length)}\n`,
};

export async function runConfigRow(row: AttackRow): Promise<void> {
  const { expect, input, id } = row;
  if (expect['request_without_session'] !== undefined) {
    await askWithoutRules(row);
    return;
  }
  if (expect['values'] !== undefined) {
    readsWords(row);
    return;
  }
  const text = expandRepeats((input.text ?? '').replaceAll('\\n', '\n'));
  const own = insideSound[id];
  assert.ok(own !== undefined, `nothing puts ${id} into a sound file`);
  assert.equal((await checkText(sound)).code, 0, 'the sound file itself');
  for (const tried of [text, own(text)]) {
    const rssBefore = process.memoryUsage.rss();
    const startedAt = performance.now();
    const { code, out } = await checkText(tried);
    const tookMs = performance.now() - startedAt;
    assert.equal(code, expect['check_exit_code'], out);
    // One problem is named, and it is not that everything is.
    assert.match(out, /^.+:\d+:\d+ /m);
    if (expect['object_prototype_clean'] === true) assertPrototypeClean();
    if (expect['within_ms'] !== undefined)
      assert.ok(tookMs <= onThisMachine(Number(expect['within_ms'])), `${tookMs} ms`);
    if (expect['rss_growth_max_mb'] !== undefined) {
      const grownMb = (process.memoryUsage.rss() - rssBefore) / 1_048_576;
      assert.ok(grownMb <= Number(expect['rss_growth_max_mb']), `${grownMb} MB more`);
    }
  }
}

async function checkText(text: string): Promise<{ code: number; out: string }> {
  const folder = mkdtempSync(join(tmpdir(), 'vratar-corpus-'));
  const file = join(folder, 'vratar.yaml');
  writeFileSync(file, text);
  try {
    const { code, printed } = await runCommand(check, ['--config', file], { env: {} });
    return { code, out: printed };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** An application without rules: valid, and closed. */
async function askWithoutRules({ expect, id }: AttackRow): Promise<void> {
  const base = await siteConfig({ upstream: 'http://127.0.0.1:1', directories: ['ldap://127.0.0.1:1'] }, {});
  const rules = id === 'CF-009' ? { rules: [] } : {};
  const config = {
    ...base,
    applications: [{ name: 'app', hosts: [hosts.app], upstream: 'http://127.0.0.1:1', ...rules }],
  };
  if (expect['check_exit_code'] !== undefined) {
    assert.equal((await checkText(JSON.stringify(config))).code, expect['check_exit_code']);
  }
  await using gateway = await startGateway({ config });
  const site = new Site(gateway, {});
  const host = ['Host', hosts.app] as const;
  const anonymous = await ask({ port: gateway.port, headers: [host] });
  assert.equal(anonymous.status, expect['request_without_session']);
  if (expect['request_as_alice'] === undefined) return;
  const ticket = await site.signIn('alice', 'right', 'local');
  const signedIn = await ask({ port: gateway.port, headers: [host, ['Cookie', `__Host-gw=${ticket}`]] });
  assert.equal(signedIn.status, expect['request_as_alice']);
}

function readsWords({ expect, input }: AttackRow): void {
  const folder = mkdtempSync(join(tmpdir(), 'vratar-corpus-'));
  const file = join(folder, 'vratar.yaml');
  writeFileSync(file, sound.replace('groups: [staff]', input.text?.trim() ?? ''));
  try {
    const [provider] = loadConfig(file, { env: {} }).config.providers;
    assert.ok(provider?.type === 'local');
    assert.deepEqual(provider.users[0]?.groups, expect['values']);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
