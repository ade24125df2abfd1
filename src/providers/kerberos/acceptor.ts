/**
 * The only place that touches the `kerberos` package: one token in, one verdict out, against the keytab and replay
 * store that the environment of the process names. Loads the native code with the first token.
 */
import type * as Kerberos from 'kerberos';
import { installationCommand } from './installation.ts';
import { verdictOfFailure } from './reasons.ts';
import type { Verdict } from './verdict.ts';

type Library = Pick<typeof Kerberos, 'initializeServer'>;

let loading: Promise<Library | Verdict> | undefined;

/** Loads the native code now; answers why it cannot be loaded. */
export async function loadLibrary(): Promise<Extract<Verdict, { kind: 'unable' }> | undefined> {
  loading ??= load();
  const library = await loading;
  return 'kind' in library && library.kind === 'unable' ? library : undefined;
}

export async function judgeToken(token: string): Promise<Verdict> {
  loading ??= load();
  const library = await loading;
  if ('kind' in library) return library;
  try {
    // An empty name: whichever key of the keytab fits. A name would make libkrb5 ask the DNS for every token.
    // One object per token: a second step on the same one may crash the process or repeat the first one's answer.
    const server = await library.initializeServer('');
    await server.step(token);
    const { username, targetName, contextComplete, response } = server as Nullable<typeof server>;
    if (contextComplete !== true || !username || !targetName) {
      return { kind: 'refused', reason: 'continuation-needed', detail: 'the negotiation is not complete' };
    }
    return { kind: 'accepted', principal: username, service: targetName, reply: response ?? undefined };
  } catch (error) {
    if (!(error instanceof Error) || error instanceof TypeError) throw error;
    return verdictOfFailure(error.message);
  }
}

/** The package's own types leave out that its values may be missing. */
type Nullable<Value> = { readonly [Key in keyof Value]: Value[Key] | null | undefined };

async function load(): Promise<Library | Verdict> {
  try {
    return await import('kerberos');
  } catch (error) {
    // Not installed, not built, or libgssapi is not on the machine: each of them is the operator's to mend.
    const words = error instanceof Error ? (error.message.split('\n')[0] ?? '') : String(error);
    return { kind: 'unable', obstacle: 'module-missing', detail: `${words}; try: ${installationCommand}` };
  }
}
