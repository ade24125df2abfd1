import assert from 'node:assert/strict';
import { after, test } from 'node:test';
import { startSlapd } from '#test/servers/slapd.ts';
import { groupDn, groupsBase } from '#test/servers/slapd-data.ts';
import { openDirectory } from './directories.ts';

const server = await startSlapd({
  bulk: { people: 10_000, teams: 200 },
  people: [{ uid: 'joiner', password: 'joiner-password' }],
  groups: [
    { name: 'комната, 5', people: ['joiner'] },
    ...Array.from({ length: 60 }, (_, n) => ({ name: `club-${n}`, people: ['joiner'] })),
    { name: 'clubs-of-clubs', groups: ['club-59'] },
  ],
});
after(async () => await server[Symbol.asyncDispose]());

async function groupsOf(username: string, password: string, groups: Record<string, unknown>) {
  await using corp = openDirectory({ servers: [server.url], options: { groups } });
  const outcome = await corp.verify(username, password);
  assert.ok(outcome.kind === 'verified');
  return outcome.person.groups;
}

const names = async (...args: Parameters<typeof groupsOf>) =>
  (await groupsOf(...args)).map(({ name }) => name).toSorted();

const search = { baseDn: groupsBase };
const attribute = { method: 'userAttribute' };
const rows: readonly { name: string; groups: Record<string, unknown>; expect: string[] }[] = [
  { name: 'searched for, nested', groups: search, expect: ['employees', 'everyone', 'loop-a', 'loop-b'] },
  { name: 'searched for, direct', groups: { ...search, nested: false }, expect: ['employees', 'loop-a'] },
  { name: 'from memberOf, nested', groups: attribute, expect: ['employees', 'everyone', 'loop-a', 'loop-b'] },
  { name: 'from memberOf, direct', groups: { ...attribute, nested: false }, expect: ['employees', 'loop-a'] },
  {
    name: 'from memberOf, below a base that holds none',
    groups: { ...attribute, baseDn: `ou=other,${groupsBase}` },
    expect: [],
  },
  {
    name: 'searched for with another condition',
    groups: { ...search, filter: '(&(member=%DN%)(cn=loop-*))' },
    expect: ['loop-a', 'loop-b'],
  },
  {
    name: 'named by another attribute',
    groups: { ...search, nested: false, nameAttribute: 'entryDN' },
    expect: [groupDn('employees'), groupDn('loop-a')],
  },
  {
    name: 'from an attribute that holds names',
    groups: { ...attribute, userAttribute: 'sn' },
    expect: ['Brown'],
  },
];

for (const { name, groups, expect } of rows) {
  test(`groups ${name}; groups that contain each other end`, async () => {
    assert.deepEqual(await names('bob', 'bob-password', groups), expect);
  });
}

test('groups carry DN and directory, so that two of one name are told apart', async () => {
  const [group] = await groupsOf('bob', 'bob-password', { ...search, nested: false });
  assert.equal(group?.dn, groupDn('employees'));
  assert.equal(group.directory, 'corp');
  assert.equal(group.foldedDn, groupDn('employees').toLowerCase());
});

for (const [method, groups] of Object.entries({ search, userAttribute: attribute })) {
  test(`${method}: somebody in sixty groups, one of them nested and one with a comma`, async () => {
    const found = await names('joiner', 'joiner-password', groups);
    assert.equal(found.length, 62);
    assert.ok(found.includes('комната, 5'));
    assert.ok(found.includes('clubs-of-clubs'));
  });
}

test('sixty groups are asked about together, not one by one, when nothing is above them', async () => {
  await using corp = openDirectory({
    servers: [server.url],
    options: { groups: { ...search, filter: '(&(member=%DN%)(cn=club-*)(!(cn=club-59)))' } },
  });
  await server.clearOperations();
  const outcome = await corp.verify('joiner', 'joiner-password');
  assert.ok(outcome.kind === 'verified');
  assert.equal(outcome.person.groups.length, 59);
  const asked = (await server.operations()).filter(({ filter }) => filter.includes('member='));
  assert.equal(asked.length, 3, 'the direct groups, then fifty and nine at once');
});

test('the climb of one person serves the next one', async () => {
  await using corp = openDirectory({ servers: [server.url] });
  assert.equal(await corp.judge('u000001', 'password-000001'), 'verified');
  await server.clearOperations();
  const outcome = await corp.verify('u000201', 'password-000201');
  assert.ok(outcome.kind === 'verified');
  assert.deepEqual(
    outcome.person.groups.map(({ name }) => name),
    ['team-1', 'division-0', 'company'],
  );
  const asked = (await server.operations()).filter(({ filter }) => filter.includes('member='));
  assert.equal(asked.length, 1, 'only the direct groups of the second person');
});
