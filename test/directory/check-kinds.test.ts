/** The check against each real server: what its kind alone can get wrong. That a right one is right: real-groups.test.ts. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { checkDirectory } from '#src/directory/check.ts';
import { directoryOptions } from '#src/directory/options.ts';
import { kindsUnderTest, type RunningDirectory } from '#test/servers/directory-kinds.ts';
import { peopleOfAccounts, serviceOfAccounts } from '#test/servers/dirsrv-data.ts';

interface Case {
  readonly name: string;
  readonly of: (typeof kindsUnderTest)[number]['kind'];
  /** In place of the options that are right. */
  readonly options?: (right: Record<string, unknown>) => Record<string, unknown>;
  readonly nowMs?: number;
  /** Applied to the directory before. */
  readonly ldif?: string;
  readonly expect: readonly RegExp[];
}

const users = (more: Record<string, unknown>) => (right: Record<string, unknown>) => ({
  users: { ...(right['users'] as object), ...more },
});

/** What the service account may read; the directory keeps it from one case to the next. */
const allowBut = (hidden: string): string =>
  `dn: ${peopleOfAccounts}\nchangetype: modify\nreplace: aci\n` +
  `aci: (targetattr != "${hidden}")(version 3.0; acl "vratar"; allow (read, search, compare) userdn = "ldap:///${serviceOfAccounts.dn}";)\n`;

const cases: readonly Case[] = [
  {
    name: 'a clock ten minutes ahead of the domain controller',
    of: 'activeDirectory',
    nowMs: Date.now() + 600_000,
    expect: [/^The server's clock is 10 minutes behind this machine's; synchronise both \(NTP\)\.$/],
  },
  {
    name: 'the address in the place of the name',
    of: 'activeDirectory',
    options: ({ tls }) => ({ tls: { ...(tls as object), serverName: undefined } }),
    expect: [/another name \(dc1\.corp\.test\), not for 127\.\S+; use its name/],
  },
  {
    name: 'a password in clear text',
    of: 'activeDirectory',
    options: ({ servers }) => ({
      servers: (servers as string[]).map((url) => url.replace('ldaps:', 'ldap:')),
    }),
    expect: [/demands encryption \(LDAP result 8\)/],
  },
  {
    name: 'a filter for another kind of directory',
    of: 'activeDirectory',
    options: users({ filter: '(&(objectClass=posixAccount)(uid=%USERNAME%))' }),
    expect: [/^users\.filter matches nobody; correct it/],
  },
  {
    name: 'a clock two hours behind',
    of: 'freeIpa',
    nowMs: Date.now() - 7_200_000,
    expect: [/clock is (119|120) minutes ahead of this machine's/],
  },
  {
    name: 'a lock the service account may not read',
    of: 'freeIpa',
    ldif: allowBut('userPassword || nsAccountLock'),
    expect: [/cannot read nsAccountLock of uid=.*disabled or locked later keep their sessions/],
  },
  {
    name: 'that lock in the filter',
    of: 'freeIpa',
    options: users({ filter: '(&(objectClass=inetOrgPerson)(uid=%USERNAME%)(!(nsAccountLock=TRUE)))' }),
    expect: [/does not compare nsAccountLock for the service account/],
  },
  {
    name: 'expiries the service account may not read',
    of: 'freeIpa',
    ldif: allowBut('userPassword || krbPasswordExpiration || krbPrincipalExpiration'),
    expect: [/cannot read krbPrincipalExpiration and krbPasswordExpiration .*expires later/],
  },
  {
    name: 'memberOf the service account may not read',
    of: 'freeIpa',
    ldif: allowBut('userPassword || memberOf'),
    expect: [/Nobody below users\.baseDn has a readable memberOf/],
  },
];

for (const { kind, server, whyNot, start } of kindsUnderTest) {
  const rows = cases.filter(({ of }) => of === kind);
  if (rows.length === 0) continue;
  describe(`check of ${server}`, { skip: whyNot ?? false }, () => {
    let directory: RunningDirectory;
    before(async () => {
      directory = await start();
    });
    after(async () => await directory[Symbol.asyncDispose]());

    for (const { name, options = () => ({}), nowMs, ldif, expect } of rows) {
      test(`${name}: one sentence that says what to do`, async () => {
        if (ldif !== undefined) await directory.modify(ldif);
        const { options: right } = directory;
        const parsed = directoryOptions.parse({ name: 'corp', ...right, ...options(right) });
        const findings = await checkDirectory(parsed, {
          signal: AbortSignal.timeout(20_000),
          ...(nowMs === undefined ? {} : { clock: { now: () => nowMs } }),
        });
        assert.equal(findings.length, expect.length, JSON.stringify(findings));
        expect.forEach((pattern, index) => assert.match(findings[index]?.message ?? '', pattern));
      });
    }
  });
}
