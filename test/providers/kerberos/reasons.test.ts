/** Every row of the table of reasons that can be produced here, against the real library. */
import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, beforeEach, describe, test } from 'node:test';
import { judgeToken } from '#src/providers/kerberos/acceptor.ts';
import { applyEnvironment } from '#src/providers/kerberos/environment.ts';
import { readKeytab } from '#src/providers/kerberos/keytab.ts';
import { verdictOfFailure } from '#src/providers/kerberos/reasons.ts';
import type { Verdict } from '#src/providers/kerberos/verdict.ts';
import { startKdc } from '#test/servers/kdc.ts';
import { keytabFile, withoutEncryptionType } from './built-keytab.ts';
import { base64, mechanisms, negotiationToken, ntlmMessage, ticketToken } from './built-tokens.ts';

const service = 'HTTP/gw.localhost';
const kdc = await startKdc({ services: [service, 'HTTP/other.localhost', 'HTTP/turned.localhost'] });
/** The same names, other keys. */
const impostor = await startKdc({ services: [service] });
after(async () => {
  await kdc[Symbol.asyncDispose]();
  await impostor[Symbol.asyncDispose]();
});
const file = (name: string): string => join(kdc.folder, name);
const replayFile = file('replay');
process.env['KRB5_CONFIG'] = kdc.configFile;

beforeEach(() => applyEnvironment({ keytab: kdc.keytab, replayFile }));

function reasonOf(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'accepted':
      return `accepted ${verdict.principal} for ${verdict.service}`;
    case 'refused':
      return verdict.reason;
    case 'unable':
      return verdict.obstacle;
  }
}
const judge = async (token: string): Promise<string> => reasonOf(await judgeToken(token));
const changed = (token: string, change: (bytes: Buffer) => Buffer): string =>
  base64(change(Buffer.from(token, 'base64')));
const flipped = (token: string, at: number): string =>
  changed(token, (bytes) => {
    bytes[at < 0 ? bytes.length + at : at]! ^= 1;
    return bytes;
  });

/** A ticket whose frame names another mechanism of the same length. */
const framedBy = (mechanism: string): Buffer =>
  Buffer.from(ticketToken().toString('hex').replace(mechanisms.krb5, mechanism), 'hex');

const accepted = `accepted alice@TEST.LOCAL for ${service}@TEST.LOCAL`;

describe('accepts', () => {
  for (const mechanism of ['spnego', 'krb5'] as const) {
    for (const isMutual of [false, true]) {
      test(`${mechanism}${isMutual ? ' with mutual authentication' : ''}, and replies as it should`, async () => {
        const verdict = await judgeToken(await kdc.token('alice', service, { mechanism, isMutual }));
        assert.equal(reasonOf(verdict), accepted);
        assert.ok(verdict.kind === 'accepted');
        if (mechanism === 'krb5' && !isMutual) assert.equal(verdict.reply, undefined);
        else assert.match(verdict.reply ?? '', /^[A-Za-z0-9+/]{20,}=*$/);
      });
    }
  }

  test('a ticket in the order of mechanisms that Windows sends', async () => {
    const inner = Buffer.from(await kdc.token('alice', service, { mechanism: 'krb5' }), 'base64');
    const token = negotiationToken(['krb5Microsoft', 'krb5', 'negoex', 'ntlm'], inner);
    assert.equal(await judge(base64(token)), accepted);
  });

  for (const offset of [240, -240]) {
    test(`clocks that differ by ${offset} seconds`, async () => {
      assert.equal(await judge(await kdc.tokenOfWrongClock(offset, 'alice')), accepted);
    });
  }

  test('names the key that fitted, whatever service the ticket claims', async () => {
    const token = await kdc.token('alice', 'HTTP/other.localhost', { mechanism: 'krb5' });
    const renamed = changed(token, (bytes) =>
      Buffer.from(bytes.toString('latin1').replace('other.localhost', 'xxxxx.localhost'), 'latin1'),
    );
    assert.equal(await judge(renamed), 'accepted alice@TEST.LOCAL for HTTP/other.localhost@TEST.LOCAL');
  });
});

describe('refuses', () => {
  const built: readonly (readonly [name: string, token: string, reason: string])[] = [
    ['NTLM', base64(ntlmMessage), 'mechanism-not-supported'],
    ['NTLM within a negotiation', base64(negotiationToken(['ntlm'], ntlmMessage)), 'mechanism-not-supported'],
    ['nonsense', Buffer.from('hello hello hello').toString('base64'), 'token-malformed'],
    ['a ticket without its frame', base64(ticketToken().subarray(15)), 'token-malformed'],
    ['what is not base64', '!!!', 'continuation-needed'],
    [
      'a preference for another mechanism',
      base64(negotiationToken(['negoex', 'krb5'], Buffer.from('NEGOEXTS'))),
      'continuation-needed',
    ],
    [
      'a ticket in the frame of another mechanism',
      base64(negotiationToken(['krb5'], framedBy(mechanisms.krb5Microsoft))),
      'mechanism-not-supported',
    ],
    ['a ticket that nobody issued', base64(ticketToken()), 'key-mismatch'],
  ];
  for (const [name, token, reason] of built) {
    test(`${name}: ${reason}`, async () => {
      assert.equal(await judge(token), reason);
    });
  }

  const altered: readonly (readonly [name: string, alter: (token: string) => string, reason: string])[] = [
    ['a token cut short', (token) => changed(token, (bytes) => bytes.subarray(0, -10)), 'token-malformed'],
    [
      'bytes behind the token',
      (token) => changed(token, (bytes) => Buffer.concat([bytes, Buffer.from('abc')])),
      'token-malformed',
    ],
    ['a changed authenticator', (token) => flipped(token, -5), 'ticket-refused'],
    ['a changed ticket', (token) => flipped(token, 350), 'key-mismatch'],
  ];
  for (const [name, alter, reason] of altered) {
    test(`${name}: ${reason}`, async () => {
      assert.equal(await judge(alter(await kdc.token('alice'))), reason);
    });
  }

  test('a ticket for a service that the keytab does not have: spn-mismatch', async () => {
    const keytab = file('other.keytab');
    await kdc.writeKeytab(keytab, ['HTTP/other.localhost']);
    applyEnvironment({ keytab, replayFile });
    assert.equal(await judge(await kdc.token('alice')), 'spn-mismatch');
  });

  test('a ticket newer than the keytab: kvno-old; one older than it: ticket-old', async () => {
    const turned = 'HTTP/turned.localhost';
    const [before, now] = [file('before.keytab'), file('now.keytab')];
    await kdc.writeKeytab(before, [turned]);
    const old = await kdc.token('alice', turned);
    await kdc.administer(`cpw -randkey ${turned}`);
    await kdc.writeKeytab(now, [turned]);
    applyEnvironment({ keytab: now, replayFile });
    assert.equal(await judge(old), 'ticket-old');
    await kdc.forgetTickets();
    const fresh = await kdc.token('alice', turned);
    assert.equal(await judge(fresh), `accepted alice@TEST.LOCAL for ${turned}@TEST.LOCAL`);
    applyEnvironment({ keytab: before, replayFile });
    assert.equal(await judge(fresh), 'kvno-old');
  });

  test('a ticket of a KDC with another key of the same number: key-mismatch', async () => {
    assert.equal(await judge(await impostor.token('alice')), 'key-mismatch');
  });

  test('a ticket whose kind of key the keytab lacks: enctype-missing', async () => {
    const keytab = file('aes128.keytab');
    await writeFile(keytab, withoutEncryptionType(await readFile(kdc.keytab), 18));
    assert.ok(readKeytab(keytab).every(({ encryptionType }) => encryptionType === 17));
    applyEnvironment({ keytab, replayFile });
    assert.equal(await judge(await kdc.token('alice')), 'enctype-missing');
  });

  test('clocks six minutes apart: skew', async () => {
    assert.equal(await judge(await kdc.tokenOfWrongClock(360, 'alice')), 'skew');
  });

  test('a ticket that was presented before: replay, unless no record is kept', async () => {
    const token = await kdc.token('alice');
    assert.equal(await judge(token), accepted);
    assert.equal(await judge(token), 'replay');
    applyEnvironment({ keytab: kdc.keytab, replayFile: undefined });
    assert.equal(await judge(token), accepted);
  });
});

describe('cannot judge', () => {
  const keytabs: readonly (readonly [name: string, content: Buffer | undefined])[] = [
    ['without a keytab', undefined],
    ['with a file that is no keytab', Buffer.from('hello')],
    ['with an empty file', Buffer.alloc(0)],
    ['with a keytab without entries', keytabFile()],
  ];
  for (const [name, content] of keytabs) {
    test(name, async () => {
      const keytab = file('unusable.keytab');
      if (content !== undefined) await writeFile(keytab, content);
      applyEnvironment({ keytab: content === undefined ? file('nowhere') : keytab, replayFile });
      assert.equal(await judge(await kdc.token('alice')), 'keytab-unusable');
    });
  }

  const records: readonly (readonly [name: string, path: string])[] = [
    ['in a folder that does not exist', file('nowhere/replay')],
    ['in what is a folder itself', kdc.folder],
    ['on a full disk', '/dev/full'],
  ];
  for (const [name, path] of records) {
    test(`with a record of tickets ${name}`, async () => {
      applyEnvironment({ keytab: kdc.keytab, replayFile: path });
      assert.equal(await judge(await kdc.token('alice')), 'replay-store-unusable');
    });
  }
});

test('words of the client do not choose the reason', () => {
  const verdict = verdictOfFailure(
    'Unspecified GSS failure.  Minor code may provide more information: Request ticket server ' +
      'HTTP/: Request is a replay\u001b[2J\r\n@X not found in keytab (ticket kvno 3)',
  );
  assert.equal(verdict.kind === 'refused' && verdict.reason, 'spn-mismatch');
  assert.match(verdict.detail, /^[\x20-\x7e…]{1,201}$/);
});

test('words that nobody has seen are a refusal, cut to what a log line can hold', () => {
  const verdict = verdictOfFailure(`something new: ${'x'.repeat(5_000)} and its end`);
  assert.equal(verdict.kind === 'refused' && verdict.reason, 'ticket-refused');
  assert.match(verdict.detail, / and its end$/);
  assert.ok(verdict.detail.length < 210);
});
