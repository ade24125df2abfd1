import assert from 'node:assert/strict';
import { test } from 'node:test';
import { checkDirectory } from '#src/directory/check.ts';
import { Secret } from '#src/lib/secret.ts';
import {
  ber,
  message,
  result,
  type Script,
  searchEntry,
  startScriptedLdapServer,
  tags,
} from '#test/servers/scripted-ldap-server.ts';
import { openDirectory, parseOptions } from './directories.ts';

const person = 'uid=alice,ou=people,dc=example,dc=test';

/** Behaves, but for searches that a case answers itself; `undefined`: nothing found. */
function server(onSearch: (text: string, messageId: number) => readonly Buffer[] | undefined): Script {
  return ({ messageId, tag, bytes }) => {
    if (tag === tags.bind) return result(messageId, tags.bindResponse, 0);
    if (tag !== tags.search) return undefined;
    const found = onSearch(bytes.toString('latin1'), messageId) ?? [];
    return [...found, result(messageId, tags.searchDone, 0)];
  };
}

const isPersonSearch = (text: string): boolean => text.includes('inetOrgPerson');

test('a hundred thousand entries for one name let nobody in', async () => {
  await using liar = await startScriptedLdapServer(
    server((text, id) => {
      if (!isPersonSearch(text)) return undefined;
      const entry = searchEntry(id, person, { uid: ['alice'] });
      return [Buffer.concat(Array.from({ length: 100_000 }, () => entry))];
    }),
  );
  await using corp = openDirectory({
    servers: [liar.url],
    options: { groups: undefined, timeout: '60s' },
    // This process also plays the server, and is busy for seconds where the machine is.
    timings: { slowAfterMs: 60_000, probeMs: 60_000, wholeMs: 60_000 },
  });
  const outcome = await corp.directory.verify('alice', new Secret('x'), {
    signal: AbortSignal.timeout(60_000),
    admit: async () => {},
  });
  assert.deepEqual(outcome, { kind: 'rejected', reason: 'ambiguous-account' });
  assert.ok(!liar.requests.some(({ tag, bytes }) => tag === tags.bind && bytes.includes('uid=alice')));
});

test('a group above every group ends as an error of the directory', async () => {
  let asked = 0;
  await using liar = await startScriptedLdapServer(
    server((text, id) => {
      if (isPersonSearch(text)) return [searchEntry(id, person, { uid: ['alice'] })];
      if (!text.includes('member')) return undefined;
      const name = `g${++asked}`;
      return [searchEntry(id, `cn=${name},ou=groups,dc=example,dc=test`, { cn: [name] })];
    }),
  );
  await using corp = openDirectory({ servers: [liar.url] });
  await assert.rejects(corp.verify('alice', 'x'), { code: 'PROVIDER_PROTOCOL' });
  assert.ok(asked < 500, `${asked} searches`);
});

/** A SID of this domain, in bytes that are no UTF-8. */
const sid = (rid: number): Buffer =>
  Buffer.from([1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0xff, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, rid, 0, 0, 0]);

function binaryEntry(
  messageId: number,
  dn: string,
  attributes: Readonly<Record<string, readonly (string | Buffer)[]>>,
): Buffer {
  const list = Object.entries(attributes).map(([name, values]) =>
    ber(0x30, ber(0x04, name), ber(0x31, ...values.map((value) => ber(0x04, value)))),
  );
  return message(messageId, ber(0x64, ber(0x04, dn), ber(0x30, ...list)));
}

const activeDirectory = {
  kind: 'activeDirectory',
  users: { baseDn: 'ou=people,dc=example,dc=test' },
  groups: {},
};

test('groups that were not asked for, and bytes that are no SID, give nobody a group', async () => {
  await using liar = await startScriptedLdapServer(
    server((text, id) => {
      if (text.includes('tokenGroups')) {
        return [binaryEntry(id, person, { TOKENGROUPS: [sid(1), Buffer.alloc(0), Buffer.from([0xff])] })];
      }
      if (text.includes('sAMAccountName') && text.includes('objectCategory')) {
        return [searchEntry(id, person, { SAMACCOUNTNAME: ['alice'], USERACCOUNTCONTROL: ['512'] })];
      }
      const groups = [1, 2, 3].map((rid) =>
        binaryEntry(id, `CN=g${rid},dc=example,dc=test`, {
          sAMAccountName: [`g${rid}`],
          objectSid: [sid(rid)],
        }),
      );
      return [...groups, searchEntry(id, 'CN=none,dc=example,dc=test', { sAMAccountName: ['none'] })];
    }),
  );
  await using corp = openDirectory({ servers: [liar.url], options: activeDirectory });
  const outcome = await corp.verify('alice', 'x');
  assert.ok(outcome.kind === 'verified');
  assert.deepEqual(
    outcome.person.groups.map(({ name }) => name),
    ['g1'],
  );
});

const unreadable: readonly { name: string; attributes: Record<string, string[]>; expect: RegExp }[] = [
  {
    name: 'tokenGroups, and in which group the service account must be',
    attributes: { userAccountControl: ['512'] },
    expect: /Windows Authorization Access Group/,
  },
  {
    name: 'userAccountControl, and what follows from that',
    attributes: { tokenGroups: ['a SID'] },
    expect: /keep their sessions/,
  },
];

for (const { name, attributes, expect } of unreadable) {
  test(`the self-check says that it may not read ${name}`, async () => {
    const readable = { sAMAccountName: ['alice'], objectGUID: ['0123456789abcdef'], ...attributes };
    await using controller = await startScriptedLdapServer(
      server((_, id) => [searchEntry(id, person, readable)]),
    );
    const options = parseOptions([controller.url], activeDirectory);
    const findings = await checkDirectory(options, { signal: AbortSignal.timeout(5_000) });
    assert.deepEqual(
      findings.map(({ level, message: text }) => [level, expect.test(text)]),
      [['problem', true]],
    );
  });
}
