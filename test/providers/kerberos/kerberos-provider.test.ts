import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import { readKeytab } from '#src/providers/kerberos/keytab.ts';
import { ticketProviderContract } from '#test/contract/ticket-provider-contract.ts';
import { openDirectory, type TestDirectory } from '#test/directory/directories.ts';
import { startKdc } from '#test/servers/kdc.ts';
import { startSlapd } from '#test/servers/slapd.ts';
import { personDn } from '#test/servers/slapd-data.ts';
import { childProcesses } from '#test/support/child-processes.ts';
import { ManualClock } from '#test/support/clock.ts';
import { until } from '#test/support/until.ts';
import { base64, negotiationToken, ntlmMessage, ticketToken } from './built-tokens.ts';
import {
  openTicketProvider,
  type TicketProvider,
  type TicketProviderSettings,
  ticketMemory,
} from './ticket-provider.ts';

const service = 'HTTP/gw.localhost';
const people = ['alice', 'bob', 'Carol', 'alice/admin', 'locked', 'twin', 'stranger', 'иван', 'we\\@ird'];
const kdc = await startKdc({ people, services: [service, 'HTTP/wiki.localhost', 'host/gw.localhost'] });
const slapd = await startSlapd();
after(async () => {
  await kdc[Symbol.asyncDispose]();
  await slapd[Symbol.asyncDispose]();
});

let opened = 0;
const open = (settings: Partial<TicketProviderSettings> = {}): TicketProvider =>
  openTicketProvider({ keytab: kdc.keytab, replayFile: join(kdc.folder, `replay-${++opened}`), ...settings });

/** Reached before it is asked: a busy machine must not turn the first look-up into an outage. */
async function reachedDirectory(): Promise<TestDirectory> {
  const corp = openDirectory({ servers: [slapd.url] });
  await until(() => corp.directory.health().servers.every(({ available }) => available), {
    timeoutMs: 30_000,
    what: 'the directory',
  });
  return corp;
}

ticketProviderContract('kerberos without a directory', async () => {
  const setup = open();
  return {
    provider: setup.provider,
    token: async () => await kdc.token('alice'),
    username: 'alice',
    [Symbol.asyncDispose]: async () => await setup[Symbol.asyncDispose](),
  };
});

ticketProviderContract('kerberos with a directory', async () => {
  const corp = await reachedDirectory();
  const setup = open({ directory: corp.directory });
  return {
    provider: setup.provider,
    token: async () => await kdc.token('alice'),
    username: 'alice',
    [Symbol.asyncDispose]: async () => {
      await setup[Symbol.asyncDispose]();
      await corp[Symbol.asyncDispose]();
    },
  };
});

for (const isolation of ['helper', 'none'] as const) {
  test(`no krb5.conf is read but the one that is configured (isolation ${isolation})`, async () => {
    const broken = join(kdc.folder, 'broken.conf');
    writeFileSync(broken, '[libdefaults\nclockskew\n');
    const before = process.env['KRB5_CONFIG'];
    process.env['KRB5_CONFIG'] = broken;
    try {
      await using setup = open({ options: { isolation } });
      assert.equal(await setup.judge(await kdc.token('alice')), 'alice');
      await using configured = open({ options: { isolation, krb5Config: broken } });
      assert.notEqual(await configured.judge(await kdc.token('alice')), 'alice');
    } finally {
      if (before === undefined) delete process.env['KRB5_CONFIG'];
      else process.env['KRB5_CONFIG'] = before;
    }
  });
}

for (const isolation of ['helper', 'none'] as const) {
  describe(`a ticket judged with isolation ${isolation}`, () => {
    test('makes a principal of its name alone, with the reply for the client', async () => {
      await using setup = open({ options: { isolation } });
      const outcome = await setup.authenticate(await kdc.token('alice'));
      assert.ok(outcome.kind === 'authenticated');
      assert.deepEqual(outcome.principal, {
        provider: 'sso',
        subject: 'alice@TEST.LOCAL',
        username: 'alice',
        email: undefined,
        displayName: undefined,
        givenName: undefined,
        familyName: undefined,
        groups: [],
        roles: [],
        accessLevel: 'user',
        attributes: {},
      });
      const [header, ...others] = outcome.headers ?? [];
      assert.deepEqual(others, []);
      assert.equal(header?.[0], 'WWW-Authenticate');
      assert.match(header?.[1] ?? '', /^Negotiate [A-Za-z0-9+/]+=*$/);
    });

    test('has no reply where the mechanism has none', async () => {
      await using setup = open({ options: { isolation } });
      const outcome = await setup.authenticate(await kdc.token('alice', service, { mechanism: 'krb5' }));
      assert.ok(outcome.kind === 'authenticated');
      assert.deepEqual(outcome.headers, []);
    });

    test('is refused when it is presented from elsewhere a second time', async () => {
      await using setup = open({ options: { isolation } });
      const token = await kdc.token('alice');
      assert.equal(await setup.judge(token), 'alice');
      assert.equal(await setup.judge(token, { clientAddress: '192.0.2.8' }), 'replay');
    });

    test('is accepted again where no record of tickets is kept', async () => {
      await using setup = open({ options: { isolation, replay: 'off' } });
      const token = await kdc.token('alice');
      assert.equal(await setup.judge(token), 'alice');
      assert.equal(await setup.judge(token, { clientAddress: '192.0.2.8' }), 'alice');
    });
  });
}

describe('one token for many questions', () => {
  test('is judged once when they come together, and once when they follow each other', async () => {
    await using setup = open();
    const token = await kdc.token('alice');
    const together = await Promise.all(Array.from({ length: 20 }, () => setup.judge(token)));
    assert.deepEqual(new Set(together), new Set(['alice']));
    assert.equal(await setup.judge(token), 'alice');
    assert.equal(setup.count('accepted'), 1);
    assert.equal(setup.count('replay'), 0);
  });

  test('is judged anew after ten seconds', async () => {
    const clock = new ManualClock();
    await using setup = open({ clock });
    const token = await kdc.token('alice');
    assert.equal(await setup.judge(token), 'alice');
    clock.advance(9_999);
    assert.equal(await setup.judge(token), 'alice');
    assert.equal(setup.count('remembered'), 1);
    clock.advance(1);
    assert.equal(await setup.judge(token), 'replay');
  });

  test('is judged once also when another worker is asked, and a replay from elsewhere stays one', async () => {
    const shared = { tickets: ticketMemory(), replayFile: join(kdc.folder, 'replay-of-workers') };
    await using one = open(shared);
    await using other = open(shared);
    const token = await kdc.token('alice');
    assert.deepEqual(await Promise.all([one.judge(token), other.judge(token)]), ['alice', 'alice']);
    assert.deepEqual([one.count('accepted') + other.count('accepted'), other.count('replay')], [1, 0]);
    assert.equal(await other.judge(token, { clientAddress: '192.0.2.8' }), 'replay');
  });

  test('a client that goes away does not end it for the others', async () => {
    await using setup = open();
    const token = await kdc.token('alice');
    const [first, second] = await Promise.all([
      setup.judge(token, { signal: AbortSignal.abort() }),
      setup.judge(token),
    ]);
    assert.deepEqual([first, second], ['PROVIDER_UNAVAILABLE', 'alice']);
  });

  test('a refusal is not remembered', async () => {
    await using setup = open();
    const token = base64(ticketToken());
    assert.equal(await setup.judge(token), 'key-mismatch');
    assert.equal(await setup.judge(token), 'key-mismatch');
    assert.equal(setup.count('key-mismatch'), 2);
  });
});

describe('never reaches the library', () => {
  const rows: readonly (readonly [name: string, token: string, reason: string])[] = [
    ['NTLM', base64(negotiationToken(['ntlm'], ntlmMessage)), 'ntlm'],
    ['garbage', 'AAAA', 'token-malformed'],
    ['a ticket for another host', base64(ticketToken({ service: 'HTTP/other.localhost' })), 'spn-mismatch'],
    ['a ticket of another realm', base64(ticketToken({ realm: 'OTHER.LOCAL' })), 'spn-mismatch'],
    [
      'a ticket for another kind of service',
      base64(ticketToken({ service: 'host/gw.localhost' })),
      'spn-mismatch',
    ],
    ['a token that is too long', 'A'.repeat(90_004), 'token-too-long'],
  ];
  for (const [name, token, reason] of rows) {
    test(`${name}: ${reason}`, async () => {
      // Every token that came there would be an obstacle: there is nowhere to record it.
      await using setup = open({ replayFile: '/nonexistent/replay' });
      assert.equal(await setup.judge(token), reason);
      assert.equal(setup.count(reason), 1);
      assert.equal(await setup.judge(await kdc.token('alice')), 'PROVIDER_MISCONFIGURED');
    });
  }
});

test('a key of the keytab that is not for signing in opens nothing, whatever the ticket claims', async () => {
  await using setup = open({ options: { strictSpn: false } });
  assert.equal(await setup.judge(await kdc.token('alice', 'host/gw.localhost')), 'spn-mismatch');
  await using narrow = open({ options: { principals: [service] } });
  assert.equal(await narrow.judge(await kdc.token('alice', 'HTTP/wiki.localhost')), 'spn-mismatch');
  assert.equal(await narrow.judge(await kdc.token('alice')), 'alice');
});

describe('the principal', () => {
  const rows: readonly (readonly [person: string, options: object, expect: string])[] = [
    ['bob', {}, 'bob'],
    ['Carol', {}, 'Carol'],
    ['Carol', { lowerCase: true }, 'carol'],
    ['иван', {}, 'иван'],
    ['bob', { username: '${user}@${realm}' }, 'bob@TEST.LOCAL'],
    ['alice/admin', {}, 'principal-malformed'],
    ['we\\@ird', {}, 'principal-malformed'],
    ['bob', { realms: ['OTHER.LOCAL'] }, 'realm-not-allowed'],
  ];
  for (const [person, options, expect] of rows) {
    test(`${person} with ${JSON.stringify(options)}: ${expect}`, async () => {
      await using setup = open({ options: { ...options } });
      assert.equal(await setup.judge(await kdc.token(person)), expect);
    });
  }
});

describe('with a directory', () => {
  const withDirectory = async (use: (setup: TicketProvider) => Promise<void>): Promise<void> => {
    await using corp = await reachedDirectory();
    await using setup = open({ directory: corp.directory });
    await use(setup);
  };

  test('the person has the attributes and groups of the entry', async () => {
    await withDirectory(async (setup) => {
      const outcome = await setup.authenticate(await kdc.token('alice'));
      assert.ok(outcome.kind === 'authenticated');
      const { principal } = outcome;
      assert.equal(principal.displayName, 'Alice Adams');
      assert.match(principal.subject, /^[0-9a-f-]{36}$/);
      assert.deepEqual(principal.groups.map(({ name }) => name).toSorted(), [
        'admins',
        'employees',
        'everyone',
        'staff',
      ]);
    });
  });

  for (const [person, reason] of [
    ['locked', 'account-locked'],
    ['twin', 'ambiguous-account'],
    ['stranger', 'unknown-account'],
  ] as const) {
    test(`a valid ticket of ${person} opens nothing: ${reason}`, async () => {
      await withDirectory(async (setup) => {
        assert.equal(await setup.judge(await kdc.token(person)), reason);
        assert.equal(setup.count('accepted'), 1, 'the ticket itself was good');
      });
    });
  }

  test('a person who is locked after the ticket was issued does not get in, nor stay in', async () => {
    await withDirectory(async (setup) => {
      const outcome = await setup.authenticate(await kdc.token('bob'));
      assert.ok(outcome.kind === 'authenticated');
      const change = (line: string): string => `dn: ${personDn('bob')}\nchangetype: modify\n${line}\n`;
      await slapd.modify(change('replace: pwdAccountLockedTime\npwdAccountLockedTime: 000001010000Z'));
      try {
        assert.equal(await setup.judge(await kdc.token('bob')), 'account-locked');
        await until(
          async () => {
            const refreshed = await setup.provider.refresh(outcome.principal, AbortSignal.timeout(20_000));
            return refreshed.kind === 'ended' && refreshed.reason === 'account-locked';
          },
          { timeoutMs: 20_000, what: 'the end of the session' },
        );
      } finally {
        await slapd.modify(change('delete: pwdAccountLockedTime'));
      }
    });
  });

  test('a directory that is away is no refusal', async () => {
    await using corp = openDirectory({ servers: ['ldap://127.0.0.1:1'] });
    await using setup = open({ directory: corp.directory });
    assert.equal(await setup.judge(await kdc.token('alice')), 'PROVIDER_UNAVAILABLE');
  });
});

test('two realms keep their people apart', async () => {
  await using partner = await startKdc({ realm: 'PARTNER.LOCAL', services: ['HTTP/partner.localhost'] });
  const realms = ['TEST.LOCAL', { name: 'PARTNER.LOCAL', username: '${user}@partner' }];
  await using home = open({ options: { realms } });
  await using away = open({ keytab: partner.keytab, options: { name: 'partner', realms } });
  const local = await kdc.token('alice');
  const foreign = await partner.token('alice', 'HTTP/partner.localhost');
  assert.deepEqual([await home.judge(local), await home.judge(foreign)], ['alice', 'spn-mismatch']);
  assert.deepEqual([await away.judge(foreign), await away.judge(local)], ['alice@partner', 'spn-mismatch']);
});

test('a keytab that is rotated under load costs nobody a sign-in', async () => {
  const rotated = 'HTTP/rotated.localhost';
  await kdc.administer(`addprinc -randkey ${rotated}`);
  const keytab = join(kdc.folder, 'rotated.keytab');
  await kdc.writeKeytab(keytab, [rotated]);
  await using setup = open({ keytab });
  let isRotating = true;
  const results: string[] = [];
  const signingIn = (async () => {
    while (isRotating || results.length < 100)
      results.push(await setup.judge(await kdc.token('alice', rotated)));
  })();
  for (let round = 0; round < 3; round++) {
    const before = results.length;
    // Old keys first, as an operator who cares does it: export, rename over the old file, then issue new tickets.
    await kdc.rotateKey(rotated);
    await kdc.writeKeytab(keytab, [rotated]);
    await kdc.forgetTickets();
    await until(() => results.length > before + 10, {
      timeoutMs: 60_000,
      what: 'sign-ins after the rotation',
    });
  }
  isRotating = false;
  await signingIn;
  assert.deepEqual(new Set(results), new Set(['alice']));
  assert.ok(Math.max(...readKeytab(keytab).map(({ keyVersion }) => keyVersion)) > 3);
});

for (const signal of ['SIGSEGV', 'SIGKILL'] as const) {
  test(`a helper ended by ${signal} during a hundred sign-ins costs nobody an error`, async () => {
    await using setup = open();
    assert.equal(await setup.judge(await kdc.token('bob')), 'bob');
    const tokens = await Promise.all(Array.from({ length: 100 }, () => kdc.token('alice')));
    const [helper, ...others] = childProcesses('helper-entry');
    assert.ok(helper !== undefined && others.length === 0, 'the helper of this provider alone');
    const judging = tokens.map((token) => setup.judge(token));
    process.kill(helper, signal);
    const results = await Promise.all(judging);
    const wrong = results.filter((result) => result !== 'alice' && result !== 'PROVIDER_UNAVAILABLE');
    assert.deepEqual(wrong, []);
    assert.ok(results.filter((result) => result === 'alice').length >= 96, 'all but those in hand');
    assert.equal(await setup.judge(await kdc.token('alice')), 'alice');
    assert.equal(setup.log.of('kerberos-helper-ended').length, 1);
  });
}

test('says what to mend, once a minute for each reason', async () => {
  const clock = new ManualClock();
  await using setup = open({ clock });
  const misdirected = base64(ticketToken({ service: 'HTTP/\u001b[2Jother.localhost' }));
  for (let count = 0; count < 5; count++) await setup.judge(misdirected);
  const lines = (): readonly Record<string, unknown>[] => setup.log.of('kerberos-ticket');
  assert.deepEqual(
    lines().map(({ level, reason }) => ({ level, reason })),
    [{ level: 'warn', reason: 'spn-mismatch' }],
  );
  assert.match(String(lines()[0]?.['service']), /^HTTP\/.*other\.localhost@TEST\.LOCAL$/);
  clock.advance(60_000);
  await setup.judge(misdirected);
  assert.equal(lines()[1]?.['sinceLastLine'], 4);
});

test('a keytab that cannot be read stops the start', () => {
  assert.throws(
    () => open({ keytab: join(kdc.folder, 'nowhere.keytab') }),
    (error) => error instanceof GatewayError && error.code === 'CONFIG_INVALID',
  );
});
