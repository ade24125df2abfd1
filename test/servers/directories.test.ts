import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { runTool } from './daemon.ts';
import { startDirsrv, whyNoDirsrv } from './dirsrv.ts';
import { accountOfUsers, peopleOfAccounts, serviceOfAccounts } from './dirsrv-data.ts';
import { startSamba, whyNoSamba } from './samba.ts';
import { accountOfDomain, peopleOfDomain, serviceOfDomain } from './samba-data.ts';

interface Server {
  readonly secureUrl: string;
  readonly caFile: string;
}

const searcher =
  (server: Server, account: { dn: string; password: string }, env: NodeJS.ProcessEnv = {}) =>
  async (...args: readonly string[]): Promise<string> =>
    await runTool(
      'ldapsearch',
      ['-x', '-LLL', '-H', server.secureUrl, '-D', account.dn, '-w', account.password, ...args],
      { env: { LDAPTLS_CACERT: server.caFile, ...env } },
    );

describe('389 Directory Server', { skip: whyNoDirsrv() }, () => {
  test('starts from what is kept, speaks TLS, computes nested memberOf and can be changed', async () => {
    await using server = await startDirsrv();
    const search = searcher(server, serviceOfAccounts);
    const found = await search('-b', peopleOfAccounts, '(uid=deep)', 'memberOf');
    assert.equal(found.match(/^memberOf: /gm)?.length, 203);
    await server.modify(`dn: ${accountOfUsers('leaver')}\nchangetype: delete\n`);
    assert.equal(await search('-b', peopleOfAccounts, '(uid=leaver)', '1.1'), '');
  });
});

describe('Samba', { skip: whyNoSamba() }, () => {
  test('starts from what is kept, speaks TLS, computes tokenGroups and can be changed', async () => {
    await using server = await startSamba();
    // The certificate is for a name that only the gateway can be told to expect of an address.
    const search = searcher(server, serviceOfDomain, { LDAPTLS_REQCERT: 'never' });
    const found = await search('-b', accountOfDomain('deep'), '-s', 'base', 'tokenGroups');
    assert.ok((found.match(/^tokenGroups:: /gm)?.length ?? 0) > 203);
    await server.modify(`dn: ${accountOfDomain('leaver')}\nchangetype: delete\n`);
    assert.equal(await search('-b', peopleOfDomain, '(sAMAccountName=leaver)', '1.1'), '');
  });
});
