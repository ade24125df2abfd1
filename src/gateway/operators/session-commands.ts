/** What administrators ask of the sessions over the admin socket: who is signed in, and to end it. Shows no ticket and no key. */
import { GatewayError } from '../../errors.ts';
import type { Logger } from '../../observability/logger.ts';
import type { SessionAdministration, SessionOverview } from '../../state/session-census.ts';
import type { AdminCommand } from './admin-commands.ts';

export interface RevocationReport {
  readonly sessions: number;
}

const maxListed = 10_000;

/** `POST /sessions/list?limit=100` and `POST /sessions/revoke?user=[PROVIDER:]NAME` or `?everyone=true`. */
export function createSessionCommands(
  administration: SessionAdministration,
  logger: Logger,
): Readonly<Record<string, AdminCommand>> {
  return {
    'sessions/list': async (parameters): Promise<SessionOverview> =>
      await administration.people(readLimit(parameters.get('limit'))),
    'sessions/revoke': async (parameters): Promise<RevocationReport> => {
      const user = parameters.get('user');
      const everyone = parameters.get('everyone') === 'true';
      // Never everybody because a name was forgotten.
      if ((user === null || user === '') !== everyone)
        throw new GatewayError('REQUEST_MALFORMED', 'name either an account or everyone');
      if (everyone) {
        const sessions = await administration.revokeEveryone();
        logger.audit('sessions.revoked', { everyone, sessions });
        return { sessions };
      }
      const account = readAccount(user ?? '');
      const sessions = await administration.revokeAccount(account);
      logger.audit('sessions.revoked', { account: account.username, provider: account.provider, sessions });
      return { sessions };
    },
  };
}

function readLimit(text: string | null): number {
  const limit = Number(text ?? 100);
  if (!Number.isInteger(limit) || limit < 1 || limit > maxListed)
    throw new GatewayError('REQUEST_MALFORMED', `the limit is a number from 1 to ${maxListed}`);
  return limit;
}

/** As in rules: `name` or `provider:name`. */
function readAccount(user: string): { username: string; provider: string | undefined } {
  const colon = user.indexOf(':');
  return {
    provider: colon < 0 ? undefined : user.slice(0, colon),
    username: user.slice(colon + 1),
  };
}
