import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { inspectToken } from '#src/providers/kerberos/token.ts';
import { base64, der, negotiationToken, ntlmMessage, ticketToken } from './built-tokens.ts';
import { checkAnything, checkMutations } from './token-properties.ts';

const inspect = (token: string, maxLength = 90_000) => inspectToken(token, maxLength);
const ticket = { kind: 'ticket', service: 'HTTP/gw.localhost', realm: 'TEST.LOCAL' } as const;

describe('a token with a ticket names its service', () => {
  const rows: readonly (readonly [name: string, token: Buffer, expect?: object])[] = [
    ['as browsers send it', negotiationToken(['krb5'], ticketToken())],
    ['as Windows sends it', negotiationToken(['krb5Microsoft', 'krb5', 'negoex', 'ntlm'], ticketToken())],
    ['without a negotiation around it', ticketToken()],
    ['of 66 KB', negotiationToken(['krb5'], ticketToken({ cipher: Buffer.alloc(33_000) }))],
    [
      'for a name of one part',
      ticketToken({ service: 'host' }),
      { kind: 'ticket', service: 'host', realm: 'TEST.LOCAL' },
    ],
    [
      'for a name with letters of any language',
      ticketToken({ service: 'HTTP/почта.localhost', realm: 'ТЕСТ' }),
      { kind: 'ticket', service: 'HTTP/почта.localhost', realm: 'ТЕСТ' },
    ],
  ];
  for (const [name, token, expect = ticket] of rows) {
    test(name, () => {
      assert.deepEqual(inspect(base64(token)), expect);
    });
  }
});

describe('everything else is refused before native code sees it', () => {
  const whole = negotiationToken(['krb5'], ticketToken());
  const rows: readonly (readonly [name: string, token: string, reason: string])[] = [
    ['nothing', '', 'token-malformed'],
    ['base64url', base64(whole).replace(/[A-Z]/, '-'), 'token-malformed'],
    ['a blank in the middle', base64(whole).replace('A', ' '), 'token-malformed'],
    ['an incomplete group', `${base64(whole)}A`, 'token-malformed'],
    ['padding in the middle', 'AA==AAAA', 'token-malformed'],
    ['base64 of nonsense', Buffer.from('hello hello hello').toString('base64'), 'token-malformed'],
    ['NTLM', base64(ntlmMessage), 'ntlm'],
    ['NTLM within a negotiation', base64(negotiationToken(['ntlm'], ntlmMessage)), 'ntlm'],
    ['NTLM that calls itself Kerberos', base64(negotiationToken(['krb5'], ntlmMessage)), 'ntlm'],
    ['NTLM preferred to Kerberos', base64(negotiationToken(['ntlm', 'krb5'], ntlmMessage)), 'ntlm'],
    [
      'NEGOEX preferred to Kerberos',
      base64(negotiationToken(['negoex', 'krb5'], Buffer.from('NEGOEXTS'))),
      'continuation-needed',
    ],
    ['Kerberos offered without a ticket', base64(negotiationToken(['krb5'])), 'continuation-needed'],
    ['a second leg', base64(der(0xa1, der(0x30))), 'continuation-needed'],
    ['IAKERB', base64(negotiationToken(['iakerb'], Buffer.from('x'))), 'mechanism-not-supported'],
    ['no mechanism at all', base64(negotiationToken([])), 'mechanism-not-supported'],
    ['more mechanisms than anybody has', base64(negotiationToken(Array(17).fill('krb5'))), 'token-malformed'],
    ['a ticket without a frame', base64(ticketToken().subarray(15)), 'token-malformed'],
    ['bytes behind the token', base64(Buffer.concat([whole, Buffer.from('abc')])), 'token-malformed'],
    ['a token cut short', base64(whole.subarray(0, -3)), 'token-malformed'],
    ['the indefinite length', base64(Buffer.from([0x60, 0x80, 0, 0])), 'token-malformed'],
    ['a service of no name', base64(ticketToken({ service: '' })), 'token-malformed'],
    ['a realm of no name', base64(ticketToken({ realm: '' })), 'token-malformed'],
    [
      'a name that the library would leak at length',
      base64(ticketToken({ service: `HTTP/${'a'.repeat(300)}` })),
      'token-malformed',
    ],
    ['a name of many parts', base64(ticketToken({ service: 'a/b/c/d/e' })), 'token-malformed'],
    [
      'many parts of moderate length',
      base64(ticketToken({ service: `${'a'.repeat(200)}/${'b'.repeat(200)}` })),
      'token-malformed',
    ],
  ];
  for (const [name, token, reason] of rows) {
    test(`${name}: ${reason}`, () => {
      assert.deepEqual(inspect(token), { kind: 'rejected', reason });
    });
  }

  test('a token longer than allowed: token-too-long', () => {
    const token = base64(negotiationToken(['krb5'], ticketToken()));
    assert.equal(inspect(token, token.length).kind, 'ticket');
    assert.deepEqual(inspect(token, token.length - 1), { kind: 'rejected', reason: 'token-too-long' });
  });
});

test('reads back the service and realm that were put in', () => {
  const word = fc.stringMatching(/^[A-Za-z0-9._-]{1,60}$/);
  fc.assert(
    fc.property(word, word, word, fc.boolean(), (kind, host, realm, isBare) => {
      const inner = ticketToken({ service: `${kind}/${host}`, realm });
      const token = base64(isBare ? inner : negotiationToken(['krb5', 'ntlm'], inner));
      assert.deepEqual(inspect(token), { kind: 'ticket', service: `${kind}/${host}`, realm });
    }),
  );
});

test('answers something for whatever bytes it is given', () => {
  checkAnything({ numRuns: 3_000 });
});

test('answers something for tokens that were changed, cut or joined', () => {
  checkMutations({ numRuns: 10_000 });
});
