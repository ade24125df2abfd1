/**
 * JSON lines on standard output, one per event. The only importer of pino.
 * Never in `fields`: passwords, cookies, tickets, tokens, keys (a `Secret` prints a mark by itself).
 */
import { pino } from 'pino';
import { GatewayError } from '../errors.ts';

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';
export type LogFields = Readonly<Record<string, unknown>>;

export interface Logger {
  debug(event: string, fields?: LogFields): void;
  info(event: string, fields?: LogFields): void;
  warn(event: string, fields?: LogFields): void;
  error(event: string, fields?: LogFields): void;
  /** A line of the audit trail: sign-in, refusal, sign-out, revocation, reload, administrative change. */
  audit(event: string, fields?: LogFields): void;
  /** A logger that adds `fields` to every line. */
  with(fields: LogFields): Logger;
}

/** Where lines go; standard output in production, an array in tests. */
export interface LogSink {
  write(line: string): void;
}

export function createLogger(options: { readonly level: LogLevel; readonly sink: LogSink }): Logger {
  return wrap(
    pino(
      {
        level: options.level,
        base: null,
        timestamp: () => `,"time":"${new Date().toISOString()}"`,
        formatters: { level: (label) => ({ level: label }) },
        serializers: { error: describeError },
        messageKey: 'message',
      },
      options.sink,
    ),
  );
}

/**
 * Standard output in blocks: a reader that stops costs at most `maxLength` bytes of memory, then lines are dropped
 * and counted (`dropped`), and the event loop never waits.
 */
export function createStdoutSink(options: { readonly onDrop: () => void }): LogSink & { flush(): void } {
  const destination = pino.destination({ fd: 1, sync: false, minLength: 0, maxLength: 8 * 1_048_576 });
  destination.on('drop', options.onDrop);
  // EPIPE: the reader is gone. The gateway lives on without its log.
  destination.on('error', options.onDrop);
  return {
    write: (line) => {
      destination.write(line);
    },
    flush: () => destination.flushSync(),
  };
}

function wrap(inner: pino.Logger): Logger {
  return {
    debug: (event, fields) => inner.debug({ event, ...fields }),
    info: (event, fields) => inner.info({ event, ...fields }),
    warn: (event, fields) => inner.warn({ event, ...fields }),
    error: (event, fields) => inner.error({ event, ...fields }),
    audit: (event, fields) => inner.info({ event, audit: true, ...fields }),
    with: (fields) => wrap(inner.child(fields)),
  };
}

function describeError(error: unknown): unknown {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error && error.code !== undefined ? { code: error.code } : {};
  return {
    name: error.name,
    ...code,
    message: error.message,
    ...(error instanceof GatewayError ? error.fields : {}),
    ...(error.cause === undefined ? {} : { cause: describeError(error.cause) }),
    ...(error instanceof GatewayError ? {} : { stack: error.stack }),
  };
}
