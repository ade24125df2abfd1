import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '#src/observability/metrics.ts';

test('processes that end at the same moment all leave what they counted', async () => {
  const primary = new Metrics();
  primary.configReloads.inc({ result: 'success' });
  const ended = await Promise.all(
    [2, 3, 4].map(async (count) => {
      const worker = new Metrics();
      worker.configReloads.inc({ result: 'success' }, count);
      worker.configLastReload.set(1);
      return await worker.report();
    }),
  );
  let added = 0;
  await Promise.all(ended.map(async (report) => await primary.absorb(report, () => added++)));
  assert.equal(added, 3);
  const { body } = await primary.expose();
  assert.match(body, /^vratar_config_reloads_total\{result="success"\} 10$/m);
  assert.match(
    body,
    /^vratar_config_last_reload_success_timestamp_seconds 0$/m,
    'gauges go with their process',
  );
});
