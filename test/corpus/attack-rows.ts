/** The rows of the attack corpus: read from their file, with the repetitions of the notation written out. */
import { readFileSync } from 'node:fs';

export interface RowInput {
  readonly kind: string;
  readonly method?: string;
  readonly host?: string;
  readonly target?: string;
  readonly headers?: readonly (readonly [name: string, value: string])[];
  readonly body?: string;
  /** Sent as bytes on one connection. */
  readonly bytes?: string;
  /** Whose session cookie goes along. */
  readonly session?: string;
  /** Source address. */
  readonly peer?: string;
  readonly setup?: Setup | string;
  readonly username?: string;
  readonly password?: string;
  readonly provider?: string;
  readonly value?: string;
  readonly attribute?: string;
  readonly mode?: string;
  readonly format?: string;
  readonly text?: string;
  readonly file?: string;
  readonly files?: readonly string[];
  readonly steps?: readonly string[];
}

export type Setup = Readonly<Record<string, string | boolean | readonly string[]>>;

export interface AttackRow {
  readonly id: string;
  readonly class: string;
  readonly title: string;
  readonly input: RowInput;
  readonly expect: Readonly<Record<string, unknown>>;
}

/** The classes of the version under test, in the order of the report. */
export const attackClasses = [
  'header-spoofing',
  'path-policy-bypass',
  'method-override',
  'host-header',
  'forward-auth',
  'open-redirect',
  'cookie',
  'csrf',
  'login',
  'session',
  'identity-header-encoding',
  'large-groups',
  'request-smuggling',
  'denial-of-service',
  'config-and-prototype',
  'ldap',
  'logging-and-metrics',
  'kerberos',
  'preauth',
  'xml-soap-rest',
  'websocket',
] as const;

const folder = new URL('../vectors/corpus/', import.meta.url);

export function corpusText(path: string): string {
  return readFileSync(new URL(path, folder), 'utf8');
}

/** Lines of a third-party list, without the last line's end. */
export function corpusLines(path: string): readonly string[] {
  return corpusText(path).replace(/\n$/, '').split('\n');
}

export function readAttackRows(): readonly AttackRow[] {
  const known: ReadonlySet<string> = new Set(attackClasses);
  const rows = JSON.parse(corpusText('attacks.json')) as readonly AttackRow[];
  return rows.filter((row) => known.has(row.class));
}

/** `${rep:TEXT:N}` and `${seq:TEXT:N}`, innermost first. */
export function expandRepeats(text: string): string {
  const start = Math.max(text.lastIndexOf('${rep:'), text.lastIndexOf('${seq:'));
  if (start < 0) return text;
  const match = /^\$\{(rep|seq):([\s\S]*?):(\d+)\}/.exec(text.slice(start));
  if (match === null) throw new Error(`unreadable repetition: ${text.slice(start, start + 40)}`);
  const [whole, kind, part = '', times] = match;
  const repeated =
    kind === 'rep'
      ? part.repeat(Number(times))
      : Array.from({ length: Number(times) }, (_, i) => part.replaceAll('$i', String(i))).join('');
  return expandRepeats(text.slice(0, start) + repeated + text.slice(start + whole.length));
}
