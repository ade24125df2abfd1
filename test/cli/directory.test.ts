/** `vratar directory test` against each real server: the same people, what each kind says of them. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { directory } from '#src/cli/directory.ts';
import type { DirectoryReport } from '#src/cli/directory-report.ts';
import { accounts, nestedGroups } from '#test/servers/accounts.ts';
import {
  asOpenLdap,
  kindsUnderTest,
  type RunningDirectory,
  slapdWithAccounts,
} from '#test/servers/directory-kinds.ts';
import { directoryConfig, startSlapd } from '#test/servers/slapd.ts';
import { peopleBase, service } from '#test/servers/slapd-data.ts';
import { type CommandRun, runCommand } from '#test/support/command-run.ts';

const folder = mkdtempSync(join(tmpdir(), 'vratar-directory-'));
after(() => rmSync(folder, { recursive: true, force: true }));
let files = 0;

function writeConfig(
  directories: readonly Record<string, unknown>[],
  more: Record<string, unknown> = {},
): string {
  const file = join(folder, `${++files}.yaml`);
  writeFileSync(
    file,
    JSON.stringify({
      server: { publicUrl: 'https://login.example.com' },
      directories,
      providers: directories.map(({ name }) => ({ name, type: 'ldap', directory: name })),
      roles: [
        {
          when: { group: 'company' },
          grant: { roles: ['editor'], groups: ['site'], accessLevel: 'auditor' },
        },
      ],
      ...more,
    }),
  );
  return file;
}

async function run(argv: readonly string[], password = ''): Promise<CommandRun> {
  const stdin = new PassThrough();
  stdin.end(`${password}\nsomething else\n`);
  return await runCommand(directory, argv, { env: {}, stdin });
}

async function report(
  argv: readonly string[],
  password?: string,
): Promise<{ code: number; report: DirectoryReport }> {
  const { code, out, err } = await run(
    [...argv, '--json', ...(password === undefined ? [] : ['--password-stdin'])],
    password,
  );
  assert.equal(err, '');
  const { directories } = JSON.parse(out) as { directories: DirectoryReport[] };
  const [first] = directories;
  return { code, report: first ?? assert.fail(out) };
}

const passwordOf = (username: string): string =>
  accounts.find((account) => account.username === username)?.password ?? assert.fail(username);

/** Without the password: what the entry tells. The second word where Active Directory or FreeIPA say it differently. */
const states: readonly (readonly [user: string, reason: string, evidence: RegExp, except?: string])[] = [
  [
    'disabled',
    'account-(disabled|locked)',
    /nsAccountLock TRUE|userAccountControl 514: disabled|pwdAccountLockedTime 0/,
  ],
  [
    'newcomer',
    'password-must-change',
    /pwdReset TRUE|krbPasswordExpiration 2026\S+: 2026-|pwdLastSet 0: must change/,
  ],
  ['aged', 'password-expired', /krbPasswordExpiration 2026|Computed 8388608: password expired/, 'openLdap'],
  ['gone', 'account-expired', /pwdEndTime 2026|krbPrincipalExpiration 2026|accountExpires 13\S+: 2020-01-01/],
];

for (const { kind, server, whyNot, start } of kindsUnderTest) {
  describe(`directory test with ${server}`, { skip: whyNot ?? false }, () => {
    let running: RunningDirectory;
    let corp: readonly string[];
    before(async () => {
      running = await start();
      corp = ['test', 'corp', '--config', writeConfig([{ name: 'corp', ...running.options }])];
    });
    after(async () => await running[Symbol.asyncDispose]());

    test('shows without a password what the directory knows, and what the rules make of it', async () => {
      const { code, report: found } = await report([...corp, '--user', 'anna']);
      assert.equal(code, 0);
      assert.equal(found.verdict, 'accepted');
      assert.deepEqual(
        found.servers.map(({ available }) => available),
        [true],
      );
      assert.equal(found.entry?.dn.toLowerCase(), running.dnOf('anna').toLowerCase());
      const mail = found.entry?.attributes.find(({ name }) => name === 'email');
      assert.deepEqual(mail, { name: 'email', attribute: 'mail', values: ['anna@example.test'] });
      assert.equal(found.entry?.state, undefined);
      assert.deepEqual(found.password, { outcome: 'not tried' });
      assert.equal(found.groups.direct, 3);
      assert.deepEqual(
        found.groups.list
          .filter(({ isDirect }) => isDirect === true)
          .map(({ name }) => name)
          .toSorted(),
        ['crew', 'ring-a', 'stewards'],
      );
      const nested = found.groups.list.filter(({ isDirect }) => isDirect === false).map(({ name }) => name);
      for (const name of ['workforce', 'company', 'ring-b']) assert.ok(nested.includes(name), name);
      assert.equal(found.groups.count, found.groups.list.length);
      assert.deepEqual(found.grants, [
        { provider: 'corp', roles: ['editor'], groups: ['site'], accessLevel: 'auditor' },
      ]);
      assert.deepEqual(
        found.steps.map(({ name }) => name),
        ['connect', 'find', 'groups'],
      );
      assert.match(
        found.sentence,
        /^corp works: anna would be let in with the right password, with \d+ groups and the role editor\.$/,
      );
    });

    test('tries a password from standard input once, and says whether it is right', async () => {
      const right = await report([...corp, '--user', 'fyodor'], passwordOf('fyodor'));
      assert.equal(right.code, 0);
      assert.equal(right.report.password.outcome, 'right');
      assert.ok(right.report.steps.some(({ name }) => name === 'password'));
      assert.match(right.report.sentence, /^corp works: fyodor is let in, with/);

      const wrong = await report([...corp, '--user', 'fyodor'], 'Не-Тот-Пароль');
      assert.equal(wrong.code, 1);
      assert.equal(wrong.report.reason, 'wrong-password');
      assert.equal(wrong.report.password.outcome, 'refused');
      assert.equal(wrong.report.password.resultCode, 49);
      if (kind === 'activeDirectory')
        assert.match(wrong.report.password.diagnostic ?? '', /data 52e, v1db1\0?$/);
      assert.equal(wrong.report.sentence, 'corp works: fyodor is not let in, because the password is wrong.');
    });

    for (const [user, reason, evidence, except] of states) {
      if (except === kind) continue;
      test(`says of ${user} why, with the value that tells`, async () => {
        const { code, report: found } = await report([...corp, '--user', user]);
        assert.equal(code, 1);
        assert.match(found.reason ?? '', new RegExp(`^${reason}$`));
        assert.equal(found.entry?.state, found.reason);
        assert.match(found.sentence, evidence);
      });
    }

    test('says to who knows an old password that the sign-in page asks for a new one', async () => {
      const { code, report: found } = await report([...corp, '--user', 'newcomer'], passwordOf('newcomer'));
      assert.equal(code, 1);
      assert.equal(found.reason, 'password-must-change');
      assert.match(found.sentence, /must be changed first.*; the sign-in page asks for a new one\.$/);
    });

    test('says that nobody has the name', async () => {
      const { code, report: found } = await report([...corp, '--user', 'no*body']);
      assert.equal(code, 1);
      assert.equal(found.reason, 'unknown-account');
      assert.equal(found.entry, undefined);
      assert.match(found.sentence, /users\.filter finds nobody of that name/);
    });

    test('counts two hundred nested groups and shows some of them', async () => {
      const { report: found } = await report([...corp, '--user', 'deep']);
      assert.ok(found.groups.count >= nestedGroups + 3, String(found.groups.count));
      assert.equal(found.groups.direct, 2);
      const { out } = await run([...corp, '--user', 'deep']);
      assert.match(
        out,
        new RegExp(
          `  groups    ${found.groups.count}: 2 direct, ${found.groups.count - 2} through other groups, found by `,
        ),
      );
      assert.match(out, new RegExp(`and ${found.groups.count - 40} more`));
    });
  });
}

describe('directory test', () => {
  let slapd: Awaited<ReturnType<typeof startSlapd>>;
  let options: Record<string, unknown>;
  before(async () => {
    slapd = await slapdWithAccounts();
    ({ options } = asOpenLdap(slapd));
  });
  after(async () => await slapd[Symbol.asyncDispose]());
  const on = (changes: Record<string, unknown>, more = {}): readonly string[] => [
    'test',
    'corp',
    '--config',
    writeConfig([{ name: 'corp', ...options, ...changes }], more),
  ];

  test('binds once with the password, and never shows it', async () => {
    await slapd.clearOperations();
    const secret = 'Not-The-Passw0rd-Of-Anna';
    const text = await run([...on({}), '--user', 'anna', '--password-stdin'], secret);
    const binds = (await slapd.operations()).filter(
      ({ kind, dn }) => kind === 'bind' && dn.startsWith('uid=anna'),
    );
    assert.equal(binds.length, 1);
    assert.equal(text.code, 1);
    for (const shown of [text.out, text.err]) assert.ok(!shown.includes(secret));
    assert.match(text.out, /^ {2}password {2}refused with LDAP result 49/m);
    const json = await run([...on({}), '--user', 'anna', '--password-stdin', '--json'], passwordOf('anna'));
    assert.ok(!json.out.includes(passwordOf('anna')));
  });

  test('goes on with the servers that answer, and says which do not', async () => {
    const { code, report: found } = await report([
      ...on({ servers: ['ldap://127.0.0.1:1', slapd.url] }),
      '--user',
      'anna',
    ]);
    assert.equal(code, 0);
    assert.deepEqual(
      found.servers.map(({ url, available }) => [url, available]),
      [
        ['ldap://127.0.0.1:1', false],
        [slapd.url, true],
      ],
    );
    assert.match(found.sentence, /^corp works without ldap:\/\/127\.0\.0\.1:1: anna would be let in/);
  });

  for (const [name, changes, code, says] of [
    [
      'no server answers',
      { servers: ['ldap://127.0.0.1:1'] },
      75,
      /^corp does not work: ldap:\S+: Nothing listens there/,
    ],
    [
      'the service account is refused',
      { bind: { ...service, password: 'x' } },
      78,
      /^corp does not work: ldap:\S+: The service account cn=vratar\S+ or its password is refused; correct bind\.$/,
    ],
    [
      'the base does not exist',
      { users: { baseDn: `ou=x,${peopleBase}` } },
      78,
      /^corp does not work: ldap:\S+: users\.baseDn ou=x\S+ does not exist/,
    ],
  ] as const) {
    test(`exits ${code} when ${name}, and says what to do`, async () => {
      const { code: exit, report: found } = await report([...on(changes), '--user', 'anna']);
      assert.match(found.sentence, says);
      assert.equal(exit, code);
    });
  }

  test('exits 78 when no provider leads to the directory', async () => {
    const { code, report: found } = await report([...on({}, { providers: [] }), '--user', 'anna']);
    assert.equal(code, 78);
    assert.match(found.sentence, /nobody is let in by it: no entry of providers names this directory/);
  });

  test('takes a suffix that is the directory’s own off the name, with and without a password', async () => {
    const argv = on(
      {},
      { providers: [{ name: 'corp', type: 'ldap', directory: 'corp', suffixes: ['corp.test'] }] },
    );
    assert.equal((await report([...argv, '--user', 'anna@corp.test'])).code, 0);
    assert.equal((await report([...argv, '--user', 'anna@corp.test'], passwordOf('anna'))).code, 0);
    assert.equal((await report([...argv, '--user', 'anna@elsewhere.test'])).code, 1);
  });

  test('tests every directory when none is named: one that lets in is enough', async () => {
    const both = writeConfig([
      { name: 'away', ...options, servers: ['ldap://127.0.0.1:1'] },
      { name: 'corp', ...options },
    ]);
    const { code, out } = await run(['test', '--config', both, '--user', 'anna']);
    assert.equal(code, 0);
    assert.match(out, /^away does not work: .*\n/m);
    assert.match(out, /^corp works: anna would be let in/m);
    assert.equal((await run(['test', '--config', both, '--user', 'nobody'])).code, 75);
  });

  test('two entries of one name are said to be two', async () => {
    await using twins = await startSlapd();
    const file = writeConfig([directoryConfig([twins.url])]);
    const { code, report: found } = await report(['test', '--config', file, '--user', 'twin']);
    assert.equal(code, 1);
    assert.equal(found.reason, 'ambiguous-account');
  });

  test('what a directory holds does not steer the terminal', async () => {
    await slapd.modify(
      `dn: uid=leaver,${peopleBase}\nchangetype: modify\nreplace: displayName\ndisplayName:: ${Buffer.from('\u001b[2Jgone').toString('base64')}\n`,
    );
    const { out } = await run([...on({}), '--user', 'leaver']);
    assert.ok(!out.includes('\u001b'));
    assert.match(out, /displayName \(displayName\) +\\u001b\[2Jgone/);
  });

  test('shows the first people of a directory when no account is named, with their state', async () => {
    const { code, out } = await run(on({}));
    assert.equal(code, 0);
    const people = out.match(/^ {2}(uid|cn)=.*,ou=people,dc=example,dc=test$/gm) ?? [];
    assert.equal(people.length, 5, out);
    assert.match(out, /^ {4}username \(uid\) +\w+$/m);
    const one = { users: { ...(options['users'] as object), filter: '(&(uid=%USERNAME%)(uid=disabled))' } };
    assert.match((await run(on(one))).out, /^ {4}status +account-locked$/m);
    assert.match(out, /^corp works\.$/m);
    const json = JSON.parse((await run([...on({}), '--json'])).out) as {
      directories: { people: object[] }[];
    };
    assert.equal(json.directories[0]?.people.length, 5);
  });

  for (const [changes, code, says] of [
    [{ servers: ['ldap://127.0.0.1:1'] }, 75, /^corp does not work: ldap:\S+: Nothing listens there/m],
    [{ bind: { ...service, password: 'x' } }, 78, /^corp does not work: ldap:\S+: The service account/m],
    [
      { groups: { baseDn: 'ou=x' } },
      78,
      /^ {2}uid=[\s\S]*^corp does not work as it should: .*groups\.baseDn ou=x/m,
    ],
  ] as const) {
    test(`exits ${code} without an account when the directory does not work: ${says.source.slice(-22)}`, async () => {
      const { code: exit, out } = await run(on(changes));
      assert.equal(exit, code);
      assert.match(out, says);
    });
  }

  for (const [name, argv, says] of [
    ['an empty user', ['test', 'corp', '--user', ''], /--user is empty/],
    ['a password for nobody', ['test', 'corp', '--password-stdin'], /--password-stdin needs --user/],
    ['no verb', ['--user', 'anna'], /expected "test"/],
    [
      'another directory',
      ['test', 'nowhere', '--user', 'anna'],
      /no directory is named "nowhere"; there are: corp/,
    ],
    ['a password for all of them', ['test', '--user', 'anna', '--password-stdin'], /needs one NAME/],
    ['an unknown option', ['test', '--user', 'anna', '--password', 'x'], /--password/],
  ] as const) {
    test(`${name}: exit 64 and why`, async () => {
      const { code, err, out } = await run([...argv, '--config', on({})[3] as string]);
      assert.equal(code, 64);
      assert.equal(out, '');
      assert.match(err, says);
    });
  }

  test('an empty password is not tried', async () => {
    const { code, err } = await run([...on({}), '--user', 'anna', '--password-stdin'], '');
    assert.equal(code, 64);
    assert.match(err, /password on standard input is empty/);
  });

  test('a configuration that is not valid exits 78', async () => {
    const { code, err } = await run([...on({ servers: [] }), '--user', 'anna']);
    assert.equal(code, 78);
    assert.match(err, /directories\[0\]\.servers/);
    assert.equal((await run(['test', '--user', 'anna'])).code, 78);
  });
});
