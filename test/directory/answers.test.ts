import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { LdapConnection } from '#src/directory/connection.ts';
import { dial } from '#src/directory/dial.ts';
import { type Endpoint, toEndpoints } from '#src/directory/endpoint.ts';
import { activeDirectoryStatus } from '#src/directory/status.ts';
import { defaultTimings } from '#src/directory/timings.ts';
import { Secret } from '#src/lib/secret.ts';
import { accounts } from '#test/servers/accounts.ts';
import { kindsUnderTest, type RunningDirectory } from '#test/servers/directory-kinds.ts';
import { openDirectory, parseOptions, type TestDirectory } from './directories.ts';

/**
 * By account: what the server answers to a bind with the right and with a wrong password (result, `error` of the policy
 * control, `data` of Active Directory), how the account is judged, and how without the attributes of the entry.
 */
type Row = readonly [username: string, right: string, wrong: string, judged: string, byBind: string];

const tables: Readonly<Record<string, readonly Row[]>> = {
  openLdap: [
    ['anna', '0', '49', 'verified', 'verified'],
    ['юлия', '0', '49', 'verified', 'verified'],
    ['disabled', '49 control 1', '49 control 1', 'account-locked', 'account-locked'],
    ['newcomer', '0 control 2', '49', 'password-must-change', 'password-must-change'],
    ['aged', '49 control 0', '49', 'password-expired', 'password-expired'],
    ['gone', '49 control 1', '49 control 1', 'account-expired', 'account-locked'],
  ],
  freeIpa: [
    ['anna', '0', '49', 'verified', 'verified'],
    ['юлия', '0', '49', 'verified', 'verified'],
    ['disabled', '53 control 1', '53 control 1', 'account-disabled', 'account-locked'],
    // The bind accepts what FreeIPA takes for expired, which is why the entry has to be read.
    ['newcomer', '0', '49', 'password-must-change', 'verified'],
    ['aged', '0', '49', 'password-expired', 'verified'],
    ['gone', '0', '49', 'account-expired', 'verified'],
    ['own-expired', '49 control 0', '49', 'password-expired', 'password-expired'],
    ['own-mustchange', '0 control 2', '49', 'password-must-change', 'password-must-change'],
  ],
  activeDirectory: [
    ['anna', '0', '49 52e', 'verified', 'verified'],
    ['юлия', '0', '49 52e', 'verified', 'verified'],
    ['disabled', '49 533', '49 52e', 'account-disabled', 'account-disabled'],
    ['newcomer', '49 773', '49 52e', 'password-must-change', 'password-must-change'],
    ['aged', '49 532', '49 52e', 'password-expired', 'password-expired'],
    ['gone', '49 701', '49 52e', 'account-expired', 'account-expired'],
    ['hours', '49 530', '49 52e', 'sign-in-not-permitted', 'sign-in-not-permitted'],
    ['workstation', '49 531', '49 52e', 'sign-in-not-permitted', 'sign-in-not-permitted'],
  ],
};

/** After three wrong passwords; the first is the answer to the right one, the second to a further wrong one. */
const lockedAnswers: Readonly<Record<string, readonly [string, string]>> = {
  openLdap: ['49 control 1', '49 control 1'],
  freeIpa: ['19 control 1', '19 control 1'],
  activeDirectory: ['49 775', '49 775'],
};

const passwordOf = (username: string): string =>
  accounts.find((account) => account.username === username)?.password ?? `${username}-Passw0rd`;

async function bindAnswer(endpoint: Endpoint, dn: string, password: string): Promise<string> {
  await using stack = new AsyncDisposableStack();
  const connection = await connect(endpoint);
  stack.defer(async () => await connection.close());
  const answer = await connection.bind(dn, new Secret(password));
  const data = /\bdata ([0-9a-f]+)/.exec(answer.diagnostic)?.[1];
  return [
    answer.resultCode,
    ...(answer.policyError === undefined ? [] : [`control ${answer.policyError}`]),
    ...(data === undefined ? [] : [data]),
  ].join(' ');
}

async function connect(endpoint: Endpoint): Promise<LdapConnection> {
  const limits = { operationTimeoutMs: 5_000, slowAfterMs: 5_000 };
  const { maxBurstBytes } = defaultTimings;
  const events = { onSlow: () => undefined, onClose: () => undefined };
  const wire = await dial(endpoint, { timeoutMs: 3_000, signal: AbortSignal.timeout(5_000) });
  return new LdapConnection(wire, { ...limits, maxBurstBytes, ...events });
}

function endpointOf({ options }: RunningDirectory, change: Record<string, unknown> = {}): Endpoint {
  const [endpoint] = toEndpoints(parseOptions([], { ...options, ...change }));
  assert.ok(endpoint !== undefined);
  return endpoint;
}

for (const { kind, server, whyNot, start } of kindsUnderTest) {
  describe(`${server}:`, { skip: whyNot ?? false }, () => {
    let running: RunningDirectory;
    let endpoint: Endpoint;
    let corp: TestDirectory;
    let bindOnly: TestDirectory;
    before(async () => {
      running = await start();
      endpoint = endpointOf(running);
      const { options } = running;
      const users = options['users'] as Record<string, unknown>;
      corp = openDirectory({ servers: [], options });
      bindOnly = openDirectory({
        servers: [],
        options: { ...options, users: { ...users, status: 'bindOnly' } },
      });
    });
    after(async () => {
      await corp[Symbol.asyncDispose]();
      await bindOnly[Symbol.asyncDispose]();
      await running[Symbol.asyncDispose]();
    });

    for (const [username, right, wrong, judged, byBind] of tables[kind] ?? []) {
      test(`${username} is answered ${right} and ${wrong}, and judged ${judged}`, async () => {
        const dn = running.dnOf(username);
        assert.equal(await bindAnswer(endpoint, dn, passwordOf(username)), right);
        assert.equal(await bindAnswer(endpoint, dn, 'Wr0ng-password'), wrong);
        assert.equal(await corp.judge(username, passwordOf(username)), judged);
        assert.equal(await bindOnly.judge(username, passwordOf(username)), byBind);
      });
    }

    test('three wrong passwords lock an account, for the right password too', async () => {
      const dn = running.dnOf('guessed');
      for (let attempt = 0; attempt < 3; attempt++) {
        assert.equal(await bindOnly.judge('guessed', `Wr0ng-${attempt}`), 'wrong-password');
      }
      const [right, wrong] = lockedAnswers[kind] ?? [];
      assert.equal(await bindAnswer(endpoint, dn, passwordOf('guessed')), right);
      assert.equal(await bindAnswer(endpoint, dn, 'Wr0ng-password'), wrong);
      const refused = async () =>
        await corp.count('vratar_directory_operations_total', { operation: 'bind', result: 'refused' });
      const before = await refused();
      assert.equal(await corp.judge('guessed', passwordOf('guessed')), 'account-locked');
      // Where the lock can be read, no further failure is counted.
      assert.equal((await refused()) - before, kind === 'activeDirectory' ? 0 : 1);
      assert.equal(await bindOnly.judge('guessed', passwordOf('guessed')), 'account-locked');
    });

    test('an unknown DN and one outside are refused like a wrong password', async () => {
      const data = kind === 'activeDirectory' ? ' 52e' : '';
      assert.equal(await bindAnswer(endpoint, running.dnOf('nobody'), 'Wr0ng-password'), `49${data}`);
      assert.equal(await bindAnswer(endpoint, 'cn=x,dc=elsewhere', 'Wr0ng-password'), `49${data}`);
    });

    test('somebody disabled may not sign in, and is out at the next look', async () => {
      const outcome = await corp.verify('leaver', passwordOf('leaver'));
      assert.ok(outcome.kind === 'verified');
      await running.modify(`dn: ${running.dnOf('leaver')}\n${running.disabling}`);
      const reason = kind === 'openLdap' ? 'account-locked' : 'account-disabled';
      assert.equal(await corp.judge('leaver', passwordOf('leaver')), reason);
      await using again = openDirectory({ servers: [], options: running.options });
      const { person } = outcome;
      assert.deepEqual(await again.directory.lookup(person, AbortSignal.timeout(5_000)), {
        kind: 'ended',
        reason,
      });
    });

    test('somebody renamed is found again by what never changes', async () => {
      const outcome = await corp.verify('maria', passwordOf('maria'));
      assert.ok(outcome.kind === 'verified');
      await using again = openDirectory({ servers: [], options: running.options });
      const renamed = { id: outcome.person.id, username: 'somebody.else' };
      const found = await again.directory.lookup(renamed, AbortSignal.timeout(5_000));
      assert.ok(found.kind === 'found');
      assert.deepEqual([found.person.username, found.person.dn], ['maria', outcome.person.dn]);
    });
  });
}

describe('389 Directory Server', { skip: kindsUnderTest[1]?.whyNot ?? false }, () => {
  test('nsAccountLock counts in any spelling, and only TRUE locks', async () => {
    await using running = await (kindsUnderTest[1] as (typeof kindsUnderTest)[number]).start();
    await using corp = openDirectory({ servers: [], options: running.options });
    for (const [value, expect] of [
      ['True', 'account-disabled'],
      ['FALSE', 'verified'],
      ['true', 'account-disabled'],
    ] as const) {
      const replace = `changetype: modify\nreplace: nsAccountLock\nnsAccountLock: ${value}\n`;
      await running.modify(`dn: ${running.dnOf('maria')}\n${replace}`);
      assert.equal(await corp.judge('maria', passwordOf('maria')), expect, value);
    }
  });
});

describe('Samba', { skip: kindsUnderTest[2]?.whyNot ?? false }, () => {
  test('a bind without TLS is refused before the password is looked at, as a matter of configuration', async () => {
    await using running = await (kindsUnderTest[2] as (typeof kindsUnderTest)[number]).start();
    const plain = { servers: [String(running.options['servers']).replace('ldaps:', 'ldap:')] };
    const endpoint = endpointOf(running, plain);
    assert.equal(await bindAnswer(endpoint, running.dnOf('anna'), passwordOf('anna')), '8');
    const answer = { resultCode: 8, policyError: undefined, graceSignInsLeft: undefined, diagnostic: '' };
    assert.throws(() => activeDirectoryStatus.judgeBind(answer), { kind: 'config' });
    await using corp = openDirectory({ servers: [], options: { ...running.options, ...plain } });
    await assert.rejects(corp.verify('anna', passwordOf('anna')), { code: 'PROVIDER_MISCONFIGURED' });
  });

  test('StartTLS does for the domain controller as well', async () => {
    await using running = await (kindsUnderTest[2] as (typeof kindsUnderTest)[number]).start();
    const servers = [String(running.options['servers']).replace('ldaps:', 'ldap:')];
    await using corp = openDirectory({
      servers: [],
      options: { ...running.options, servers, startTls: true },
    });
    assert.equal(await corp.judge('anna', passwordOf('anna')), 'verified');
  });
});
