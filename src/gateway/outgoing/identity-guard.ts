/** Keeps identities out that no application could be told of without changing them. */
import { GatewayError } from '../../errors.ts';
import { hasControls } from '../../headers/encoding.ts';
import type { Principal } from '../../identity/principal.ts';
import type { Logger } from '../../observability/logger.ts';

/**
 * The principal without groups whose name holds control characters. Throws ACCESS_DENIED when one of its identifiers
 * does: repaired, it could be somebody else's. Both leave an audit line.
 */
export function guardIdentity(principal: Principal, logger: Logger): Principal {
  const { provider, subject, username, email = '', groups } = principal;
  const rejected = Object.entries({ subject, username, email }).filter(([, value]) => hasControls(value));
  if (rejected.length > 0) {
    logger.audit('identity.rejected', { provider, parts: rejected.map(([name]) => name) });
    throw new GatewayError('ACCESS_DENIED', 'an identifier has control characters', { fields: { provider } });
  }
  const sound = groups.filter(({ name }) => !hasControls(name));
  if (sound.length === groups.length) return principal;
  logger.audit('identity.rejected', { provider, account: username, parts: ['groups'] });
  return { ...principal, groups: sound };
}
