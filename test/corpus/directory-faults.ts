/** Directories that misbehave as the rows' `setup.directory` says, and what each of them counts. */

import { once } from 'node:events';
import { createServer } from 'node:net';
import { createAuthority } from '#test/servers/certificates.ts';
import {
  ber,
  type LdapRequest,
  message,
  result,
  type Script,
  searchEntry,
  startScriptedLdapServer,
  tags,
} from '#test/servers/scripted-ldap-server.ts';
import { peopleBase, personDn, service } from '#test/servers/slapd-data.ts';
import { startTcpShim } from '#test/servers/tcp-shim.ts';
import { startCorpusDirectory } from './people.ts';

export interface FaultyDirectory {
  readonly servers: readonly string[];
  /** Merged into the options of the directory. */
  readonly options?: Readonly<Record<string, unknown>>;
  /** Binds with a person's name that reached the directory. */
  readonly personBinds: () => number | Promise<number>;
  /** Further counters by the key of `expect`. */
  readonly counters?: Readonly<Record<string, () => unknown>>;
}

/** Short enough to wait for, long enough for a busy machine. */
export const operationTimeoutMs = 1_500;

type Fault = (resources: AsyncDisposableStack, shared: { readonly port: number }) => Promise<FaultyDirectory>;

const isServiceBind = ({ tag, bytes }: LdapRequest): boolean =>
  tag === tags.bind && bytes.includes(service.dn);
const isPersonBind = (request: LdapRequest): boolean => request.tag === tags.bind && !isServiceBind(request);
const asksForPerson = ({ tag, bytes }: LdapRequest): boolean =>
  tag === tags.search && bytes.includes(peopleBase) && bytes.includes('uid');

const alice = (messageId: number): Buffer[] => [
  searchEntry(messageId, personDn('alice'), {
    uid: ['alice'],
    entryUUID: ['11111111-1111-1111-1111-111111111111'],
  }),
  result(messageId, tags.searchDone, 0),
];

interface Misbehaviour {
  readonly bind?: (request: LdapRequest, nth: number) => Buffer | readonly Buffer[] | undefined;
  readonly serviceBind?: (request: LdapRequest) => Buffer;
  readonly search?: (request: LdapRequest, nth: number) => Buffer | readonly Buffer[] | undefined;
  readonly other?: Script;
}

/** An honest server for alice and her password `right`, but for one thing. */
function scripted(misbehaviour: Misbehaviour, more: Partial<FaultyDirectory> = {}): Fault {
  return async (resources) => {
    const seen = { binds: 0, serviceBinds: 0, searches: 0 };
    const server = resources.use(
      await startScriptedLdapServer((request, socket) => {
        const { messageId } = request;
        if (isServiceBind(request)) {
          seen.serviceBinds++;
          return misbehaviour.serviceBind?.(request) ?? result(messageId, tags.bindResponse, 0);
        }
        if (isPersonBind(request)) {
          seen.binds++;
          if (misbehaviour.bind !== undefined) {
            const answer = misbehaviour.bind(request, seen.binds);
            if (answer === undefined) setImmediate(() => socket.destroy());
            return answer;
          }
          return result(messageId, tags.bindResponse, request.bytes.includes('right') ? 0 : 49);
        }
        if (asksForPerson(request)) {
          seen.searches++;
          return misbehaviour.search === undefined
            ? alice(messageId)
            : misbehaviour.search(request, seen.searches);
        }
        if (request.tag === tags.search) return result(messageId, tags.searchDone, 0);
        return misbehaviour.other?.(request, socket);
      }),
    );
    return {
      servers: [server.url],
      personBinds: () => seen.binds,
      ...more,
      counters: {
        service_binds_max: () => seen.serviceBinds,
        directory_searches: () => seen.searches,
        ...more.counters,
      },
    };
  };
}

/** OID of the notice of disconnection (RFC 4511 section 4.4.1). */
const noticeOfDisconnection = '1.3.6.1.4.1.1466.20036';

const passThroughSlapd: Fault = async (_resources, { port }) => ({
  servers: [`ldap://127.0.0.1:${port}`],
  personBinds: () => 0,
});

/** Not a fault: what is sent is seen as it passes. */
const recording: Fault = async (resources, { port }) => {
  const shim = resources.use(await startTcpShim(port));
  return {
    servers: [`ldap://127.0.0.1:${shim.port}`],
    personBinds: () => 0,
    counters: { directory_password_bytes: () => shim.sent },
  };
};

const slow: Fault = async (resources, { port }) => {
  const shim = resources.use(await startTcpShim(port));
  shim.delayMs = 20;
  return { servers: [`ldap://127.0.0.1:${shim.port}`], personBinds: () => 0 };
};

/** Not a fault either: 20 000 groups, of which the first ten contain each other in a chain that begins with `deep`. */
const crowded: Fault = async (resources) => {
  const chain = Array.from({ length: 10 }, (_, i) => ({
    name: `level-${i}`,
    ...(i === 0 ? { people: ['deep'] } : { groups: [`level-${i - 1}`] }),
  }));
  const others = Array.from({ length: 19_990 }, (_, i) => ({ name: `other-${i}` }));
  const slapd = resources.use(await startCorpusDirectory({ lean: true, groups: [...chain, ...others] }));
  return { servers: [slapd.url], personBinds: () => 0 };
};

/** SearchRequest (RFC 4511 section 4.5.1): scope sub, any dereferencing, then the limit. */
function sizeLimitIn(sent: Buffer): number | undefined {
  const at = sent.indexOf(Buffer.from([0x0a, 1, 2, 0x0a, 1]));
  return at < 0 ? undefined : sent[at + 8];
}

export const directoryFaults: Readonly<Record<string, Fault>> = {
  'passes on what it records': recording,
  'adds 20 ms per operation': slow,
  'twenty thousand groups': crowded,
  'allows unauthenticated bind': scripted({
    // RFC 4513 section 5.1.2: a name with an empty password succeeds as nobody.
    bind: ({ messageId }) => result(messageId, tags.bindResponse, 0),
  }),
  'two entries match': scripted({
    search: ({ messageId }) => [
      ...['ou=one', 'ou=two'].map((ou) =>
        searchEntry(messageId, `uid=alice,${ou},${peopleBase}`, { uid: ['alice'] }),
      ),
      result(messageId, tags.searchDone, 0),
    ],
  }),
  // OpenLDAP prepares both sides of a comparison alike.
  'folds compatibility characters': passThroughSlapd,
  'answers with a referral to ldap://evil.test': async (resources, shared) => {
    let followed = 0;
    const target = createServer((socket) => {
      followed++;
      socket.destroy();
    }).listen(0, '127.0.0.1');
    await once(target, 'listening');
    resources.defer(() => void target.close());
    const address = target.address();
    const url = `ldap://127.0.0.1:${typeof address === 'object' && address !== null ? address.port : 0}/`;
    const fault = scripted(
      {
        search: ({ messageId }) => {
          const referral = ber(0xa3, ber(0x04, url));
          return message(
            messageId,
            ber(tags.searchDone, ber(0x0a, 10), ber(0x04, ''), ber(0x04, ''), referral),
          );
        },
      },
      { counters: { outgoing_connections_to_referral: () => followed } },
    );
    return await fault(resources, shared);
  },
  'certificate for other.test': async (resources) => {
    const authority = resources.use(await createAuthority());
    const certificate = await authority.issue({ hosts: ['other.test'] });
    const slapd = resources.use(await startCorpusDirectory({ tls: { authority, certificate }, lean: true }));
    return {
      servers: [slapd.secureUrl],
      options: { tls: { caFile: authority.caFile } },
      personBinds: async () => (await slapd.operations()).filter(({ kind }) => kind === 'bind').length,
    };
  },
  'rejects StartTLS': async (resources) => {
    const slapd = resources.use(await startCorpusDirectory({ lean: true }));
    return {
      servers: [slapd.url],
      options: { startTls: true },
      personBinds: async () => (await slapd.operations()).filter(({ kind }) => kind === 'bind').length,
    };
  },
  'sends 30 84 7f ff ff ff then 1 kB/s': async (resources, shared) => {
    const timers = new Set<NodeJS.Timeout>();
    resources.defer(() => timers.forEach((timer) => clearInterval(timer)));
    const fault: Fault = async () => {
      const server = resources.use(
        await startScriptedLdapServer((request, socket) => {
          if (request.tag === tags.bind) return result(request.messageId, tags.bindResponse, 0);
          const timer = setInterval(() => void socket.write(Buffer.alloc(100)), 100);
          timers.add(timer);
          socket.once('close', () => clearInterval(timer));
          return Buffer.from('30847fffffff', 'hex');
        }),
      );
      return { servers: [server.url], personBinds: () => 0 };
    };
    return await fault(resources, shared);
  },
  'sends notice of disconnection after the bind request': scripted({
    bind: ({ messageId }, nth) =>
      nth > 1
        ? result(messageId, tags.bindResponse, 0)
        : message(
            0,
            ber(0x78, ber(0x0a, 52), ber(0x04, ''), ber(0x04, ''), ber(0x8a, noticeOfDisconnection)),
          ),
  }),
  'sends bind success for message id + 1, then nothing': scripted({
    bind: ({ messageId }) => result(messageId + 1, tags.bindResponse, 0),
  }),
  'one byte per second': async (resources, { port }) => {
    const shim = resources.use(await startTcpShim(port));
    shim.trickleMs = 1_000;
    return { servers: [`ldap://127.0.0.1:${shim.port}`], personBinds: () => 0 };
  },
  'substring match configured by mistake': async (resources, { port }) => {
    const shim = resources.use(await startTcpShim(port));
    return {
      servers: [`ldap://127.0.0.1:${shim.port}`],
      options: { users: { baseDn: peopleBase, filter: '(uid=*%USERNAME%*)' } },
      personBinds: () => 0,
      counters: { directory_size_limit_sent: () => sizeLimitIn(shim.sent) },
    };
  },
  'answers a bind with an empty operation': scripted({
    bind: ({ messageId }) => message(messageId, ber(tags.bindResponse)),
  }),
  'answers a bind with a search result code 0': scripted({
    bind: ({ messageId }) => result(messageId, tags.searchDone, 0),
  }),
  'bind code 0 with password policy error 2': scripted({
    bind: ({ messageId }) =>
      message(
        messageId,
        ber(tags.bindResponse, ber(0x0a, 0), ber(0x04, ''), ber(0x04, '')),
        // draft-behera-ldap-password-policy section 6.2: error [1] changeAfterReset (2).
        ber(0xa0, ber(0x30, ber(0x04, '1.3.6.1.4.1.42.2.27.8.5.1'), ber(0x04, ber(0x30, ber(0x81, 2))))),
      ),
  }),
  'user bind answers 53 Account inactivated': scripted({
    bind: ({ messageId }) => result(messageId, tags.bindResponse, 53),
  }),
  'user bind answers 19 Exceed password retry limit': scripted({
    bind: ({ messageId }) => result(messageId, tags.bindResponse, 19),
  }),
  'service bind answers 49': scripted({
    serviceBind: ({ messageId }) => result(messageId, tags.bindResponse, 49),
  }),
  'accepts StartTLS, then stays silent': async (resources) => {
    let open = 0;
    const server = resources.use(
      await startScriptedLdapServer((request, socket) => {
        if (request.tag !== tags.extended) return undefined;
        open++;
        socket.once('close', () => open--);
        return result(request.messageId, 0x78, 0);
      }),
    );
    return {
      servers: [server.url],
      options: { startTls: true },
      personBinds: () => 0,
      counters: { sockets_left: () => open },
    };
  },
};
