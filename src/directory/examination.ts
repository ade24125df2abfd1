/**
 * What a directory says of one account, step by step, for `vratar directory test`. Asks the same code that people sign
 * in through, on connections of its own, and only looks on; a password is tried once.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { type ErrorCode, GatewayError } from '../errors.ts';
import type { NameClaims } from '../identity/account-name.ts';
import type { GroupTable } from '../identity/group.ts';
import type { PasswordChangeWay, RejectionReason } from '../identity/outcome.ts';
import type { Clock } from '../lib/clock.ts';
import type { Secret } from '../lib/secret.ts';
import { createLogger } from '../observability/logger.ts';
import { Metrics } from '../observability/metrics.ts';
import { checkDirectory } from './check.ts';
import type { BindAnswer } from './connection.ts';
import type { Directory, DirectoryHealth, DirectoryPerson } from './directory.ts';
import type { LdapEntry } from './entry.ts';
import { type EntryView, viewEntry } from './entry-view.ts';
import type { DirectoryFinding } from './finding.ts';
import type { GroupMethod } from './group-method.ts';
import { type PeopleSettings, resolveSettings } from './kinds.ts';
import { createDirectory } from './ldap-directory.ts';
import { toLoginName } from './login-name.ts';
import { type DirectoryOptions, serviceAccountOf } from './options.ts';
import { defaultTimings } from './timings.ts';

export interface ExaminationOptions {
  readonly user: string;
  /** `undefined`: everything but the password is looked at. */
  readonly password: Secret | undefined;
  readonly claims?: NameClaims;
  readonly groupTable: GroupTable;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export type ExaminationOutcome =
  | { readonly kind: 'accepted'; readonly person: DirectoryPerson }
  | {
      readonly kind: 'rejected';
      readonly reason: RejectionReason;
      /** Told to who knows the password that has to be changed. */
      readonly passwordChange?: PasswordChangeWay;
    }
  /** The directory could not be asked, or could not answer. */
  | {
      readonly kind: 'unanswered';
      readonly code: ErrorCode;
      readonly message: string;
      readonly findings: readonly DirectoryFinding[];
    };

export interface ExaminationStep {
  readonly name: 'connect' | 'find' | 'password' | 'groups';
  readonly ms: number;
  readonly searches: number;
}

export interface Examination {
  readonly directory: string;
  /** As whom the directory is searched: a DN; `undefined`: as nobody in particular. */
  readonly serviceAccount: string | undefined;
  readonly servers: DirectoryHealth['servers'];
  readonly outcome: ExaminationOutcome;
  readonly steps: readonly ExaminationStep[];
  /** The entry the name led to, also when it may not sign in. */
  readonly entry: EntryView | undefined;
  /** What the server said of the password; `undefined`: it was not tried. */
  readonly bind: { readonly resultCode: number; readonly diagnostic: string } | undefined;
  /** DNs or names of the groups the person is in directly; `undefined`: the directory does not tell them apart. */
  readonly directGroups: ReadonlySet<string> | undefined;
  readonly groupMethod: GroupMethod | undefined;
}

/** Nobody waits behind us: a server may take its time. */
const patient = { probeMs: defaultTimings.connectMs, slowAfterMs: defaultTimings.connectMs } as const;

/** As many as a directory can have. */
const maxServers = 16;

/** Expects a person; failures of the directory are an outcome, not thrown. */
export async function examineAccount(
  options: DirectoryOptions,
  examination: ExaminationOptions,
): Promise<Examination> {
  const settings = resolveSettings(options);
  const view = new View(options, examination);
  const groupMethod = settings.groups?.method;
  const serviceAccount = serviceAccountOf(options)?.dn;
  const nothing = { entry: undefined, bind: undefined, directGroups: undefined, groupMethod };
  await using directory = view.open();
  try {
    const servers = await view.reach(directory);
    if (!servers.some(({ available }) => available)) {
      throw new GatewayError('PROVIDER_UNAVAILABLE', servers.map(({ reason }) => reason).join('; '));
    }
    const outcome = await view.judge(directory);
    const directGroups =
      outcome.kind === 'accepted' && outcome.person.groups.length > 0
        ? await directGroupsOf(outcome.person, options, settings, examination)
        : undefined;
    return {
      ...view.seen(settings),
      directory: options.name,
      serviceAccount,
      servers: await view.reach(directory),
      outcome,
      directGroups,
      groupMethod,
    };
  } catch (error) {
    if (!(error instanceof GatewayError)) throw error;
    const { servers } = directory.health();
    const refused = new Set(servers.flatMap(({ url, refusal }) => (refusal === undefined ? [] : [url])));
    const findings = await checkDirectory(options, {
      signal: examination.signal,
      clock: examination.clock,
      // What it was refused for a moment ago is not tried once more.
      mayBind: (url) => !refused.has(url),
    });
    const isConfiguration = refused.size > 0 && refused.size === servers.length;
    const code = isConfiguration ? 'PROVIDER_MISCONFIGURED' : error.code;
    return {
      ...nothing,
      ...view.seen(settings),
      directory: options.name,
      serviceAccount,
      servers,
      outcome: { kind: 'unanswered', code, message: error.message, findings },
    };
  }
}

/** Looks over the shoulder of one directory while it works. */
class View {
  readonly #options: DirectoryOptions;
  readonly #examination: ExaminationOptions;
  readonly #metrics = new Metrics();
  readonly #steps: ExaminationStep[] = [];
  #since = performance.now();
  #searches = 0;
  #entry: LdapEntry | undefined;
  #answer: BindAnswer | undefined;

  constructor(options: DirectoryOptions, examination: ExaminationOptions) {
    this.#options = options;
    this.#examination = examination;
  }

  open(): Directory {
    const { clock, groupTable } = this.#examination;
    return createDirectory(this.#options, {
      logger: createLogger({ level: 'error', sink: { write: () => undefined } }),
      metrics: this.#metrics,
      clock,
      groupTable,
      timings: patient,
      observer: {
        found: (entry) => {
          this.#entry = entry;
          this.#step('find');
        },
        answered: (answer) => {
          this.#answer = answer;
          this.#step('password');
        },
      },
    });
  }

  /** Settles when each server was reached or not, which is a matter of seconds. */
  async reach(directory: Directory): Promise<DirectoryHealth['servers']> {
    const until = performance.now() + defaultTimings.connectMs + patient.probeMs;
    for (;;) {
      const { servers } = directory.health();
      const isSettled = servers.every(({ isPending }) => isPending !== true);
      if (isSettled || performance.now() > until) {
        if (this.#steps.length === 0) this.#step('connect');
        return servers;
      }
      await delay(5, undefined, { signal: this.#examination.signal });
    }
  }

  async judge(directory: Directory): Promise<ExaminationOutcome> {
    const { user, password, claims, signal } = this.#examination;
    const judged =
      password === undefined
        ? // What is asked for on behalf of others brings no suffix of this directory's own.
          await directory.find(toLoginName(user, claims)?.usernames[0] ?? user, signal)
        : await directory.verify(user, password, {
            signal,
            ...(claims === undefined ? {} : { claims }),
            admit: async () => await Promise.resolve(),
          });
    if (judged.kind === 'verified' || judged.kind === 'found') {
      this.#step('groups');
      return { kind: 'accepted', person: judged.person };
    }
    if (this.#entry === undefined) this.#step('find');
    const { reason } = judged;
    const way = 'passwordChange' in judged ? judged.passwordChange : undefined;
    return { kind: 'rejected', reason, ...(way === undefined ? {} : { passwordChange: way }) };
  }

  seen(settings: PeopleSettings): Pick<Examination, 'steps' | 'entry' | 'bind'> {
    const entry = this.#entry;
    const answer = this.#answer;
    const now = this.#examination.clock.now();
    return {
      steps: this.#steps,
      entry: entry === undefined ? undefined : viewEntry(entry, settings, now),
      bind:
        answer === undefined
          ? undefined
          : {
              resultCode: answer.resultCode,
              // The LDAP library writes the number behind the server's words.
              diagnostic: answer.diagnostic.replace(/\s*Code: 0x[0-9a-f]+$/i, ''),
            },
    };
  }

  #step(name: ExaminationStep['name']): void {
    const now = performance.now();
    let searches = 0;
    for (let server = 0; server < maxServers; server++) {
      const labels = { directory: this.#options.name, server: String(server), operation: 'search' };
      searches += this.#metrics.directoryOperations.cell({ ...labels, result: 'ok' }).count;
    }
    this.#steps.push({ name, ms: now - this.#since, searches: searches - this.#searches });
    this.#since = now;
    this.#searches = searches;
  }
}

/** The same directory, asked for direct memberships alone. */
async function directGroupsOf(
  person: DirectoryPerson,
  options: DirectoryOptions,
  { groups: settings }: PeopleSettings,
  { groupTable, clock, signal }: ExaminationOptions,
): Promise<ReadonlySet<string> | undefined> {
  const { groups } = options;
  if (groups === undefined || settings === undefined) return undefined;
  if (!settings.isNested) return new Set(person.groups.map(({ name, dn }) => dn ?? name));
  const method = directMethod(settings);
  if (method === undefined) return undefined;
  const { baseDn } = settings;
  const direct = {
    ...options,
    groups: { ...groups, nested: false, method, ...(baseDn === undefined ? {} : { baseDn }) },
  };
  await using directory = new View(direct, {
    user: person.username,
    password: undefined,
    groupTable,
    clock,
    signal,
  }).open();
  const looked = await directory.lookup(person, signal);
  return looked.kind === 'found'
    ? new Set(looked.person.groups.map(({ name, dn }) => dn ?? name))
    : undefined;
}

function directMethod(settings: NonNullable<PeopleSettings['groups']>): GroupMethod | undefined {
  if (settings.method === 'tokenGroups') return 'userAttribute';
  if (settings.method !== 'userAttribute' || !settings.isAttributeComplete) return settings.method;
  return settings.baseDn === undefined ? undefined : 'search';
}
