/** From `vratar serve` to ready: both processes started and listening, with a warm compile cache. */
import { startGatewayProcess } from '#test/servers/gateway.ts';
import { median, printConditions, range, report } from './harness/report.ts';

const rounds = 7;
const limitSeconds = 1;

export async function run(): Promise<boolean> {
  const seconds: number[] = [];
  for (let round = -1; round < rounds; round++) {
    const startedAt = performance.now();
    await using gateway = await startGatewayProcess({
      server: { workers: 1 },
      providers: [{ name: 'staff', type: 'local', users: [{ username: 'alice' }] }],
      applications: [
        {
          name: 'app',
          hosts: ['app.example.test'],
          upstream: 'http://127.0.0.1:9',
          rules: [{ access: 'authenticated' }],
        },
      ],
    });
    // The first start fills the compile cache.
    if (round >= 0) seconds.push((performance.now() - startedAt) / 1_000);
    await gateway.stop();
  }
  return report({
    name: 'start to ready, warm compile cache',
    value: median(seconds),
    limit: limitSeconds,
    unit: 's',
    detail: `${rounds} starts ${range(seconds)}, one worker`,
  });
}

if (import.meta.main) {
  printConditions();
  process.exitCode = (await run()) ? 0 : 1;
}
