/** A process that holds somebody's Kerberos ticket and makes tokens from it, as the browser on their desk does. */
import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type * as Kerberos from 'kerberos';

export interface TokenOptions {
  /** Default `spnego`, as browsers send it; `krb5`: without the negotiation around it. */
  readonly mechanism?: 'spnego' | 'krb5';
  /** Whether the service must prove itself as well; default no. */
  readonly isMutual?: boolean;
}

/** Disposed of when it has answered what it was asked. */
export interface TicketHolder extends AsyncDisposable {
  /** `service` as `HTTP/host`. */
  token(service: string, options?: TokenOptions): Promise<string>;
}

interface Question {
  readonly id: number;
  readonly service: string;
  readonly options: TokenOptions;
}

interface Answer {
  readonly id: number;
  readonly token?: string;
  readonly fault?: string;
}

export function startTicketHolder(environment: Readonly<Record<string, string>>): TicketHolder {
  const child = fork(fileURLToPath(import.meta.url), ['ticket-holder'], {
    env: { ...process.env, ...environment },
    execArgv: [],
  });
  const waiting = new Map<number, PromiseWithResolvers<string>>();
  let lastId = 0;
  child.on('message', ({ id, token, fault }: Answer) => {
    const asked = waiting.get(id);
    waiting.delete(id);
    if (token !== undefined) asked?.resolve(token);
    else asked?.reject(new Error(`no token: ${fault}`));
  });
  child.on('exit', (code, signal) => {
    for (const asked of waiting.values()) asked.reject(new Error(`the holder ended: ${code ?? signal}`));
    waiting.clear();
  });
  return {
    token: async (service, options = {}) => {
      const asked = Promise.withResolvers<string>();
      const id = ++lastId;
      waiting.set(id, asked);
      child.send({ id, service, options } satisfies Question);
      return await asked.promise;
    },
    [Symbol.asyncDispose]: async () => {
      await Promise.allSettled([...waiting.values()].map(async ({ promise }) => await promise));
      await end(child);
    },
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, 'exit');
  child.kill('SIGKILL');
  await gone;
}

async function makeToken(service: string, { mechanism, isMutual }: TokenOptions): Promise<string> {
  const kerberos = await import('kerberos');
  const flags = kerberos.GSS_C_SEQUENCE_FLAG | (isMutual === true ? kerberos.GSS_C_MUTUAL_FLAG : 0);
  const mechOID = mechanism === 'krb5' ? kerberos.GSS_MECH_OID_KRB5 : kerberos.GSS_MECH_OID_SPNEGO;
  // The typings know the flags by another name than the library reads.
  const options: Kerberos.InitializeClientOptions & { readonly flags: number } = { mechOID, flags };
  const client = await kerberos.initializeClient(service.replace('/', '@'), options);
  await client.step('');
  return client.response;
}

if (process.argv[2] === 'ticket-holder' && process.send !== undefined) {
  process.on('message', ({ id, service, options }: Question) => {
    makeToken(service, options).then(
      (token) => process.send?.({ id, token } satisfies Answer),
      (error: unknown) => process.send?.({ id, fault: String(error) } satisfies Answer),
    );
  });
  process.once('disconnect', () => process.exit());
}
