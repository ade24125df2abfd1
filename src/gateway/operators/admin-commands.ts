/**
 * Commands over the admin socket: HTTP on a unix socket that only the gateway's own account may open, so who asks is
 * settled by the file system. Knows which commands there are, not what they do.
 */
import type { IncomingMessage } from 'node:http';
import { GatewayError } from '../../errors.ts';
import { errorReply } from '../../http/error-reply.ts';
import type { RequestHandler } from '../../http/listener.ts';
import type { Logger } from '../../observability/logger.ts';

/** Name of the socket in `state.directory`. */
export const adminSocketName = 'admin.sock';

/** Answers what is sent back as JSON. Throws GatewayError for what the operator is told by its message. */
export type AdminCommand = (parameters: URLSearchParams) => Promise<unknown>;

/** `POST /NAME?parameters` runs the command of that name; a command is written to the audit log before it is answered. */
export function createAdminHandler(
  commands: Readonly<Record<string, AdminCommand>>,
  logger: Logger,
): RequestHandler {
  return (request, response) => {
    run(request, commands, logger).then(
      ({ status, body }) => {
        const text = `${JSON.stringify(body)}\n`;
        response.writeHead(status, {
          'Content-Type': 'application/json',
          'Content-Length': Buffer.byteLength(text),
        });
        response.end(text);
      },
      (error: unknown) => {
        logger.error('admin.answer-failed', { error });
        response.destroy();
      },
    );
  };
}

async function run(
  { method, url = '/' }: IncomingMessage,
  commands: Readonly<Record<string, AdminCommand>>,
  logger: Logger,
): Promise<{ status: number; body: unknown }> {
  const { pathname, searchParams } = new URL(url, 'http://admin');
  const name = pathname.slice(1);
  const command = Object.hasOwn(commands, name) ? commands[name] : undefined;
  if (command === undefined) return { status: 404, body: { error: `there is no command "${name}"` } };
  if (method !== 'POST') return { status: 405, body: { error: 'commands are posted' } };
  try {
    const body = await command(searchParams);
    logger.audit('admin.command', { command: name });
    return { status: 200, body };
  } catch (error) {
    logger.audit('admin.command-failed', { command: name, error });
    // The operator of the machine may read what clients may not.
    const message = error instanceof GatewayError ? error.message : 'internal error, see the log';
    return { status: errorReply(error).status, body: { error: message } };
  }
}
