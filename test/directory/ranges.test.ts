import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { SearchRequest } from '#src/directory/connection.ts';
import type { LdapEntry } from '#src/directory/entry.ts';
import { withWholeAttributes } from '#src/directory/ranges.ts';
import { result, searchEntry, startScriptedLdapServer, tags } from '#test/servers/scripted-ldap-server.ts';
import { openDirectory } from './directories.ts';

const dn = 'CN=anna,DC=corp,DC=test';
const never = async (): Promise<LdapEntry[]> => assert.fail('nothing more is asked');

/** Answers the requests in order; an entry that lacks what was asked for has it empty, as the client reports it. */
function pages(...entries: Record<string, string | string[]>[]) {
  const asked: string[] = [];
  const search = async ({ baseDn, scope, attributes }: SearchRequest): Promise<LdapEntry[]> => {
    assert.deepEqual([baseDn, scope], [dn, 'base']);
    const [attribute = ''] = attributes;
    asked.push(attribute);
    const entry = entries.shift();
    return entry === undefined ? [] : [{ dn, [attribute]: [], ...entry } as LdapEntry];
  };
  return { asked, search };
}

describe('attributes in pieces', () => {
  test('an entry without pieces is the same object', async () => {
    const entries: LdapEntry[] = [{ dn, member: ['a', 'b'] }];
    assert.equal(await withWholeAttributes(entries, never), entries);
  });

  test('a first piece that is the last takes the plain name', async () => {
    const entry = { dn, member: [], 'member;range=0-*': ['a', 'b'], cn: 'x' };
    assert.deepEqual(await withWholeAttributes([entry], never), [{ dn, member: ['a', 'b'], cn: 'x' }]);
  });

  test('further pieces are fetched until the last, in any spelling and size', async () => {
    const { asked, search } = pages(
      { 'Member;Range=2-3': ['c', 'd'] },
      { 'member;range=4-4': 'e' },
      { 'member;range=5-*': 'f' },
    );
    const entry = { dn, member: [], 'member;range=0-1': ['a', 'b'] };
    const [whole] = await withWholeAttributes([entry], search);
    assert.deepEqual(whole?.['member'], ['a', 'b', 'c', 'd', 'e', 'f']);
    assert.deepEqual(asked, ['member;range=2-*', 'member;range=4-*', 'member;range=5-*']);
  });

  test('bytes stay bytes', async () => {
    const [first, second] = [Buffer.from([0xff]), Buffer.from([0xfe])];
    const search = async () => [{ dn, 'tokenGroups;range=1-*': [second] } as LdapEntry];
    const [whole] = await withWholeAttributes([{ dn, 'tokenGroups;range=0-0': first }], search);
    assert.deepEqual(whole?.['tokenGroups'], [first, second]);
  });

  const broken: readonly { name: string; answer: Record<string, string | string[]> | undefined }[] = [
    { name: 'no entry', answer: undefined },
    { name: 'nothing', answer: {} },
    { name: 'the same piece again', answer: { 'member;range=0-1': ['a', 'b'] } },
    { name: 'a later piece', answer: { 'member;range=4-*': ['e'] } },
    { name: 'an empty piece', answer: { 'member;range=2-3': [] } },
    { name: 'a piece that ends before it begins', answer: { 'member;range=2-1': ['c'] } },
  ];
  for (const { name, answer } of broken) {
    test(`a server that answers ${name} is an error, never fewer values`, async () => {
      const { search } = pages(...(answer === undefined ? [] : [answer]));
      const entry = { dn, member: [], 'member;range=0-1': ['a', 'b'] };
      await assert.rejects(withWholeAttributes([entry], search), { name: 'LdapFailure', kind: 'protocol' });
    });
  }

  test('a server that always has more to say is ended', async () => {
    const size = 5_000;
    const search = async ({ attributes }: SearchRequest): Promise<LdapEntry[]> => {
      const start = Number(/range=(\d+)/.exec(attributes[0] ?? '')?.[1]);
      const name = `member;range=${start}-${start + size - 1}`;
      return [{ dn, [name]: Array.from({ length: size }, (_, n) => String(n)) }];
    };
    const entry = { dn, 'member;range=0-0': 'a' };
    await assert.rejects(withWholeAttributes([entry], search), { kind: 'protocol' });
  });
});

test('five thousand groups of one person arrive in pieces of five hundred', async () => {
  const groups = Array.from({ length: 5_000 }, (_, n) => `CN=g${n},OU=Groups,DC=corp,DC=test`);
  const size = 500;
  await using server = await startScriptedLdapServer(({ messageId, tag, bytes }) => {
    if (tag === tags.bind) return result(messageId, tags.bindResponse, 0);
    if (tag !== tags.search) return undefined;
    const text = bytes.toString('latin1');
    const done = result(messageId, tags.searchDone, 0);
    if (!text.includes('memberOf')) return done;
    const start = Number(/memberOf;range=(\d+)-\*/.exec(text)?.[1] ?? 0);
    const end = start + size >= groups.length ? '*' : String(start + size - 1);
    const attributes = {
      sAMAccountName: ['anna'],
      userAccountControl: ['512'],
      [`memberOf;range=${start}-${end}`]: groups.slice(start, start + size),
    };
    return [searchEntry(messageId, dn, attributes), done];
  });
  await using corp = openDirectory({
    servers: [server.url],
    options: {
      kind: 'activeDirectory',
      users: { baseDn: 'DC=corp,DC=test' },
      groups: { nested: false, nameAttribute: 'cn' },
    },
  });
  const outcome = await corp.verify('anna', 'anna-password');
  assert.ok(outcome.kind === 'verified');
  assert.equal(outcome.person.groups.length, 5_000);
  assert.equal(await corp.count('vratar_directory_operations_total', { operation: 'search' }), 10);
});
