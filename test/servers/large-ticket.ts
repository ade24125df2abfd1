/** Tickets as long as those of people in hundreds of groups, which Active Directory makes and a plain realm does not. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { runTool } from './daemon.ts';

/**
 * Puts a ticket for `service` (`HTTP/host`) with `bytes` of further data into the ticket cache of this environment,
 * which must not hold one for it yet. A token made of it is a third longer, in base64.
 */
export async function fetchLargeTicket(
  environment: Readonly<Record<string, string>>,
  service: string,
  bytes: number,
): Promise<void> {
  const folder = await mkdtemp(join(tmpdir(), 'vratar-ticket-'));
  try {
    const program = join(folder, 'large_ticket');
    const source = fileURLToPath(new URL('large_ticket.c', import.meta.url));
    await runTool('gcc', ['-O1', '-o', program, source, '-lkrb5']);
    await runTool(program, [service, String(bytes)], { env: environment });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
