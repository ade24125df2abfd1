import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { test } from 'node:test';
import { promisify } from 'node:util';
import { startSlapd } from './slapd.ts';
import { peopleBase, personDn, service } from './slapd-data.ts';

const run = promisify(execFile);

test('the test directory starts with ten thousand people, TLS, and counts what it is asked', async () => {
  await using server = await startSlapd({ tls: true, bulk: { people: 10_000, teams: 200 } });
  const search = async (url: string, ...args: string[]) => {
    const found = await run(
      'ldapsearch',
      ['-x', '-LLL', '-o', 'ldif-wrap=no', '-H', url, '-D', service.dn, '-w', service.password, ...args],
      { env: { LDAPTLS_CACERT: server.caFile } },
    );
    return found.stdout;
  };
  const person = await search(server.secureUrl, '-b', peopleBase, '(uid=u009999)', 'memberOf', 'entryUUID');
  assert.match(person, /memberOf: cn=team-199,/);
  assert.match(person, /entryUUID: /);
  assert.match(await search(server.url, '-ZZ', '-b', personDn('mustchange'), 'pwdReset'), /pwdReset: TRUE/);
  const operations = await server.operations();
  assert.deepEqual(
    operations.map((operation) => operation.kind),
    ['bind', 'search', 'unbind', 'startTls', 'bind', 'search', 'unbind'],
  );
  assert.equal(operations[1]?.filter, '(uid=u009999)');
  await server.modify(`dn: ${personDn('bob')}\nchangetype: delete\n`);
  await server.kill();
  await server.restart();
  assert.equal(await search(server.url, '-b', peopleBase, '(uid=bob)', 'uid'), '');
});
