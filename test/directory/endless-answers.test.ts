/** Servers that never stop: the operation ends with a clear code, the process lives, and its memory stays bounded. */
import assert from 'node:assert/strict';
import type { Socket } from 'node:net';
import { test } from 'node:test';
import {
  ber,
  message,
  result,
  type Script,
  searchEntry,
  startScriptedLdapServer,
  tags,
} from '#test/servers/scripted-ldap-server.ts';
import { peopleBase, personDn } from '#test/servers/slapd-data.ts';
import { until } from '#test/support/until.ts';
import { openDirectory } from './directories.ts';

const mebibyte = 1_048_576;
/** Of this process, which also plays the server: what both hold at the same time. */
const heldLimit = 256 * mebibyte;
/** A quarter of the default, which only makes the floods shorter. */
const timings = { maxBurstBytes: 2 * mebibyte };

/** Writes `piece` again and again for as long as somebody takes it. */
function flood(socket: Socket, piece: Buffer, count: (bytes: number) => void): void {
  const go = (): void => {
    while (!socket.destroyed) {
      count(piece.length);
      if (!socket.write(piece)) {
        socket.once('drain', go);
        return;
      }
    }
  };
  go();
}

/** Honest to the service account; `onPerson` answers the search for a person, `onBind` their bind. */
function server(act: { onPerson?: Script; onBind?: Script }): Script {
  return (request, socket) => {
    const { messageId, tag, bytes } = request;
    if (tag === tags.bind) {
      if (bytes.includes('cn=vratar') || act.onBind === undefined)
        return result(messageId, tags.bindResponse, 0);
      return act.onBind(request, socket);
    }
    if (tag !== tags.search) return undefined;
    if (!bytes.includes(peopleBase)) return result(messageId, tags.searchDone, 0);
    if (act.onPerson !== undefined) return act.onPerson(request, socket);
    return [
      searchEntry(messageId, personDn('alice'), { uid: ['alice'] }),
      result(messageId, tags.searchDone, 0),
    ];
  };
}

/** Some kilobytes at once, so that the flood costs the server little. */
const many = (one: Buffer): Buffer => Buffer.concat(Array.from({ length: 500 }, () => one));
const intermediate = (id: number): Buffer => message(id, ber(0x79, ber(0x80, '1.2.3')));
const reference = (id: number): Buffer => message(id, ber(0x73, ber(0x04, 'ldap://127.0.0.1:1/')));
/** Begins a message of 2 GB, and goes on with something. */
const announced = (id: number): Buffer => Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff, 0x02, 0x01, id]);

const floods: readonly {
  name: string;
  act: (count: (bytes: number) => void) => Parameters<typeof server>[0];
}[] = [
  {
    name: 'entries without end',
    act: (count) => ({
      onPerson: ({ messageId }, socket) => {
        flood(socket, many(searchEntry(messageId, personDn('alice'), { uid: ['alice'] })), count);
        return undefined;
      },
    }),
  },
  {
    name: 'one value without end',
    act: (count) => ({
      onPerson: ({ messageId }, socket) => {
        socket.write(announced(messageId));
        flood(socket, Buffer.alloc(65_536, 0x41), count);
        return undefined;
      },
    }),
  },
  {
    name: 'references without end',
    act: (count) => ({
      onPerson: ({ messageId }, socket) => {
        flood(socket, many(reference(messageId)), count);
        return undefined;
      },
    }),
  },
  {
    name: 'answers to nobody without end',
    act: (count) => ({
      onPerson: ({ messageId }, socket) => {
        flood(socket, many(result(messageId + 50, tags.searchDone, 0)), count);
        return undefined;
      },
    }),
  },
  {
    name: 'intermediate answers to a bind without end',
    act: (count) => ({
      onBind: ({ messageId }, socket) => {
        flood(socket, many(intermediate(messageId)), count);
        return undefined;
      },
    }),
  },
  {
    name: 'two gigabytes announced as the answer to a bind',
    act: (count) => ({
      onBind: ({ messageId }, socket) => {
        socket.write(announced(messageId));
        flood(socket, Buffer.alloc(65_536, 0x41), count);
        return undefined;
      },
    }),
  },
];

for (const { name, act } of floods) {
  test(`${name}: an error of the directory, and the memory in use stays bounded`, async () => {
    let written = 0;
    const script = server(
      act((bytes) => {
        written += bytes;
      }),
    );
    await using liar = await startScriptedLdapServer(script);
    await using corp = openDirectory({ servers: [liar.url], options: { groups: undefined }, timings });
    const before = held();
    let most = 0;
    const watch = setInterval(() => {
      most = Math.max(most, held() - before);
    }, 5);
    try {
      await assert.rejects(corp.verify('alice', 'alice-password'), (error: { code?: string }) => {
        assert.match(String(error.code), /^PROVIDER_(PROTOCOL|UNAVAILABLE)$/);
        return true;
      });
    } finally {
      clearInterval(watch);
    }
    assert.ok(written > 0);
    // What one connection may take, for each attempt, and what the sockets between hold.
    assert.ok(written < 96 * mebibyte, `${Math.round(written / mebibyte)} MiB were taken`);
    assert.ok(most < heldLimit, `${Math.round(most / mebibyte)} MiB were held`);
  });
}

function held(): number {
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

test('a server that talks on a connection nobody uses is cut off, and works again on the next', async () => {
  let written = 0;
  let flooded: Socket | undefined;
  await using liar = await startScriptedLdapServer(
    server({
      onPerson: ({ messageId }, socket) => {
        if (flooded === undefined) {
          flooded = socket;
          setImmediate(() =>
            flood(socket, many(result(0, 0x78, 0)), (bytes) => {
              written += bytes;
            }),
          );
        }
        return [
          searchEntry(messageId, personDn('alice'), { uid: ['alice'] }),
          result(messageId, tags.searchDone, 0),
        ];
      },
    }),
  );
  await using corp = openDirectory({ servers: [liar.url], options: { groups: undefined }, timings });
  await corp.judge('alice', 'alice-password').catch(() => undefined);
  await until(() => flooded?.destroyed, { timeoutMs: 30_000, what: 'the end of that connection' });
  assert.ok(written < 96 * mebibyte, `${Math.round(written / mebibyte)} MiB were taken`);
  const outcome = await until(
    async () => await corp.judge('alice', 'alice-password').catch(() => undefined),
    {
      timeoutMs: 30_000,
      what: 'a sign-in on another connection',
    },
  );
  assert.equal(outcome, 'verified');
});
