import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { loadConfig } from '#src/config/load.ts';
import { packConfig, unpackConfig } from '#src/config/transfer.ts';

test('a configuration arrives in another process as it left, secrets included', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vratar-transfer-'));
  try {
    const file = join(folder, 'vratar.yaml');
    const directory = {
      name: 'corp',
      kind: 'openLdap',
      servers: ['ldap://127.0.0.1'],
      users: { baseDn: 'dc=x' },
    };
    writeFileSync(
      file,
      JSON.stringify({
        server: { publicUrl: 'http://127.0.0.1' },
        directories: [{ ...directory, bind: { dn: 'cn=service', password: { env: 'PASSWORD' } } }],
        providers: [{ name: 'corp', type: 'ldap', directory: 'corp' }],
      }),
    );
    const { config } = loadConfig(file, { env: { PASSWORD: 'service-password' } });
    const arrived = unpackConfig(structuredClone(packConfig(config)));
    assert.deepEqual(arrived, config);
    assert.equal(arrived.directories[0]?.bind?.password?.reveal(), 'service-password');
    assert.doesNotMatch(JSON.stringify(arrived), /service-password/);
  } finally {
    await rm(folder, { recursive: true });
  }
});
