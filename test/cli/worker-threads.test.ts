/** Fewer threads for workers that do nothing with them but judge tickets. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { workerEnvironment } from '#src/cli/worker-threads.ts';
import type { Config } from '#src/config/schema.ts';

type Part = Parameters<typeof workerEnvironment>[0];

const part = (value: unknown): Part => value as Pick<Config, 'providers' | 'applications'>;
const tickets = { type: 'kerberos', isolation: 'none' };
const wiki = { name: 'wiki' };

const cases: readonly [
  name: string,
  config: Part,
  threads: string | undefined,
  expected: string | undefined,
][] = [
  ['tickets judged in the worker alone', part({ providers: [tickets], applications: [wiki] }), '16', '1'],
  [
    'a helper process',
    part({ providers: [{ ...tickets, isolation: 'helper' }], applications: [wiki] }),
    '16',
    undefined,
  ],
  ['passwords too', part({ providers: [tickets, { type: 'local' }], applications: [wiki] }), '16', undefined],
  [
    'a directory',
    part({ providers: [{ ...tickets, directory: 'ad' }], applications: [wiki] }),
    '16',
    undefined,
  ],
  [
    'an application behind',
    part({ providers: [tickets], applications: [{ ...wiki, upstream: {} }] }),
    '16',
    undefined,
  ],
  ['a number of the operator', part({ providers: [tickets], applications: [wiki] }), '7', undefined],
  ['no provider', part({ providers: [], applications: [wiki] }), '16', undefined],
];

for (const [name, config, threads, expected] of cases) {
  test(`the threads of a worker: ${name}`, () => {
    assert.equal(workerEnvironment(config, threads)['UV_THREADPOOL_SIZE'], expected);
  });
}
