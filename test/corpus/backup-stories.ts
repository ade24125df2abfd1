/** The row about a restored backup: real processes, the command an operator types, and `tar`. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { backup } from '#src/cli/backup.ts';
import { type GatewayProcess, startGatewayProcess } from '#test/servers/gateway.ts';
import { getAs } from './login-rows.ts';
import { type GatewayUnderTest, Site } from './rig.ts';
import { signOut } from './session-stories.ts';
import type { Story } from './sign-in-stories.ts';
import { siteConfig } from './site.ts';

/** A gateway of processes tells neither its metrics nor its workers to a row. */
function asSite({ port, logs }: GatewayProcess): Site {
  const untold = async (): Promise<never> => await Promise.reject(new Error('not told by a process'));
  const gateway: GatewayUnderTest = { port, logText: JSON.stringify(logs), metrics: untold, report: untold };
  return new Site(gateway, {});
}

export const backupStories: Readonly<Record<string, Story>> = {
  'SE-026': async (row, rig) => {
    const { slapd, upstream } = await rig.servers();
    const config = await siteConfig({ upstream: upstream.url, directories: [slapd.url] }, {});
    const folder = mkdtempSync(join(tmpdir(), 'vratar-corpus-backup-'));
    const [before, after] = [join(folder, 'before'), join(folder, 'after')];
    for (const place of [before, join(after, 'data')]) mkdirSync(place, { recursive: true });
    const archive = join(folder, 'state.tar');
    try {
      const first = await startGatewayProcess(config, before);
      let ticket: string;
      try {
        const site = asSite(first);
        ticket = await site.signIn('alice', 'right', 'local');
        const silent = { write: () => true };
        const env = { VRATAR_CONFIG: join(before, 'vratar.yaml') };
        assert.equal(await backup([archive], { stdout: silent, stderr: process.stderr, env }), 0);
        assert.equal((await getAs(site, ticket, '/')).answers[0]?.status, 200);
        assert.equal((await signOut(site, ticket)).answers[0]?.status, 303);
      } finally {
        await first[Symbol.asyncDispose]();
      }
      await promisify(execFile)('tar', ['-xpf', archive, '-C', join(after, 'data')]);
      const second = await startGatewayProcess(config, after);
      try {
        assert.equal((await getAs(asSite(second), ticket, '/')).answers[0]?.status, row.expect['status']);
      } finally {
        await second[Symbol.asyncDispose]();
      }
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
  },
};
