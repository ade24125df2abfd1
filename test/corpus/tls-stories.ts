/** Rows of class `denial-of-service` about TLS and HTTP/2, against a gateway that ends TLS itself. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Authority, createAuthority } from '#test/servers/certificates.ts';
import { csrfOf } from '#test/support/http-client.ts';
import { type RapidReset, startRapidReset } from '#test/support/rapid-reset.ts';
import { until } from '#test/support/until.ts';
import { assertProbe } from './load-stories.ts';
import { AttackSockets, type LoadTarget, measuredAgain, startLoadTarget, startProbe } from './load-target.ts';
import { rightPassword } from './people.ts';
import { csrfCookieName, type Rig, sessionCookieName } from './rig.ts';
import type { Story } from './sign-in-stories.ts';
import { hosts } from './site.ts';
import { converse, headerValues } from './wire-client.ts';

const handshakeTimeoutSeconds = 10;

interface SecureTarget extends AsyncDisposable {
  readonly target: LoadTarget;
  /** Of a session. */
  readonly ticket: string;
}

async function startSecureTarget(rig: Rig): Promise<SecureTarget> {
  const resources = new AsyncDisposableStack();
  const authority: Authority = resources.use(await createAuthority());
  const { certificateFile, keyFile } = await authority.issue({ hosts: [hosts.portal, hosts.app] });
  const target = resources.use(
    await startLoadTarget(rig, {
      server: { tls: { certificateFile, keyFile }, limits: { connectionsPerAddress: 'off' } },
    }),
  );
  return {
    target,
    ticket: await signIn(target.gateway.port),
    [Symbol.asyncDispose]: async () => await resources.disposeAsync(),
  };
}

async function signIn(port: number): Promise<string> {
  const send = async (head: readonly string[], body = ''): ReturnType<typeof converse> =>
    await converse({
      port,
      isSecure: true,
      bytes: Buffer.from([...head, `Host: ${hosts.portal}`, 'Accept: text/html', '', body].join('\r\n')),
    });
  const cookieOf = (answers: Awaited<ReturnType<typeof converse>>['answers'], name: string): string => {
    const fields = answers.flatMap((answer) => headerValues(answer, 'set-cookie'));
    const field = fields.find((value) => value.startsWith(`${name}=`)) ?? '';
    return field.slice(name.length + 1).split(';', 1)[0] as string;
  };
  const page = await send(['GET /_vratar/login HTTP/1.1']);
  const form = new URLSearchParams({
    username: 'alice',
    password: rightPassword,
    provider: 'corp',
    csrf: csrfOf(page.answers[0]?.body ?? ''),
  }).toString();
  const answer = await send(
    [
      'POST /_vratar/login HTTP/1.1',
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${form.length}`,
      `Cookie: ${csrfCookieName}=${cookieOf(page.answers, csrfCookieName)}`,
    ],
    form,
  );
  const ticket = cookieOf(answer.answers, sessionCookieName);
  assert.notEqual(ticket, '', `signed in: ${answer.answers[0]?.status}`);
  return ticket;
}

/** The first bytes of a handshake with this server name, as Node sends them. */
async function clientHello(name: string): Promise<Buffer> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connectTls({
    port: (server.address() as AddressInfo).port,
    host: '127.0.0.1',
    servername: name,
  });
  client.on('error', () => undefined);
  const [socket] = (await once(server, 'connection')) as [Socket];
  const [bytes] = (await once(socket, 'data')) as [Buffer];
  socket.destroy();
  client.destroy();
  server.close();
  return bytes;
}

/** Puts another name in the place of `placeholder`, with every length around it (RFC 8446 section 4.1.2, RFC 6066 section 3). */
function named(hello: Buffer, placeholder: string, name: Buffer): Buffer {
  const at = hello.indexOf(placeholder);
  const more = name.length - placeholder.length;
  const changed = Buffer.concat([hello.subarray(0, at), name, hello.subarray(at + placeholder.length)]);
  const add = (offset: number): void => void changed.writeUInt16BE(hello.readUInt16BE(offset) + more, offset);
  let extensions = 5 + 4 + 2 + 32;
  extensions += 1 + (hello[extensions] as number);
  extensions += 2 + hello.readUInt16BE(extensions);
  extensions += 1 + (hello[extensions] as number);
  // Record, handshake (its lower two bytes), all extensions, this one, its list, the name.
  for (const offset of [3, 7, extensions, at - 7, at - 5, at - 2]) add(offset);
  return changed;
}

const stories: Readonly<Record<string, Story>> = {
  'DS-017': async (row, rig) => {
    await using secure = await startSecureTarget(rig);
    const { target, ticket } = secure;
    await using probe = await startProbe(target, ticket);
    const attack: RapidReset[] = [];
    try {
      for (let i = 0; i < 10; i++) {
        attack.push(await startRapidReset(target.gateway.port, hosts.app, 1_000));
      }
      assert.equal(row.expect['attack_connections'], 'closed');
      await until(() => attack.every(({ isClosed }) => isClosed), {
        timeoutMs: 60_000,
        what: 'the end of the attack',
      });
      // A probe is to have its chance beside it.
      await until(async () => (await getSecurely(target, ticket)) === 200);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      await assertProbe(row, probe);
    } finally {
      for (const connection of attack) connection[Symbol.dispose]();
    }
  },

  'DS-018': async (row, rig) => {
    await using secure = await startSecureTarget(rig);
    const { target, ticket } = secure;
    const hello = await clientHello(hosts.app);
    await using probe = await startProbe(target, ticket);
    using attack = new AttackSockets();
    const startedAt = performance.now();
    await attack.open(target.gateway.port, 1_000, (socket) => socket.write(hello.subarray(0, -1)));
    const { max } = row.expect['attack_connections_after_s'] as { max: number };
    await until(() => attack.size <= max, {
      timeoutMs: (handshakeTimeoutSeconds + 5) * 1_000 + (performance.now() - startedAt),
      what: 'the end of handshakes that stall',
    });
    await assertProbe(row, probe);
  },

  'DS-019': async (row, rig) => {
    await using secure = await startSecureTarget(rig);
    const { target, ticket } = secure;
    const placeholder = 'placeholder.example.test';
    const hello = await clientHello(placeholder);
    const names = ['', 'a'.repeat(255), 'app\0.example.test', '127.0.0.1', '::1', '.', 'a..b', '\xff\xfe'];
    for (const name of names) {
      const socket = connect(target.gateway.port, '127.0.0.1');
      socket.on('error', () => socket.destroy());
      socket.write(named(hello, placeholder, Buffer.from(name, 'latin1')));
      // An answer of the handshake, or its end.
      await Promise.race([once(socket, 'data'), once(socket, 'close')]);
      socket.destroy();
    }
    assert.equal(await getSecurely(target, ticket), 200);
    assert.equal(target.gateway.child.exitCode === null, row.expect['process_alive']);
    assert.doesNotThrow(() => target.rssMb(), 'the same worker as before');
  },
};

async function getSecurely({ gateway }: LoadTarget, ticket: string): Promise<number | undefined> {
  const { answers } = await converse({
    port: gateway.port,
    isSecure: true,
    bytes: Buffer.from(
      `GET /any/x HTTP/1.1\r\nHost: ${hosts.app}\r\nCookie: ${sessionCookieName}=${ticket}\r\n\r\n`,
    ),
  });
  return answers[0]?.status;
}

export const tlsStories: Readonly<Record<string, Story>> = Object.fromEntries(
  Object.entries(stories).map(([id, story]) => [id, measuredAgain(story)]),
);
