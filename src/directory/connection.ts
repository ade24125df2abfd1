/**
 * One LDAP connection: one socket that we opened, one ldapts Client, never reconnected, thrown away when it dies.
 * The only importer of ldapts. Knows nothing of pools, retries or people.
 *
 * ldapts would reconnect by itself, anonymously and, after StartTLS, in clear text; so it gets its socket from a
 * function that refuses the second call, and its state flags and its time-out are not used.
 */
import type { Socket } from 'node:net';
import {
  Attribute,
  type BerWriter,
  Change,
  Client,
  Filter,
  PasswordPolicyControl,
  ResultCodeError,
  type SearchFilterValues,
} from 'ldapts';
import type { Secret } from '../lib/secret.ts';
import { dial } from './dial.ts';
import type { Endpoint } from './endpoint.ts';
import type { LdapEntry } from './entry.ts';
import { failureOfResult, LdapFailure, resultCode } from './failures.ts';
import type { EncodedFilter } from './filter.ts';
import type { EncodedPasswordChange } from './password-encoding.ts';

export interface SearchRequest {
  readonly baseDn: string;
  readonly scope: 'base' | 'one' | 'sub';
  readonly filter: EncodedFilter;
  readonly attributes: readonly string[];
  /** Entries; more of them cut the answer off there. */
  readonly sizeLimit: number;
}

/** What the directory says of a password, tried or new, before anybody decides what it means. */
export interface BindAnswer {
  readonly resultCode: number;
  /** `error` of the password policy control (draft-behera-ldap-password-policy section 6.2). */
  readonly policyError: number | undefined;
  /** Sign-ins left with an expired password; each bind uses one up. */
  readonly graceSignInsLeft: number | undefined;
  /** The server's own words; empty for a success. Active Directory says there what its result code does not. */
  readonly diagnostic: string;
}

export interface ConnectionOptions {
  readonly connectTimeoutMs: number;
  readonly operationTimeoutMs: number;
  /** An operation that waits longer than this is reported once to `onSlow`. */
  readonly slowAfterMs: number;
  /** Bytes that may arrive without completing an operation; beyond them the connection is destroyed. */
  readonly maxBurstBytes: number;
  readonly onSlow: () => void;
  /** Called once, when the connection can no longer be used. */
  readonly onClose: (connection: LdapConnection) => void;
}

interface PendingOperation {
  readonly startedAt: number;
  isReported: boolean;
  readonly fail: (failure: LdapFailure) => void;
}

/** An answer to a bind is small: result, text, one control. */
const maxBindAnswerBytes = 16_384;
/** BindResponse, ModifyResponse, ExtendedResponse (RFC 4511 section 4). */
const responseTags = { bind: 0x61, modify: 0x67, extended: 0x78 } as const;

export class LdapConnection {
  readonly openedAt = performance.now();
  /** When the last operation ended. */
  lastUsedAt = this.openedAt;
  readonly #socket: Socket;
  readonly #client: Client;
  readonly #options: ConnectionOptions;
  /** The server gives up before we do, so that one slow search does not cost the whole connection. */
  readonly #serverTimeLimitSeconds: number;
  readonly #pending = new Set<PendingOperation>();
  #watch: NodeJS.Timeout | undefined;
  #burstBytes = 0;
  #isAlive = true;
  #isGathering = false;
  /** While a bind waits: what arrived since. Its presence keeps everything else off the connection. */
  #bindAnswer: Buffer[] | undefined;

  /** Throws LdapFailure with stage `connect`. */
  static async open(
    endpoint: Endpoint,
    options: ConnectionOptions,
    signal: AbortSignal,
  ): Promise<LdapConnection> {
    const socket = await dial(endpoint, { timeoutMs: options.connectTimeoutMs, signal });
    return new LdapConnection(socket, options);
  }

  constructor(socket: Socket, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#serverTimeLimitSeconds = Math.max(1, Math.floor((options.operationTimeoutMs * 0.6) / 1_000));
    let isHandedOver = false;
    const handOver = (): Socket => {
      if (isHandedOver) throw new Error('an LDAP connection is used once');
      isHandedOver = true;
      return socket;
    };
    this.#client = new Client({
      url: 'ldap://one-shot.invalid',
      createConnection: handOver,
      createSecureConnection: handOver as unknown as NonNullable<
        ConstructorParameters<typeof Client>[0]['createSecureConnection']
      >,
    });
    // Before the client's own listener, so that a bind's bytes are here when the client believes its answer.
    socket.on('data', (chunk: Buffer) => this.#count(chunk));
    socket.on('close', () => this.destroy('the server closed the connection'));
    if (socket.destroyed) this.destroy('the server closed the connection');
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  get inFlight(): number {
    return this.#pending.size;
  }

  /** Hot path: bench/ldap.ts. Throws LdapFailure with stage `operation`. */
  async search(request: SearchRequest): Promise<LdapEntry[]> {
    if (this.#bindAnswer !== undefined) {
      throw new TypeError('a search must not share a connection with a bind');
    }
    this.#gatherWrites();
    const { searchEntries } = await this.#run('search', () =>
      this.#client.search(request.baseDn, {
        scope: request.scope,
        filter: new RawFilter(request.filter),
        attributes: withoutJson(request.attributes),
        sizeLimit: request.sizeLimit,
        timeLimit: this.#serverTimeLimitSeconds,
      }),
    );
    return searchEntries;
  }

  /** The service's own bind: anything but success is a failure of this server. */
  async bindService(dn: string, password: Secret): Promise<void> {
    if (!dn.includes('=') || password.isEmpty) {
      throw new LdapFailure('the service account needs a DN and a password', {
        kind: 'config',
        stage: 'connect',
      });
    }
    const answer = await this.bind(dn, password);
    if (answer.resultCode !== resultCode.success) {
      throw failureOfResult('the service bind', answer.resultCode, 'connect');
    }
    if (answer.policyError !== undefined) {
      throw new LdapFailure(`the password policy refuses the service account (${answer.policyError})`, {
        kind: 'config',
        stage: 'connect',
        resultCode: answer.resultCode,
      });
    }
  }

  /**
   * Binds as `dn`, which must be one the directory returned. Returns every answer, also refusals; throws LdapFailure
   * only when none came. Hot path: bench/ldap.ts.
   */
  async bind(dn: string, password: Secret): Promise<BindAnswer> {
    // ldapts takes a few bare words for SASL mechanisms; a DN always has a "=". RFC 4513 section 5.1.2: an empty
    // password is an anonymous bind, which servers answer with success.
    if (!dn.includes('=') || password.isEmpty) throw new TypeError('a bind needs a DN and a password');
    return await this.#alone('bind', async (policy) => {
      await this.#client.bind(dn, password.reveal(), policy);
    });
  }

  /**
   * Asks for a new password as whoever is bound. Returns every answer, also refusals; throws LdapFailure only when none
   * came, and then nobody knows which password counts.
   */
  async changePassword(change: EncodedPasswordChange): Promise<BindAnswer> {
    return await this.#alone(change.kind, async (policy) => {
      if (change.kind === 'extended') {
        await this.#client.exop(change.oid, change.value, policy);
        return;
      }
      const { dn, attribute: type, oldValue, newValue } = change;
      const changes = (
        [
          ['delete', oldValue],
          ['add', newValue],
        ] as const
      ).map(
        ([operation, value]) =>
          new Change({ operation, modification: new Attribute({ type, values: [value] }) }),
      );
      await this.#client.modify(dn, changes, policy);
    });
  }

  /** An operation that must not share the connection, and whose success is believed only when it is really there. */
  async #alone(
    what: keyof typeof responseTags,
    start: (policy: PolicyControl) => Promise<void>,
  ): Promise<BindAnswer> {
    if (this.#pending.size > 0 || this.#bindAnswer !== undefined) {
      throw new TypeError(`a ${what} must be alone on its connection`);
    }
    const received: Buffer[] = [];
    this.#bindAnswer = received;
    const policy = new PolicyControl();
    let code: number = resultCode.success;
    let diagnostic = '';
    try {
      await this.#run(what, async () => {
        await start(policy);
      });
    } catch (error) {
      if (!(error instanceof LdapFailure) || error.resultCode === undefined) throw error;
      code = error.resultCode;
      diagnostic = error.cause instanceof Error ? error.cause.message : '';
    } finally {
      this.#bindAnswer = undefined;
    }
    // ldapts reads a missing result code as success and takes any kind of response for the answer.
    if (code === resultCode.success && !isSuccess(received, responseTags[what])) {
      const reason = `the ${what} was answered with something else than its response`;
      this.destroy(reason);
      throw new LdapFailure(reason, { kind: 'protocol', stage: 'operation' });
    }
    return {
      resultCode: code,
      policyError: policy.value?.error,
      graceSignInsLeft: policy.value?.graceAuthNsRemaining,
      diagnostic,
    };
  }

  /** Says good-bye (RFC 4511 section 4.3) and waits at most half a second for the socket to close. */
  async close(): Promise<void> {
    if (!this.#isAlive) return;
    this.#retire('the connection was closed', 'unavailable');
    const closed = new Promise<void>((resolve) => {
      const timer = setTimeout(() => this.#socket.destroy(), 500);
      this.#socket.once('close', () => {
        clearTimeout(timer);
        resolve();
      });
    });
    // The client ends the socket once the request is written; one it never used it does not know.
    this.#client
      .unbind()
      .finally(() => this.#socket.end())
      .catch(() => this.#socket.destroy());
    await closed;
  }

  /** Ends every pending operation with `reason`; none of them hangs. */
  destroy(reason: string, kind: 'unavailable' | 'protocol' = 'unavailable'): void {
    if (this.#isAlive) this.#retire(reason, kind);
    this.#socket.destroy();
  }

  #retire(reason: string, kind: 'unavailable' | 'protocol'): void {
    this.#isAlive = false;
    clearInterval(this.#watch);
    for (const operation of this.#pending) {
      operation.fail(new LdapFailure(reason, { kind, stage: 'operation' }));
    }
    this.#options.onClose(this);
  }

  #run<Result>(what: string, start: () => Promise<Result>): Promise<Result> {
    return new Promise<Result>((resolve, reject) => {
      if (!this.#isAlive) {
        reject(new LdapFailure('the connection is closed', { kind: 'unavailable', stage: 'operation' }));
        return;
      }
      const operation: PendingOperation = {
        startedAt: performance.now(),
        isReported: false,
        fail: (failure) => {
          this.#end(operation);
          reject(failure);
        },
      };
      this.#pending.add(operation);
      this.#watch ??= setInterval(() => this.#inspect(), this.#inspectEveryMs()).unref();
      start().then(
        (result) => {
          this.#end(operation);
          resolve(result);
        },
        (error: unknown) => {
          this.#end(operation);
          reject(this.#translate(what, error));
        },
      );
    });
  }

  /** Searches of one turn of the event loop leave in one system call, which is most of what sending costs. */
  #gatherWrites(): void {
    if (this.#isGathering || this.#pending.size === 0) return;
    this.#isGathering = true;
    this.#socket.cork();
    setImmediate(() => {
      this.#isGathering = false;
      this.#socket.uncork();
    });
  }

  #end(operation: PendingOperation): void {
    if (!this.#pending.delete(operation)) return;
    this.#burstBytes = 0;
    this.lastUsedAt = performance.now();
  }

  #translate(what: string, error: unknown): LdapFailure {
    // 248 is what ldapts says when it has no answer at all.
    if (error instanceof ResultCodeError && error.code !== 248) {
      return failureOfResult(`the ${what}`, error.code, 'operation', error);
    }
    const wasAlive = this.#isAlive;
    this.destroy('the connection was lost');
    // An error on a living socket is one of parsing: the server spoke, but not LDAP.
    const kind =
      wasAlive && !this.#socket.errored && !this.#socket.readableEnded ? 'protocol' : 'unavailable';
    return new LdapFailure(`the ${what} got no answer`, { kind, stage: 'operation', cause: error });
  }

  #count(chunk: Buffer): void {
    this.#burstBytes += chunk.length;
    if (this.#bindAnswer !== undefined) {
      this.#bindAnswer.push(chunk);
      if (this.#burstBytes > maxBindAnswerBytes) this.destroy('the answer to a bind is too long', 'protocol');
    } else if (this.#burstBytes > this.#options.maxBurstBytes) {
      this.destroy('the server sent too much', 'protocol');
    }
  }

  #inspectEveryMs(): number {
    const { operationTimeoutMs, slowAfterMs } = this.#options;
    return Math.max(10, Math.min(100, operationTimeoutMs / 4, slowAfterMs / 4));
  }

  /** Runs while operations are pending: one timer for the connection instead of one for each of them. */
  #inspect(): void {
    if (this.#pending.size === 0) {
      clearInterval(this.#watch);
      this.#watch = undefined;
      return;
    }
    const now = performance.now();
    const { operationTimeoutMs, slowAfterMs, onSlow } = this.#options;
    for (const operation of this.#pending) {
      const waitedMs = now - operation.startedAt;
      if (waitedMs >= operationTimeoutMs) {
        // The others on this connection have most likely lost their answers too; they are tried again elsewhere.
        this.destroy(`no answer within ${operationTimeoutMs} ms`);
        return;
      }
      if (waitedMs >= slowAfterMs && !operation.isReported) {
        operation.isReported = true;
        onSlow();
      }
    }
  }
}

// ldapts turns every request into JSON for a debug line that is off; these three keep that cheap.

const quietAttributes = new WeakMap<readonly string[], string[]>();

function withoutJson(attributes: readonly string[]): string[] {
  let quiet = quietAttributes.get(attributes);
  if (quiet === undefined) {
    quiet = Object.assign([...attributes], { toJSON: () => '(attributes)' });
    quietAttributes.set(attributes, quiet);
  }
  return quiet;
}

class PolicyControl extends PasswordPolicyControl {
  toJSON(): string {
    return '(password policy)';
  }
}

/** A filter encoded by filter.ts, written as it is. */
class RawFilter extends Filter {
  override readonly type: SearchFilterValues;
  readonly #filter: EncodedFilter;

  constructor(filter: EncodedFilter) {
    super();
    this.#filter = filter;
    this.type = filter.tag as SearchFilterValues;
  }

  override write(writer: BerWriter): void {
    writer.writeBuffer(this.#filter.content, this.#filter.tag);
  }

  override toString(): string {
    return '(encoded)';
  }

  toJSON(): string {
    return '(encoded)';
  }
}

/** Whether `chunks` are exactly one response of this kind with result code 0 (RFC 4511 section 4.1.9). */
function isSuccess(chunks: readonly Buffer[], tag: number): boolean {
  const bytes = chunks.length === 1 ? (chunks[0] as Buffer) : Buffer.concat(chunks);
  const message = element(bytes, 0);
  if (message?.tag !== 0x30 || message.end !== bytes.length) return false;
  const id = element(bytes, message.start);
  const response = id?.tag === 0x02 ? element(bytes, id.end) : undefined;
  const code = response?.tag === tag ? element(bytes, response.start) : undefined;
  return code?.tag === 0x0a && code.end === code.start + 1 && bytes[code.start] === resultCode.success;
}

/** The BER element at `at`; `undefined` when it is not whole. */
function element(bytes: Buffer, at: number): { tag: number; start: number; end: number } | undefined {
  const tag = bytes[at];
  const first = bytes[at + 1];
  if (tag === undefined || first === undefined) return undefined;
  const lengthBytes = first < 0x80 ? 0 : first & 0x7f;
  const start = at + 2 + lengthBytes;
  if (lengthBytes > 4 || start > bytes.length) return undefined;
  const length = lengthBytes === 0 ? first : bytes.readUIntBE(at + 2, lengthBytes);
  return start + length > bytes.length ? undefined : { tag, start, end: start + length };
}
