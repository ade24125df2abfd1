/** A real logger whose lines the test can read. */
import { createLogger, type Logger } from '#src/observability/logger.ts';

export interface LogLines {
  readonly logger: Logger;
  readonly lines: Record<string, unknown>[];
  /** Lines of one event. */
  of(event: string): Record<string, unknown>[];
}

export function collectLog(): LogLines {
  const lines: Record<string, unknown>[] = [];
  const write = (line: string): void => {
    lines.push(JSON.parse(line) as Record<string, unknown>);
  };
  return {
    logger: createLogger({ level: 'debug', sink: { write } }),
    lines,
    of: (event) => lines.filter((line) => line['event'] === event),
  };
}
