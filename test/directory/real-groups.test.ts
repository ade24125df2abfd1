import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { checkDirectory } from '#src/directory/check.ts';
import { accounts, nestedGroups } from '#test/servers/accounts.ts';
import { kindsUnderTest, type RunningDirectory } from '#test/servers/directory-kinds.ts';
import { accountsSuffix, groupsOfAccounts } from '#test/servers/dirsrv-data.ts';
import { groupOfDomain, groupsOfDomain } from '#test/servers/samba-data.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { groupsBase } from '#test/servers/slapd-data.ts';
import { ManualClock } from '#test/support/clock.ts';
import { openDirectory, parseOptions, type TestDirectory } from './directories.ts';

const passwordOf = (username: string): string =>
  accounts.find((account) => account.username === username)?.password ?? '';

async function groupsOf(corp: TestDirectory, username: string): Promise<string[]> {
  const outcome = await corp.verify(username, passwordOf(username));
  assert.ok(outcome.kind === 'verified');
  return outcome.person.groups.map(({ name }) => name).toSorted();
}

/** Searches that reached a server while `work` ran, without probes. */
async function searchesOf(corp: TestDirectory, work: () => Promise<unknown>): Promise<number> {
  const count = async () => await corp.count('vratar_directory_operations_total', { operation: 'search' });
  const before = await count();
  await work();
  return (await count()) - before;
}

const ofAnna = ['company', 'crew', 'ring-a', 'ring-b', 'stewards', 'workforce'];
/** The primary group, and the one of the domain's own that it is in. */
const ofDomain = ['Domain Users', 'Users'];

for (const { kind, server, whyNot, start } of kindsUnderTest) {
  describe(`${server}:`, { skip: whyNot ?? false }, () => {
    let running: RunningDirectory;
    before(async () => {
      running = await start();
    });
    after(async () => await running[Symbol.asyncDispose]());
    const open = (groups: Record<string, unknown> = {}, clock = new ManualClock()): TestDirectory =>
      openDirectory({
        servers: [],
        clock,
        options: {
          ...running.options,
          groups: { ...(running.options['groups'] as Record<string, unknown>), ...groups },
        },
      });
    const domain = kind === 'activeDirectory' ? ofDomain : [];

    test('direct, nested and circular groups, each once', async () => {
      await using corp = open();
      assert.deepEqual(await groupsOf(corp, 'anna'), [...domain, ...ofAnna].toSorted());
    });

    test('direct groups alone', async () => {
      await using corp = open({
        nested: false,
        ...(kind === 'freeIpa' ? { baseDn: groupsOfAccounts } : {}),
      });
      const mail = kind === 'activeDirectory' ? ['newsletter'] : [];
      assert.deepEqual(await groupsOf(corp, 'anna'), ['crew', ...mail, 'ring-a', 'stewards']);
    });

    test('two hundred groups within groups', async () => {
      await using corp = open();
      assert.equal((await groupsOf(corp, 'deep')).length, nestedGroups + 3 + domain.length);
    });

    test('the self-check finds nothing to complain of', async () => {
      const options = parseOptions([], running.options);
      assert.deepEqual(await checkDirectory(options, { signal: AbortSignal.timeout(10_000) }), []);
    });

    if (kind === 'freeIpa') {
      test('permissions do not pass for groups unless the base is widened', async () => {
        await using corp = open({ baseDn: accountsSuffix });
        assert.deepEqual(await groupsOf(corp, 'anna'), ['administrators', ...ofAnna]);
      });

      test('memberOf is complete: two hundred groups cost no search of their own', async () => {
        await using corp = open();
        assert.equal(await searchesOf(corp, async () => await groupsOf(corp, 'deep')), 1);
      });
    }

    if (kind === 'activeDirectory') {
      test('two hundred groups cost two searches at first, none when they are known, and one for another person', async () => {
        const clock = new ManualClock();
        await using corp = open({}, clock);
        const signIn = async (username: string): Promise<number> => {
          // Longer than what requests of one moment share.
          clock.advance(3_000);
          return await searchesOf(corp, async () => await groupsOf(corp, username));
        };
        assert.equal(await signIn('deep'), 1 + 2);
        assert.equal(await signIn('deep'), 1);
        assert.equal(await signIn('maria'), 1 + 1);
      });

      test('four colleagues who sign in at one moment ask for the names of their groups once', async () => {
        await using corp = open();
        const names = ['maria', 'fyodor', 'юлия', 'leaver'];
        const searches = await searchesOf(
          corp,
          async () => await Promise.all(names.map(async (name) => await groupsOf(corp, name))),
        );
        assert.equal(searches, 2 * names.length + 1);
      });

      test('a new membership is seen at once although groups are remembered', async () => {
        const clock = new ManualClock();
        await using corp = open({}, clock);
        assert.ok(!(await groupsOf(corp, 'fyodor')).includes('stewards'));
        const member = `changetype: modify\nadd: member\nmember:: ${Buffer.from(running.dnOf('fyodor')).toString('base64')}\n`;
        await running.modify(`dn: ${groupOfDomain('stewards')}\n${member}`);
        clock.advance(3_000);
        assert.ok((await groupsOf(corp, 'fyodor')).includes('stewards'));
      });

      test('groups elsewhere than below the configured base do not count', async () => {
        await using corp = open({ baseDn: groupsOfDomain });
        assert.deepEqual(await groupsOf(corp, 'anna'), ofAnna);
      });

      test('searched for, the primary group is missing and mail groups count: why it is not the default', async () => {
        await using corp = open({ method: 'search', baseDn: groupsOfDomain });
        assert.deepEqual(await groupsOf(corp, 'anna'), [...ofAnna, 'newsletter'].toSorted());
      });
    }
  });
}

describe('five thousand groups of one person in OpenLDAP', () => {
  const many = Array.from({ length: 5_000 }, (_, n) => ({ name: `g${n}`, people: ['joiner'] }));
  const people = [{ uid: 'joiner', password: 'joiner-password' }];
  const methods = [
    ['searched for', { baseDn: groupsBase }],
    ['from memberOf', { method: 'userAttribute' }],
  ] as const;

  test('are all there by either method', async () => {
    await using slapd = await startSlapd({ people, groups: many, globalLines: ['sizelimit unlimited'] });
    for (const [name, groups] of methods) {
      await using corp = openDirectory({ servers: [slapd.url], options: { groups } });
      const outcome = await corp.verify('joiner', 'joiner-password');
      assert.ok(outcome.kind === 'verified');
      assert.equal(outcome.person.groups.length, 5_000, name);
    }
  });

  test('are an error, never fewer, where the server cuts its answer', async () => {
    await using slapd = await startSlapd({ people, groups: many });
    await using corp = openDirectory({ servers: [slapd.url] });
    await assert.rejects(corp.verify('joiner', 'joiner-password'), { code: 'PROVIDER_MISCONFIGURED' });
  });
});
