/** Rows about the directory that take more than one sign-in, or a network that fails in between (class `ldap`). */
import assert from 'node:assert/strict';
import { connect } from 'node:net';
import { startGateway } from '#test/servers/gateway.ts';
import { result, searchEntry, startScriptedLdapServer, tags } from '#test/servers/scripted-ldap-server.ts';
import { peopleBase, personDn, service } from '#test/servers/slapd-data.ts';
import { startTcpShim } from '#test/servers/tcp-shim.ts';
import { until } from '#test/support/until.ts';
import { assertSearchesAsService } from './expectations.ts';
import { postLogin, ticketIn } from './login-rows.ts';
import { startCorpusDirectory } from './people.ts';
import type { Rig } from './rig.ts';
import { csrfCookieName, Site } from './rig.ts';
import type { Story } from './sign-in-stories.ts';
import { hosts, siteConfig } from './site.ts';

/** A gateway whose directory is this one alone. */
async function siteOn(
  rig: Rig,
  directories: readonly string[],
  directoryOptions: Readonly<Record<string, unknown>> = {},
): Promise<Site & AsyncDisposable> {
  const { upstream } = await rig.servers();
  const config = await siteConfig({ upstream: upstream.url, directories, directoryOptions }, {});
  const gateway = await startGateway({ config });
  return Object.assign(new Site(gateway, {}), {
    [Symbol.asyncDispose]: async () => await gateway[Symbol.asyncDispose](),
  });
}

async function statusOf(site: Site, username: string, password = 'right'): Promise<number | undefined> {
  return (await postLogin(site, { username, password, provider: 'corp' })).answers[0]?.status;
}

/** Verification connections of the default pool, and two for searches. */
const poolSize = 10;

export const directoryStories: Readonly<Record<string, Story>> = {
  'LD-028': async (row, rig) => {
    await using slow = await startScriptedLdapServer(({ messageId, tag, bytes }, socket) => {
      if (tag === tags.bind && bytes.includes(service.dn)) return result(messageId, tags.bindResponse, 0);
      if (tag === tags.bind) {
        const code = bytes.includes('right') ? 0 : 49;
        setTimeout(() => socket.write(result(messageId, tags.bindResponse, code)), 200);
        return undefined;
      }
      if (tag !== tags.search) return undefined;
      const uid = /alice|bob/.exec(bytes.toString('latin1'))?.[0];
      if (uid === undefined || !bytes.includes(peopleBase)) return result(messageId, tags.searchDone, 0);
      return [searchEntry(messageId, personDn(uid), { uid: [uid] }), result(messageId, tags.searchDone, 0)];
    });
    await using site = await siteOn(rig, [slow.url]);
    const { field, cookie } = await site.form();
    let falseAllows = 0;
    for (let round = 0; round < 5; round++) {
      const body = new URLSearchParams({ username: 'alice', password: 'right', csrf: field }).toString();
      const socket = connect(site.gateway.port, '127.0.0.1');
      socket.write(
        `POST /_vratar/login HTTP/1.1\r\nHost: ${hosts.portal}\r\nCookie: ${csrfCookieName}=${cookie}\r\n` +
          `Content-Type: application/x-www-form-urlencoded\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
      );
      setTimeout(() => socket.destroy(), 10);
      const answer = await postLogin(site, { username: 'bob', password: 'wrong', provider: 'corp' });
      if (ticketIn(answer, site) !== undefined) falseAllows++;
      assert.equal(answer.answers[0]?.status, 401);
    }
    assert.equal(falseAllows, row.expect['false_allow']);
  },

  'LD-044': async (row, rig) => {
    await using slapd = await startCorpusDirectory({ lean: true, tls: true });
    await using shim = await startTcpShim(slapd.port);
    await using site = await siteOn(rig, [`ldap://127.0.0.1:${shim.port}`], {
      startTls: true,
      tls: { caFile: slapd.caFile },
    });
    const statuses = [await statusOf(site, 'alice')];
    shim.reset();
    statuses.push(await statusOf(site, 'alice'));
    assert.deepEqual(statuses, row.expect['statuses']);
    assert.notEqual(shim.sent.length, 0);
    const inClear = ['right', service.password].filter((password) => shim.sent.includes(password)).length;
    assert.equal(inClear, row.expect['passwords_in_clear_on_the_wire']);
  },

  'LD-046': async (row, rig) => {
    await using slapd = await startCorpusDirectory({ lean: true, idleTimeoutSeconds: 1 });
    await using site = await siteOn(rig, [slapd.url]);
    const statuses = [await statusOf(site, 'alice')];
    await until(async () => (await slapd.openConnections()) === 0, { what: 'the end of idle connections' });
    statuses.push(await statusOf(site, 'bob'));
    assert.deepEqual(statuses, row.expect['statuses']);
    const operations = await slapd.operations();
    const bound = new Map<number, string>();
    let anonymous = 0;
    for (const { connection, kind, dn } of operations) {
      if (kind === 'bind') bound.set(connection, dn);
      if (kind === 'search' && !bound.has(connection)) anonymous++;
    }
    assert.equal(anonymous, row.expect['anonymous_searches']);
    assertSearchesAsService({ operations });
  },

  'LD-047': async (row, rig) => {
    const { slapd } = await rig.servers();
    await using shim = await startTcpShim(slapd.port);
    await using site = await siteOn(rig, [`ldap://127.0.0.1:${shim.port}`]);
    assert.equal(await statusOf(site, 'alice'), 303);
    shim.reset();
    const startedAt = performance.now();
    const statuses = await Promise.all(Array.from({ length: 50 }, async () => await statusOf(site, 'alice')));
    assert.deepEqual(new Set(statuses), new Set([row.expect['status']]));
    assert.ok(performance.now() - startedAt <= Number(row.expect['within_ms']));
    assert.ok(shim.open <= poolSize, `${shim.open} connections`);
  },

  'LD-048': async (row, rig) => {
    let early = 0;
    const waiting = new WeakSet<object>();
    await using directory = await startScriptedLdapServer(({ messageId, tag, bytes }, socket) => {
      if (waiting.has(socket)) early++;
      if (tag === tags.bind && !bytes.includes(service.dn)) {
        waiting.add(socket);
        const code = bytes.includes('right') ? 0 : 49;
        setTimeout(() => {
          waiting.delete(socket);
          socket.write(result(messageId, tags.bindResponse, code));
        }, 5);
        return undefined;
      }
      if (tag === tags.bind) return result(messageId, tags.bindResponse, 0);
      const uid = /person\d+/.exec(bytes.toString('latin1'))?.[0];
      if (tag !== tags.search || uid === undefined || !bytes.includes('inetOrgPerson'))
        return tag === tags.search ? result(messageId, tags.searchDone, 0) : undefined;
      return [searchEntry(messageId, personDn(uid), { uid: [uid] }), result(messageId, tags.searchDone, 0)];
    });
    await using site = await siteOn(rig, [directory.url]);
    let wrongStatuses = 0;
    await Promise.all(
      Array.from({ length: 200 }, async (_, i) => {
        const isRight = i % 2 === 0;
        const status = await statusOf(site, `person${i}`, isRight ? 'right' : 'wrong');
        if (status !== (isRight ? 303 : 401)) wrongStatuses++;
      }),
    );
    assert.equal(early, row.expect['requests_before_bind_answer']);
    assert.equal(wrongStatuses, row.expect['wrong_status']);
  },
};
