/**
 * One LDAP connection: one socket that we opened, never opened again, thrown away when it dies. Numbers requests,
 * knows which of them wait, and hands answers to whoever asked. Knows nothing of pools, retries or people.
 */
import { Buffer } from 'node:buffer';
import type { Socket } from 'node:net';
import { performance } from 'node:perf_hooks';
import type { Secret } from '../lib/secret.ts';
import { KnownTexts, malformed } from './ber.ts';
import type { Wire } from './dial.ts';
import type { LdapEntry } from './entry.ts';
import { failureOfResult, LdapFailure, resultCode } from './failures.ts';
import { MessageFramer } from './framing.ts';
import type { EncodedPasswordChange } from './password-encoding.ts';
import {
  encodeBind,
  encodePasswordChange,
  encodeSearch,
  encodeUnbind,
  type SearchRequest,
} from './requests.ts';
import {
  disconnectionOid,
  type LdapResult,
  type OpenMessage,
  openMessage,
  readEntry,
  readResult,
  responseTags,
} from './responses.ts';

export type { SearchRequest } from './requests.ts';

/** What the directory says of a password, tried or new, before anybody decides what it means. */
export interface BindAnswer {
  readonly resultCode: number;
  /** `error` of the password policy control (draft-behera-ldap-password-policy section 6.2). */
  readonly policyError: number | undefined;
  /** Sign-ins left with an expired password; each bind uses one up. */
  readonly graceSignInsLeft: number | undefined;
  /** The server's own words. Active Directory says there what its result code does not. */
  readonly diagnostic: string;
}

export interface ConnectionOptions {
  readonly operationTimeoutMs: number;
  /** An operation that waits longer than this is reported once to `onSlow`. */
  readonly slowAfterMs: number;
  /** Bytes that may arrive without completing an operation; beyond them the connection is destroyed. */
  readonly maxBurstBytes: number;
  readonly onSlow: () => void;
  /** Called once, when the connection can no longer be used. */
  readonly onClose: (connection: LdapConnection) => void;
}

interface Operation {
  /** For messages. */
  readonly what: string;
  readonly responseTag: number;
  /** What was found so far. `undefined`: it is no search. */
  readonly entries: LdapEntry[] | undefined;
  /** 0: none. */
  readonly maxEntries: number;
  readonly startedAt: number;
  isReported: boolean;
  readonly resolve: (result: LdapResult) => void;
  readonly reject: (failure: LdapFailure) => void;
}

/** An answer to a bind is small: result, text, one control. */
const maxAnswerBytes = 16_384;
/** RFC 4511 section 4.1.1.1. */
const maxMessageId = 2 ** 31 - 1;
/** Result of a search that found more than `sizeLimit`. */
const sizeLimitExceeded = 4;

export class LdapConnection {
  readonly openedAt = performance.now();
  /** When the last operation ended. */
  lastUsedAt = this.openedAt;
  readonly #socket: Socket;
  readonly #options: ConnectionOptions;
  /** The server gives up before we do, so that one slow search does not cost the whole connection. */
  readonly #serverTimeLimitSeconds: number;
  readonly #framer: MessageFramer;
  /** By message id. */
  readonly #pending = new Map<number, Operation>();
  #lastMessageId = 0;
  readonly #attributeNames = new KnownTexts();
  /** Requests of this turn of the event loop that leave together. */
  #gathered: Buffer[] = [];
  #watch: NodeJS.Timeout | undefined;
  #burstBytes = 0;
  #isAlive = true;
  /** An operation that keeps everything else off the connection. */
  #alone: Operation | undefined;
  /** Its answer, believed once it is known that nothing follows. */
  #aloneResult: LdapResult | undefined;

  constructor({ socket, listen }: Wire, options: ConnectionOptions) {
    this.#socket = socket;
    this.#options = options;
    this.#serverTimeLimitSeconds = Math.max(1, Math.floor((options.operationTimeoutMs * 0.6) / 1_000));
    this.#framer = new MessageFramer(options.maxBurstBytes, (bytes, start, end) =>
      this.#accept(openMessage(bytes, start, end)),
    );
    listen((bytes, length) => this.#read(bytes, length));
    socket.on('close', () => this.destroy('the server closed the connection'));
    if (socket.destroyed) this.destroy('the server closed the connection');
  }

  get isAlive(): boolean {
    return this.#isAlive;
  }

  /** Hot path: bench/ldap.ts. Throws LdapFailure with stage `operation`. */
  async search(request: SearchRequest): Promise<LdapEntry[]> {
    if (this.#alone !== undefined) throw new TypeError('a search must not share a connection with a bind');
    const entries: LdapEntry[] = [];
    const { resultCode: code, diagnostic } = await this.#ask(
      'search',
      (id) => encodeSearch(id, request, this.#serverTimeLimitSeconds),
      { responseTag: responseTags.searchDone, entries, maxEntries: request.sizeLimit },
    );
    const isCut = code === sizeLimitExceeded && request.sizeLimit > 0;
    if (code !== resultCode.success && !isCut) {
      throw failureOfResult('the search', code, 'operation', toCause(diagnostic));
    }
    return entries;
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
    // RFC 4513 sections 5.1.1 and 5.1.2: without a name or a password a bind is anonymous, and servers answer it with
    // success.
    if (!dn.includes('=') || password.isEmpty) throw new TypeError('a bind needs a DN and a password');
    return await this.#askAlone('bind', responseTags.bind, (id) => encodeBind(id, dn, password));
  }

  /**
   * Asks for a new password as whoever is bound. Returns every answer, also refusals; throws LdapFailure only when none
   * came, and then nobody knows which password counts.
   */
  async changePassword(change: EncodedPasswordChange): Promise<BindAnswer> {
    return await this.#askAlone('change of a password', responseTags[change.kind], (id) =>
      encodePasswordChange(id, change),
    );
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
    this.#socket.end(encodeUnbind(this.#nextMessageId()));
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
    const pending = [...this.#pending.values()];
    this.#pending.clear();
    this.#alone = undefined;
    for (const operation of pending) {
      operation.reject(new LdapFailure(reason, { kind, stage: 'operation' }));
    }
    this.#options.onClose(this);
  }

  /** An operation that changes whom the connection speaks for, or that must not be confused with another one. */
  #askAlone(what: string, responseTag: number, encode: (messageId: number) => Buffer): Promise<BindAnswer> {
    if (this.#pending.size > 0) throw new TypeError(`a ${what} must be alone on its connection`);
    return this.#ask(what, encode, { responseTag, entries: undefined, maxEntries: 0 }, true);
  }

  #ask(
    what: string,
    encode: (messageId: number) => Buffer,
    { responseTag, entries, maxEntries }: Pick<Operation, 'responseTag' | 'entries' | 'maxEntries'>,
    isAlone = false,
  ): Promise<LdapResult> {
    return new Promise<LdapResult>((resolve, reject) => {
      if (!this.#isAlive) {
        reject(new LdapFailure('the connection is closed', { kind: 'unavailable', stage: 'operation' }));
        return;
      }
      const startedAt = performance.now();
      const operation: Operation = {
        what,
        responseTag,
        entries,
        maxEntries,
        startedAt,
        isReported: false,
        resolve,
        reject,
      };
      const messageId = this.#nextMessageId();
      this.#pending.set(messageId, operation);
      if (isAlone) this.#alone = operation;
      this.#watch ??= setInterval(() => this.#inspect(), this.#inspectEveryMs()).unref();
      this.#send(encode(messageId));
    });
  }

  /** Never one that waits for its answer. */
  #nextMessageId(): number {
    do this.#lastMessageId = (this.#lastMessageId % maxMessageId) + 1;
    while (this.#pending.has(this.#lastMessageId));
    return this.#lastMessageId;
  }

  /** Searches of one turn of the event loop leave in one system call, which is most of what sending costs. */
  #send(request: Buffer): void {
    if (this.#pending.size === 1) {
      this.#socket.write(request);
    } else if (this.#gathered.push(request) === 1) {
      setImmediate(() => {
        const requests = this.#gathered;
        this.#gathered = [];
        if (this.#isAlive) this.#socket.write(Buffer.concat(requests));
      });
    }
  }

  #read(bytes: Buffer, length: number): void {
    // What arrives behind our good-bye is of no interest.
    if (!this.#isAlive) return;
    this.#burstBytes += length;
    const limit = this.#alone === undefined ? this.#options.maxBurstBytes : maxAnswerBytes;
    if (this.#burstBytes > limit) {
      this.destroy('the server sent too much', 'protocol');
      return;
    }
    try {
      this.#framer.push(bytes, length);
      this.#believeAlone();
    } catch (error) {
      if (!(error instanceof LdapFailure)) throw error;
      this.destroy(error.message, 'protocol');
    }
  }

  #accept({ messageId, tag, reader }: OpenMessage): void {
    if (this.#aloneResult !== undefined) throw malformed('something follows the answer to a bind');
    const operation = this.#pending.get(messageId);
    if (operation === undefined) {
      this.#notice({ messageId, tag, reader });
    } else if (tag === operation.responseTag) {
      const result = readResult(reader, tag);
      if (operation === this.#alone) {
        this.#aloneResult = result;
      } else {
        this.#end(messageId);
        operation.resolve(result);
      }
    } else if (operation.entries !== undefined && tag === responseTags.searchEntry) {
      const { entries, maxEntries } = operation;
      if (maxEntries === 0 || entries.length < maxEntries)
        entries.push(readEntry(reader, this.#attributeNames));
    } else if (operation.entries === undefined || tag !== responseTags.searchReference) {
      // Of references to other servers nobody follows any (RFC 4511 section 4.5.3).
      throw malformed(`the ${operation.what} was answered with another kind of response`);
    }
  }

  /** The answer of an operation that must be alone, which therefore has to be all that arrived. */
  #believeAlone(): void {
    const operation = this.#alone;
    const result = this.#aloneResult;
    if (operation === undefined || result === undefined) return;
    if (!this.#framer.isEmpty) throw malformed('something follows the answer to a bind');
    this.#alone = undefined;
    this.#aloneResult = undefined;
    this.#end(this.#lastMessageId);
    operation.resolve(result);
  }

  /** A message that answers nothing: only the server's own notices are allowed (RFC 4511 section 4.4). */
  #notice({ messageId, tag, reader }: OpenMessage): void {
    if (messageId !== 0 || tag !== responseTags.extended)
      throw malformed('an answer to nothing that was asked');
    const { name } = readResult(reader, tag);
    if (name === disconnectionOid) this.destroy('the server gave notice of disconnection');
  }

  #end(messageId: number): void {
    this.#pending.delete(messageId);
    this.#burstBytes = 0;
    this.lastUsedAt = performance.now();
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
    for (const operation of this.#pending.values()) {
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

function toCause(diagnostic: string): Error | undefined {
  return diagnostic === '' ? undefined : new Error(diagnostic);
}
