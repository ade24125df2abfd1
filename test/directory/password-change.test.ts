/** People whose password is no longer good, and the real servers that give them a new one, or do not. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { resolveSettings } from '#src/directory/kinds.ts';
import { activeDirectoryPassword, PasswordChange } from '#src/directory/password-change.ts';
import type { PasswordChangeOutcome } from '#src/identity/outcome.ts';
import { Secret } from '#src/lib/secret.ts';
import { accounts } from '#test/servers/accounts.ts';
import { asOpenLdap, kindsUnderTest, type RunningDirectory } from '#test/servers/directory-kinds.ts';
import {
  ber,
  message,
  result,
  type Script,
  type ScriptedLdapServer,
  searchEntry,
  startScriptedLdapServer,
  tags,
} from '#test/servers/scripted-ldap-server.ts';
import { type Slapd, startSlapd } from '#test/servers/slapd.ts';
import { type PersonEntry, policiesBase } from '#test/servers/slapd-data.ts';
import { startTcpShim } from '#test/servers/tcp-shim.ts';
import { until } from '#test/support/until.ts';
import { openDirectory, parseOptions, type TestDirectory } from './directories.ts';

interface Step {
  readonly username: string;
  readonly new: string;
  /** Kind, or kind and reason. */
  readonly expect: string;
  /** Omitted: the one the account has. */
  readonly old?: string;
}

const fresh = 'Fresh-Passw0rd-1';

/** In order: what a step changes, the next ones find changed. */
const steps: Readonly<Record<string, readonly Step[]>> = {
  openLdap: [
    { username: 'newcomer', new: fresh, old: 'Wr0ng-password', expect: 'rejected wrong-password' },
    { username: 'newcomer', new: fresh, expect: 'changed' },
    { username: 'ruled', new: 'Sh0rt', expect: 'refused too-short' },
    { username: 'ruled', new: 'ruled-Passw0rd', expect: 'refused in-history' },
    { username: 'ruled', new: 'Пароль-из-букв', expect: 'changed' },
    { username: 'patient', new: fresh, expect: 'changed' },
    { username: 'hasty', new: fresh, expect: 'refused too-young' },
    { username: 'fixed', new: fresh, expect: 'refused not-allowed' },
    // Expired for good: nobody can bind as this person any more, not even to change it.
    { username: 'aged', new: fresh, expect: 'refused not-allowed' },
    { username: 'anna', new: fresh, expect: 'refused not-required' },
    { username: 'disabled', new: fresh, expect: 'rejected account-locked' },
    { username: 'nobody', new: fresh, old: 'Wr0ng-password', expect: 'rejected unknown-account' },
    { username: 'twin', new: fresh, old: 'twin-password', expect: 'rejected ambiguous-account' },
    { username: 'anna', new: fresh, old: '', expect: 'rejected credentials-malformed' },
    { username: 'anna', new: '', expect: 'refused malformed' },
  ],
  freeIpa: [
    { username: 'own-mustchange', new: fresh, old: 'Wr0ng-password', expect: 'rejected wrong-password' },
    { username: 'own-mustchange', new: fresh, expect: 'changed' },
    { username: 'own-rules', new: 'Sh0rt', expect: 'refused quality' },
    // The server has a code for it and does not send it.
    { username: 'own-rules', new: 'own-rules-Passw0rd', expect: 'refused rules' },
    { username: 'own-rules', new: fresh, expect: 'changed' },
    { username: 'own-patient', new: fresh, expect: 'changed' },
    { username: 'own-expired', new: fresh, expect: 'refused not-allowed' },
    { username: 'newcomer', new: 'Новый-пароль-7', expect: 'changed' },
    { username: 'aged', new: fresh, expect: 'changed' },
    { username: 'anna', new: fresh, expect: 'refused not-required' },
    { username: 'disabled', new: fresh, expect: 'rejected account-disabled' },
    { username: 'gone', new: fresh, expect: 'rejected account-expired' },
  ],
  activeDirectory: [
    { username: 'anna', new: fresh, old: 'Wr0ng-password', expect: 'rejected wrong-password' },
    { username: 'newcomer', new: 'a', expect: 'refused rules' },
    { username: 'newcomer', new: 'only small letters', expect: 'refused rules' },
    { username: 'newcomer', new: 'Новый-пароль-7', expect: 'changed' },
    { username: 'aged', new: fresh, expect: 'changed' },
    { username: 'anna', new: fresh, expect: 'refused not-required' },
    { username: 'disabled', new: fresh, expect: 'rejected account-disabled' },
    { username: 'hours', new: fresh, expect: 'rejected sign-in-not-permitted' },
  ],
};

/** What the sign-in page is told of people whose password is right and not good, by kind. */
const ways: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  openLdap: {
    newcomer: 'password-must-change here',
    patient: 'password-expired here',
    // This very sign-in used up the last one.
    grace: 'password-expired elsewhere',
    aged: 'password-expired elsewhere',
  },
  freeIpa: {
    newcomer: 'password-must-change here',
    aged: 'password-expired here',
    'own-mustchange': 'password-must-change here',
    'own-patient': 'password-expired here',
    'own-grace': 'password-expired elsewhere',
    'own-expired': 'password-expired elsewhere',
  },
  activeDirectory: { newcomer: 'password-must-change here', aged: 'password-expired here' },
};

const policy = (name: string): { pwdPolicySubentry: string } => ({
  pwdPolicySubentry: `cn=${name},${policiesBase}`,
});

/** Accounts of the policies that only OpenLDAP has here. */
function peopleWithPolicies(): readonly PersonEntry[] {
  const ninetyMinutesAgo = new Date(Date.now() - 5_400_000).toISOString().replaceAll(/[-:T]|\.\d+/g, '');
  const longAgo = '20200101000000Z';
  const rows: readonly (readonly [uid: string, attributes: Record<string, string>])[] = [
    ['newcomer', { pwdReset: 'TRUE' }],
    ['ruled', { pwdReset: 'TRUE', ...policy('rules') }],
    ['patient', { pwdChangedTime: longAgo, ...policy('patient') }],
    ['hasty', { pwdChangedTime: ninetyMinutesAgo, ...policy('slow') }],
    ['fixed', { pwdReset: 'TRUE', ...policy('fixed') }],
    ['aged', { pwdChangedTime: longAgo, ...policy('aging') }],
    ['anna', {}],
    ['disabled', { pwdAccountLockedTime: '000001010000Z', ...policy('strict') }],
  ];
  return rows.map(([uid, attributes]) => ({ uid, password: `${uid}-Passw0rd`, attributes }));
}

async function startKind(kind: string): Promise<RunningDirectory> {
  if (kind === 'openLdap') return asOpenLdap(await startSlapd({ people: peopleWithPolicies() }));
  const row = kindsUnderTest.find((each) => each.kind === kind) as (typeof kindsUnderTest)[number];
  return await row.start();
}

const passwordOf = (username: string): string =>
  username === 'grace'
    ? 'grace-password'
    : (accounts.find((account) => account.username === username)?.password ?? `${username}-Passw0rd`);

async function changePassword(
  { directory }: TestDirectory,
  username: string,
  old: string,
  next: string,
): Promise<PasswordChangeOutcome> {
  const options = { signal: AbortSignal.timeout(10_000), admit: async () => {} };
  return await directory.changePassword(username, { old: new Secret(old), new: new Secret(next) }, options);
}

const inWords = (outcome: PasswordChangeOutcome): string =>
  outcome.kind === 'changed' ? outcome.kind : `${outcome.kind} ${outcome.reason}`;

async function wayOf(corp: TestDirectory, username: string, password: string): Promise<string> {
  const outcome = await corp.verify(username, password);
  if (outcome.kind === 'verified') return outcome.kind;
  return `${outcome.reason} ${outcome.passwordChange?.kind ?? 'untold'}`;
}

for (const { kind, server, whyNot } of kindsUnderTest) {
  describe(`${server}:`, { skip: whyNot ?? false }, () => {
    let running: RunningDirectory;
    let corp: TestDirectory;
    before(async () => {
      running = await startKind(kind);
      const passwordChangeUrl = 'https://password.example.test/';
      corp = openDirectory({ servers: [], options: { ...running.options, passwordChangeUrl } });
    });
    after(async () => {
      await corp[Symbol.asyncDispose]();
      await running[Symbol.asyncDispose]();
    });

    for (const [username, way] of Object.entries(ways[kind] ?? {})) {
      test(`${username} is told ${way}, and with a wrong password nothing`, async () => {
        assert.equal(await wayOf(corp, username, 'Wr0ng-password'), 'wrong-password untold');
        assert.equal(await wayOf(corp, username, passwordOf(username)), way);
      });
    }

    /** As changed by the steps before. */
    const passwords = new Map<string, string>();
    for (const { username, old, new: next, expect } of steps[kind] ?? []) {
      test(`${username} asks for ${next || 'nothing'}${old === undefined ? '' : ` with ${old || 'nothing'}`}: ${expect}`, async () => {
        const current = old ?? passwords.get(username) ?? passwordOf(username);
        const outcome = await changePassword(corp, username, current, next);
        assert.equal(inWords(outcome), expect);
        if (outcome.kind !== 'changed') return;
        passwords.set(username, next);
        assert.equal((await wayOf(corp, username, current)).split(' ')[0], 'wrong-password');
        if (kind === 'freeIpa' && !username.startsWith('own-')) {
          // FreeIPA's own plug-in does this, which 389-ds alone does not have.
          const replace = 'changetype: modify\nreplace: krbPasswordExpiration\n';
          await running.modify(
            `dn: ${running.dnOf(username)}\n${replace}krbPasswordExpiration: 20991231235959Z\n`,
          );
        }
        assert.equal(await wayOf(corp, username, next), 'verified');
      });
    }
  });
}

test('a connection that changed a password is closed, and not used for anybody else', async () => {
  await using slapd = await startSlapd();
  await using corp = openDirectory({ servers: [slapd.url] });
  assert.equal(inWords(await changePassword(corp, 'mustchange', 'mustchange-password', fresh)), 'changed');
  assert.equal((await corp.verify('mustchange', fresh)).kind, 'verified');
  const bindings = await until(
    async () => {
      const operations = await slapd.operations();
      const mine = operations.filter(({ kind, dn }) => kind === 'bind' && dn.startsWith('uid=mustchange,'));
      const [first, second] = mine.map(({ connection }) => connection);
      const isClosed = operations.some(({ kind, connection }) => kind === 'unbind' && connection === first);
      return isClosed && second !== undefined ? [first, second] : undefined;
    },
    { what: 'two binds and a farewell' },
  );
  assert.notEqual(bindings[0], bindings[1]);
});

describe('on the wire', () => {
  const modes = ['ldaps', 'startTls', 'plain'] as const;
  let slapd: Slapd;
  before(async () => {
    const people = modes.map((uid) => ({
      uid,
      password: `${uid}-temporary`,
      attributes: { pwdReset: 'TRUE' },
    }));
    slapd = await startSlapd({ tls: true, people });
  });
  after(async () => await slapd[Symbol.asyncDispose]());

  for (const mode of modes) {
    test(`${mode} shows ${mode === 'plain' ? 'both passwords, so this test would see them' : 'no password'}`, async () => {
      await using shim = await startTcpShim(mode === 'ldaps' ? slapd.securePort : slapd.port);
      await using corp = openDirectory({
        servers: [`${mode === 'ldaps' ? 'ldaps' : 'ldap'}://127.0.0.1:${shim.port}`],
        options: { startTls: mode === 'startTls', tls: { caFile: slapd.caFile } },
      });
      assert.equal(inWords(await changePassword(corp, mode, `${mode}-temporary`, fresh)), 'changed');
      for (const password of [`${mode}-temporary`, fresh]) {
        assert.equal(shim.sent.includes(password), mode === 'plain', password);
      }
    });
  }
});

describe('a server that behaves badly:', () => {
  const person = {
    objectClass: ['inetOrgPerson'],
    uid: ['newcomer'],
    entryUUID: ['11111111-1111-4111-8111-111111111111'],
    pwdReset: ['TRUE'],
  };
  /** Knows one person whose password must be changed, and answers the change as told. */
  const answering =
    (change: (messageId: number, socket: Socket) => Buffer | undefined): Script =>
    ({ messageId, tag }, socket) => {
      if (tag === tags.bind) return result(messageId, tags.bindResponse, 0);
      if (tag === tags.extended) return change(messageId, socket);
      if (tag !== tags.search) return undefined;
      return [
        searchEntry(messageId, 'uid=newcomer,ou=people,dc=example,dc=test', person),
        result(messageId, tags.searchDone, 0),
      ];
    };
  const changesSeen = ({ requests }: ScriptedLdapServer): number =>
    requests.filter(({ tag }) => tag === tags.extended).length;
  const timings = { wholeMs: 8_000 };

  test('no answer to the change is an outage, and no other server is asked', async () => {
    await using first = await startScriptedLdapServer(
      answering((_, socket) => {
        socket.destroy();
        return undefined;
      }),
    );
    await using second = await startScriptedLdapServer(answering((id) => result(id, 0x78, 0)));
    await using corp = openDirectory({ servers: [first.url, second.url], timings });
    await assert.rejects(changePassword(corp, 'newcomer', 'old', fresh), { code: 'PROVIDER_UNAVAILABLE' });
    assert.deepEqual([changesSeen(first), changesSeen(second)], [1, 0]);
  });

  test('a server that refers to another one is passed over, not followed', async () => {
    await using first = await startScriptedLdapServer(answering((id) => result(id, 0x78, 10)));
    await using second = await startScriptedLdapServer(answering((id) => result(id, 0x78, 0)));
    await using corp = openDirectory({ servers: [first.url, second.url], timings });
    assert.equal(inWords(await changePassword(corp, 'newcomer', 'old', fresh)), 'changed');
    assert.deepEqual([changesSeen(first), changesSeen(second)], [1, 1]);
  });

  const nonsense: readonly (readonly [what: string, answer: (id: number) => Buffer])[] = [
    ['an empty response', (id) => message(id, ber(0x78))],
    ['a bind response', (id) => result(id, tags.bindResponse, 0)],
    ['two responses', (id) => Buffer.concat([result(id, 0x78, 0), result(id, 0x78, 0)])],
  ];
  for (const [what, answer] of nonsense) {
    test(`${what} is never taken for a change`, async () => {
      await using server = await startScriptedLdapServer(answering(answer));
      await using corp = openDirectory({ servers: [server.url], timings });
      await assert.rejects(changePassword(corp, 'newcomer', 'old', fresh), { code: 'PROVIDER_PROTOCOL' });
    });
  }
});

describe('in clear text', () => {
  for (const kind of ['activeDirectory', 'freeIpa']) {
    test(`${kind} is asked for no new password, and nothing is sent`, async () => {
      await using server = await startScriptedLdapServer(({ messageId, tag }) =>
        tag === tags.bind ? result(messageId, tags.bindResponse, 0) : undefined,
      );
      await using corp = openDirectory({ servers: [server.url], options: { kind, groups: {} } });
      const outcome = await changePassword(corp, 'newcomer', 'old-Passw0rd', fresh);
      assert.deepEqual(outcome, { kind: 'rejected', reason: 'sign-in-not-permitted' });
      const settings = resolveSettings(parseOptions([server.url], { kind, groups: {} }));
      assert.equal(settings.passwordMethod, undefined);
      assert.throws(
        () => parseOptions([server.url], { kind, groups: {}, passwordChange: 'directory' }),
        /over TLS only/,
      );
      const sent = Buffer.concat(server.requests.map(({ bytes }) => bytes));
      assert.ok(!sent.includes('Passw0rd') && !sent.includes(Buffer.from('Passw0rd', 'utf16le')));
    });
  }

  test('the change itself refuses as well, before the old password is tried', async () => {
    const change = new PasswordChange({
      method: activeDirectoryPassword,
      dn: 'CN=newcomer,DC=corp,DC=test',
      passwords: { old: new Secret('old'), new: new Secret(fresh) },
      judgeBind: () => undefined,
      isDue: true,
    });
    const untouchable = async (): Promise<never> => await Promise.reject(new Error('was used'));
    const connection = { bind: untouchable, bindService: untouchable, changePassword: untouchable };
    await assert.rejects(change.perform({ connection, isEncrypted: false, serviceAccount: undefined }), {
      kind: 'config',
    });
    assert.equal(change.isSent, false);
  });
});
