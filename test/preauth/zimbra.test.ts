import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { GatewayError } from '#src/errors.ts';
import type { Opening, OpeningRequest, Zimbra } from '#src/preauth/zimbra.ts';
import type { TestZimbra } from '#test/servers/zimbra.ts';
import { ManualClock } from '#test/support/clock.ts';
import { type Answer, ask } from '#test/support/http-client.ts';
import { principalOf } from '#test/support/principals.ts';
import { until } from '#test/support/until.ts';
import { aliceId, key, newKey, startMail, type WaySetup, wayInto } from './site.ts';

const opening = (query = '', isAdmin = false): OpeningRequest => ({
  isAdmin,
  query: new URLSearchParams(query),
});

async function open(way: Zimbra, email: string, request = opening()): Promise<Opening> {
  return await way.open(principalOf({ email }), request);
}

async function locationOf(way: Zimbra, email: string, request = opening()): Promise<string> {
  const opened = await open(way, email, request);
  assert.equal(opened.kind, 'redirect', JSON.stringify(opened));
  return opened.kind === 'redirect' ? opened.location : '';
}

/** Follows a link as a browser does: once, without cookies of before. */
async function follow(location: string): Promise<Answer> {
  const { port, pathname, search } = new URL(location);
  return await ask({ port: Number(port), path: `${pathname}${search}` });
}

async function withWay(
  zimbra: TestZimbra,
  setup: WaySetup,
  work: (way: Zimbra) => Promise<void>,
): Promise<void> {
  await using way = wayInto(zimbra, setup);
  await work(way);
}

let mail: TestZimbra;
before(async () => {
  mail = await startMail();
});
after(async () => await mail[Symbol.asyncDispose]());

describe('a link', () => {
  const accepted: readonly (readonly [name: string, email: string, options: Record<string, unknown>])[] = [
    ['by name', 'alice@example.test', {}],
    ['by name with characters that a URL gives a meaning', 'o+l&g@other.test', {}],
    ['by name in another spelling', 'Alice@Example.TEST', {}],
    ['by id', aliceId, { by: 'id', domain: 'example.test' }],
    ['by foreign principal', 'kerberos5:alice@EXAMPLE.TEST', { by: 'foreignPrincipal', domain: 'x' }],
    ['with an end of its own', 'alice@example.test', { expires: '8h' }],
  ];
  for (const [name, email, options] of accepted) {
    test(`opens the mailbox ${name}`, async () => {
      const { domains } = wayInto(mail).options;
      const only = { 'example.test': domains['example.test'] };
      await withWay(
        mail,
        { options: options['by'] === undefined ? options : { ...options, domains: only } },
        async (way) => {
          const answer = await follow(await locationOf(way, email));
          assert.equal(answer.status, 302, answer.body);
          assert.equal(answer.headers.location, `${mail.url}/zimbra/mail`);
          assert.match(answer.values('set-cookie').join(), /^ZM_AUTH_TOKEN=0_/);
        },
      );
    });
  }

  test('ends the mail session at an instant, not after the year 1970', async () => {
    const before = Date.now();
    await withWay(mail, { options: { expires: '8h' } }, async (way) => {
      const expires = Number(
        new URL(await locationOf(way, 'alice@example.test')).searchParams.get('expires'),
      );
      assert.ok(expires >= before + 8 * 3_600_000 && expires <= Date.now() + 8 * 3_600_000 + 1_000);
    });
  });

  test('opens a place of the web client that is listed, and no other', async () => {
    await withWay(mail, {}, async (way) => {
      const compose = await follow(
        await locationOf(way, 'alice@example.test', opening('app=mail&view=compose')),
      );
      assert.equal(compose.headers.location, `${mail.url}/zimbra/mail?app=mail&view=compose`);
      const other = await locationOf(
        way,
        'alice@example.test',
        opening('redirectURL=https://evil.test/&account=x'),
      );
      assert.ok(!other.includes('evil') && !other.includes('redirectURL'));
      assert.equal((await follow(other)).headers.location, `${mail.url}/zimbra/mail`);
    });
  });

  test('opens the administration console on its own port only', async () => {
    await withWay(mail, { options: { adminUrl: mail.adminUrl, admin: 'authenticated' } }, async (way) => {
      const location = await locationOf(way, 'root1@example.test', opening('', true));
      assert.ok(location.startsWith(`${mail.adminUrl}/service/preauth?`));
      const answer = await follow(location);
      assert.equal(answer.headers.location, `${mail.adminUrl}/zimbraAdmin`);
      assert.match(answer.values('set-cookie').join(), /^ZM_ADMIN_AUTH_TOKEN=/);
      // Where the flag is not looked at, its signature is of something else.
      const elsewhere = await follow(location.replace(mail.adminUrl, mail.url));
      assert.equal(elsewhere.status, 400);
    });
  });

  for (const how of ['url', 'soap']) {
    test(`opens Carbonio as well, by ${how}`, async () => {
      await using carbonio = await startMail({ product: 'carbonio' });
      await withWay(carbonio, { options: { interface: how } }, async (way) => {
        assert.equal((await way.check.now()).kind, 'up');
        const location = await locationOf(way, 'alice@example.test', opening('app=calendar'));
        const answer = await follow(location);
        assert.equal(answer.headers.location, `${carbonio.url}/?app=calendar`);
        const replayed = await follow(location);
        assert.equal(replayed.status, how === 'soap' ? 400 : 302);
      });
    });
  }

  for (const email of ['', 'alice', 'alice@evil.test', 'alice@example.test|1', 'nokey@keyless.test']) {
    test(`is not made for ${JSON.stringify(email)}`, async () => {
      await withWay(mail, {}, async (way) => {
        assert.equal((await open(way, email)).kind, 'refused');
      });
    });
  }
});

describe('the key of a domain', () => {
  test('is that of the account: a neighbour’s key opens nothing', async () => {
    const swapped = { 'example.test': { preauthKey: newKey() } };
    await withWay(mail, { options: { domains: swapped } }, async (way) => {
      const answer = await follow(await locationOf(way, 'root1@example.test'));
      assert.equal(answer.status, 400);
      assert.ok(answer.body.includes('authentication failed for [root1@example.test]'));
    });
  });

  test('gives way to its successor at the instant that is configured', async () => {
    await using changing = await startMail();
    const successor = newKey();
    const clock = new ManualClock(Date.now());
    const nextKeyFrom = new Date(clock.now() + 60_000).toISOString();
    const domains = { 'example.test': { preauthKey: key, nextPreauthKey: successor, nextKeyFrom } };
    await withWay(changing, { clock, options: { domains } }, async (way) => {
      assert.equal((await follow(await locationOf(way, 'alice@example.test'))).status, 302);
      changing.setKey('example.test', successor);
      clock.advance(61_000);
      assert.equal((await follow(await locationOf(way, 'alice@example.test'))).status, 302);
    });
  });

  test('is found out by itself where the gateway signs in over SOAP, once for all', async () => {
    await using changing = await startMail();
    const successor = newKey();
    const domains = { 'example.test': { preauthKey: key, nextPreauthKey: successor } };
    await withWay(changing, { options: { interface: 'soap', domains } }, async (way) => {
      assert.equal((await follow(await locationOf(way, 'alice@example.test'))).status, 302);
      changing.setKey('example.test', successor);
      assert.equal((await follow(await locationOf(way, 'alice@example.test'))).status, 302);
      const asked = changing.requests.length;
      assert.equal((await follow(await locationOf(way, 'root1@example.test'))).status, 302);
      assert.equal(changing.requests.length - asked, 2);
      assert.equal(changing.failuresOf('root1@example.test'), 0);
    });
  });
});

describe('over SOAP', () => {
  const soap = { options: { interface: 'soap' } };

  test('the browser gets a link for one use on the mail server', async () => {
    await withWay(mail, soap, async (way) => {
      const location = await locationOf(way, 'o+l&g@other.test', opening('app=mail&view=compose'));
      assert.match(
        location,
        new RegExp(`^${mail.url}/service/preauth\\?isredirect=1&app=mail&view=compose&authtoken=`),
      );
      const first = await follow(location);
      assert.equal(first.headers.location, `${mail.url}/zimbra/mail?app=mail&view=compose`);
      const second = await follow(location);
      assert.equal(second.status, 400);
      assert.ok(second.body.includes('authtoken is invalid'));
    });
  });

  const refused: readonly (readonly [email: string, reason: string])[] = [
    ['nobody@example.test', 'mail-refused'],
    ['gone@example.test', 'account-inactive'],
    ['away@example.test', 'account-inactive'],
    ['nokey@keyless.test', 'mail-misconfigured'],
  ];
  for (const [email, reason] of refused) {
    test(`${email} is refused by Zimbra: ${reason}`, async () => {
      const domains = { 'example.test': { preauthKey: key }, 'keyless.test': { preauthKey: key } };
      await withWay(mail, { options: { interface: 'soap', domains } }, async (way) => {
        assert.deepEqual(await open(way, email), { kind: 'refused', reason, mailAccount: email });
      });
    });
  }

  test('one refusal is all: the account is left alone for five minutes, others are not', async () => {
    await using strict = await startMail();
    const clock = new ManualClock(Date.now());
    strict.setKey('example.test', newKey());
    await withWay(strict, { ...soap, clock }, async (way) => {
      for (const expected of ['mail-refused', 'held', 'held']) {
        const opened = await open(way, 'alice@example.test');
        assert.equal(opened.kind === 'refused' && opened.reason, expected);
      }
      assert.equal(strict.failuresOf('alice@example.test'), 1);
      assert.equal((await open(way, 'o+l&g@other.test')).kind, 'redirect');
      strict.setKey('example.test', key);
      clock.advance(5 * 60_000);
      strict.setClockOffset(5 * 60_000);
      assert.equal((await open(way, 'alice@example.test')).kind, 'redirect');
    });
  });

  const nonsense: readonly (readonly [name: string, answer: { status: number; body: string }])[] = [
    ['a page', { status: 200, body: '<html><body>maintenance</body></html>' }],
    ['a document type', { status: 200, body: '<!DOCTYPE x [<!ENTITY e "y">]><Envelope>&e;</Envelope>' }],
    [
      'an answer without a token',
      { status: 200, body: '<E:Envelope xmlns:E="u"><E:Body><AuthResponse/></E:Body></E:Envelope>' },
    ],
    [
      'a token that would write another header or parameter',
      {
        status: 200,
        body: '<Envelope><Body><AuthResponse><authToken>a&amp;b=c</authToken></AuthResponse></Body></Envelope>',
      },
    ],
    ['a fault without a code', { status: 500, body: '<Envelope><Body><Fault/></Body></Envelope>' }],
    ['another status', { status: 403, body: '' }],
    ['more than it may', { status: 200, body: `<Envelope>${' '.repeat(70_000)}</Envelope>` }],
  ];
  for (const [name, soapAnswer] of nonsense) {
    test(`${name} instead of an answer is an error, never a link`, async () => {
      await using broken = await startMail({ soapAnswer });
      await withWay(broken, soap, async (way) => {
        await assert.rejects(
          open(way, 'alice@example.test'),
          (error) => error instanceof GatewayError && error.code === 'UPSTREAM_PROTOCOL',
        );
      });
    });
  }

  test('the end of all sessions logs out the browser that was let in before', async () => {
    await using own = await startMail();
    await withWay(own, {}, async (way) => {
      await follow(await locationOf(way, 'alice@example.test'));
      await follow(await locationOf(way, 'root1@example.test'));
      const account = way.accountOf(principalOf({ email: 'alice@example.test' }));
      assert.ok(typeof account === 'object');
      assert.equal(await way.endSessions(account), 'ended');
      assert.deepEqual(own.sessions, ['root1@example.test']);
    });
  });
});

describe('clock and health', () => {
  for (const seconds of [290, -290]) {
    test(`a mail server ${seconds} s ahead still gets timestamps it takes, once its clock is known`, async () => {
      await using skewed = await startMail({ clockOffsetMs: seconds * 1_000 });
      await withWay(skewed, {}, async (way) => {
        const probe = await way.check.now();
        assert.ok(probe.kind === 'up' && Math.abs((probe.offsetMs ?? 0) - seconds * 1_000) < 20_000);
        const location = await locationOf(way, 'alice@example.test');
        const timestamp = Number(new URL(location).searchParams.get('timestamp'));
        assert.ok(Math.abs(timestamp - Date.now() - seconds * 1_000) < 20_000);
        assert.equal((await follow(location)).status, 302);
      });
    });
  }

  test('a difference that does no harm changes nothing', async () => {
    await using skewed = await startMail({ clockOffsetMs: 100_000 });
    await withWay(skewed, {}, async (way) => {
      await way.check.now();
      assert.equal(way.check.correctionMs, 0);
    });
  });

  test('the mail server is asked again and again, until nobody wants to know', async () => {
    const own = await startMail();
    const way = wayInto(own, { options: { healthInterval: '10ms' } });
    await until(() => own.requests.length >= 3, { what: 'three probes', timeoutMs: 20_000 });
    assert.equal(way.check.latest?.kind, 'up');
    await own[Symbol.asyncDispose]();
    await until(() => way.check.latest?.kind === 'down', {
      what: 'the end of the server',
      timeoutMs: 20_000,
    });
    await way[Symbol.asyncDispose]();
  });

  test('a page that is not Zimbra’s is not taken for it', async () => {
    await withWay({ ...mail, url: `${mail.url}` }, {}, async (way) => {
      assert.equal((await way.check.now()).kind, 'up');
    });
    const { startUpstream } = await import('#test/servers/upstream.ts');
    await using other = await startUpstream();
    await withWay({ ...mail, url: other.url }, {}, async (way) => {
      assert.deepEqual(await way.check.now(), { kind: 'other', status: 200 });
    });
  });
});
