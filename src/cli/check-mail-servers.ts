/** `vratar check --connect`: asks every configured mail server whether it is one and what its clock says. No account is used. */
import type { Finding } from '../config/problem.ts';
import type { Config } from '../config/schema.ts';
import { systemClock } from '../lib/clock.ts';

export interface MailServerFindings {
  readonly problems: readonly Finding[];
  readonly warnings: readonly Finding[];
}

/** What a mail server says is a finding at its address, never thrown. All are asked at once. */
export async function checkMailServers({ zimbra }: Config): Promise<MailServerFindings> {
  if (zimbra.length === 0) return { problems: [], warnings: [] };
  const { judgeAddress } = await import('../preauth/diagnosis.ts');
  const judged = await Promise.all(
    zimbra.flatMap((options, index) =>
      (['url', 'adminUrl'] as const).map(async (key) => {
        const url = options[key];
        const found = url === undefined ? undefined : await judgeAddress(url, key, options, systemClock);
        return found && { level: found.level, path: ['zimbra', index, key], message: found.sentence };
      }),
    ),
  );
  const findings = judged.filter((finding) => finding !== undefined);
  return {
    problems: findings.filter(({ level }) => level === 'problem'),
    warnings: findings.filter(({ level }) => level === 'warning'),
  };
}
