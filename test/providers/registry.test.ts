import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Directory } from '#src/directory/directory.ts';
import { GatewayError } from '#src/errors.ts';
import { GroupTable } from '#src/identity/group.ts';
import { systemClock } from '#src/lib/clock.ts';
import { Metrics } from '#src/observability/metrics.ts';
import { createPasswordHash } from '#src/providers/password-hash.ts';
import { createProviders } from '#src/providers/registry.ts';
import { collectLog } from '#test/support/log-lines.ts';

const users = [{ username: 'alice', passwordHash: await createPasswordHash('a'), groups: [] }];
const dependencies = {
  groupTable: new GroupTable(),
  generatedHashes: new Map<string, string>(),
  stateDirectory: '/nonexistent',
  logger: collectLog().logger,
  metrics: new Metrics(),
  clock: systemClock,
  tickets: { rememberTicket: async () => {}, recallTicket: async () => undefined },
};

describe('configured providers', () => {
  test('are made in their order, each with its name and title', () => {
    const directory: Directory = {
      name: 'corp',
      verify: async () => ({ kind: 'rejected', reason: 'unknown-account' }),
      changePassword: async () => ({ kind: 'rejected', reason: 'unknown-account' }),
      lookup: async () => ({ kind: 'ended', reason: 'unknown-account' }),
      find: async () => ({ kind: 'ended', reason: 'unknown-account' }),
      health: () => ({ name: 'corp', servers: [] }),
      [Symbol.asyncDispose]: async () => {},
    };
    const providers = createProviders(
      [
        { name: 'staff', type: 'local', title: 'Staff', users },
        { name: 'corp', type: 'ldap', title: undefined, directory: 'corp' },
      ],
      { ...dependencies, directories: new Map([['corp', directory]]) },
    );
    assert.deepEqual(
      providers.map(({ name, type, title }) => ({ name, type, title })),
      [
        { name: 'staff', type: 'local', title: 'Staff' },
        { name: 'corp', type: 'ldap', title: 'corp' },
      ],
    );
  });

  test('of a directory that is not configured are refused by name', () => {
    assert.throws(
      () =>
        createProviders([{ name: 'corp', type: 'ldap', title: undefined, directory: 'gone' }], {
          ...dependencies,
          directories: new Map(),
        }),
      (error) =>
        error instanceof GatewayError && error.code === 'CONFIG_INVALID' && error.message.includes('"gone"'),
    );
  });
});
