import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { agreedClientAddress, clientAddress } from '#src/http/forwarded.ts';
import { parseForwarded } from '#src/http/forwarded-field.ts';
import { AddressSet } from '#src/lib/address-set.ts';

const trusted = new AddressSet(['127.0.0.1/32', '10.0.0.0/8', '2001:db8:1::/48']);

const tokenChar = fc.constantFrom(...Array.from("!#$%&'*+-.^_`|~09azAZ"));
const token = fc.string({ unit: tokenChar, minLength: 1, maxLength: 12 });
const value = fc.string({ unit: fc.constantFrom(...Array.from('\t az09,;="\\[]:_-\'')), maxLength: 16 });
const element = fc.uniqueArray(fc.tuple(token, value), {
  minLength: 1,
  maxLength: 4,
  selector: ([name]) => name.toLowerCase(),
});

function print(elements: readonly (readonly (readonly [string, string])[])[], escapeAll: boolean): string {
  const quote = (text: string): string => `"${text.replace(escapeAll ? /(.)/g : /(["\\])/g, '\\$1')}"`;
  return elements
    .map((pairs) =>
      pairs
        .map(([name, text]) => `${name}=${/^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text) ? text : quote(text)}`)
        .join(';'),
    )
    .join(', ');
}

describe('a Forwarded field', () => {
  test('is read back as it was printed, quoted or not', () => {
    fc.assert(
      fc.property(fc.array(element, { maxLength: 5 }), fc.boolean(), (elements, escapeAll) => {
        const parsed = parseForwarded(print(elements, escapeAll));
        assert.deepEqual(
          parsed?.map((hop) => [...hop]),
          elements.map((pairs) => pairs.map(([name, text]) => [name.toLowerCase(), text])),
        );
      }),
    );
  });

  const examples: { field: string; expect: readonly Record<string, string>[] }[] = [
    { field: 'for="_gazonk"', expect: [{ for: '_gazonk' }] },
    { field: 'For="[2001:db8:cafe::17]:4711"', expect: [{ for: '[2001:db8:cafe::17]:4711' }] },
    {
      field: 'for=192.0.2.60;proto=http;by=203.0.113.43',
      expect: [{ for: '192.0.2.60', proto: 'http', by: '203.0.113.43' }],
    },
    { field: 'for=192.0.2.43, for=198.51.100.17', expect: [{ for: '192.0.2.43' }, { for: '198.51.100.17' }] },
    {
      field: 'for=192.0.2.43; proto=https ,for="a,b;c"',
      expect: [{ for: '192.0.2.43', proto: 'https' }, { for: 'a,b;c' }],
    },
    { field: ',, for=x ,', expect: [{ for: 'x' }] },
    { field: '', expect: [] },
  ];
  for (const { field, expect } of examples) {
    test(`is taken apart: ${field}`, () => {
      assert.deepEqual(
        parseForwarded(field)?.map((hop) => Object.fromEntries(hop)),
        expect,
      );
    });
  }

  const malformed = [
    'for',
    'for=',
    '=x',
    'for =x',
    'for= x',
    'for="x',
    'for=x"y"',
    'for="x"y',
    'for=[::1]',
    'for=x;for=y',
    'for=x;FOR=y',
    'for=x y',
    'for="é"',
    'for="x\u0001"',
    'for=x, "for=y"',
  ];
  for (const field of malformed) {
    test(`is refused: ${JSON.stringify(field)}`, () => {
      assert.equal(parseForwarded(field), undefined);
    });
  }
});

describe('the client by both fields', () => {
  const peer = '127.0.0.1';
  const rows: {
    name: string;
    forwarded?: string;
    forwardedFor?: string;
    peer?: string;
    expect: string | undefined;
  }[] = [
    {
      name: 'is the last hop a trusted proxy vouches for',
      forwarded: 'for=1.2.3.4, for=198.51.100.1',
      expect: '198.51.100.1',
    },
    {
      name: 'is found behind several trusted proxies',
      forwarded: 'for=198.51.100.1, for=10.1.2.3;proto=https',
      expect: '198.51.100.1',
    },
    { name: 'may be IPv6 with a port', forwarded: 'for="[2001:db8:2::1]:443"', expect: '2001:db8:2::1' },
    { name: 'is the peer when the hop hides', forwarded: 'for=198.51.100.1, for=_hidden', expect: peer },
    { name: 'is the peer when the hop is unknown', forwarded: 'for=198.51.100.1, for=unknown', expect: peer },
    {
      name: 'is the peer when the last hop names nobody',
      forwarded: 'for=198.51.100.1, proto=https',
      expect: peer,
    },
    { name: 'may end with an empty parameter', forwarded: 'for=198.51.100.1;', expect: '198.51.100.1' },
    {
      name: 'is the peer when nobody can say which hop is which',
      forwarded: 'for="198.51.100.1',
      expect: peer,
    },
    {
      name: 'is an untrusted peer whatever it says',
      peer: '203.0.113.5',
      forwarded: 'for=10.0.0.1',
      expect: '203.0.113.5',
    },
    { name: 'takes no second hop out of one value', forwarded: 'for="198.51.100.1,10.0.0.1"', expect: peer },
    {
      name: 'is what both say',
      forwarded: 'for=198.51.100.1',
      forwardedFor: '1.2.3.4, 198.51.100.1',
      expect: '198.51.100.1',
    },
    {
      name: 'is X-Forwarded-For beside a field about the scheme',
      forwarded: 'proto=https',
      forwardedFor: '198.51.100.1',
      expect: '198.51.100.1',
    },
    {
      name: 'is nobody when they differ',
      forwarded: 'for=10.0.0.1',
      forwardedFor: '198.51.100.1',
      expect: undefined,
    },
    {
      name: 'is nobody beside a malformed field',
      forwarded: 'for="',
      forwardedFor: '198.51.100.1',
      expect: undefined,
    },
  ];
  for (const { name, expect, ...row } of rows) {
    test(name, () => {
      const { forwarded, forwardedFor } = row;
      assert.equal(agreedClientAddress(row.peer ?? peer, { forwarded, forwardedFor }, trusted), expect);
    });
  }

  const address = fc.constantFrom('10.1.1.1', '127.0.0.1', '198.51.100.1', '2001:db8:1::5', '2001:db8:2::1');
  const hop = fc.oneof(address, fc.constantFrom('unknown', '_x', ''));

  test('is the same by either field when the hops are the same', () => {
    fc.assert(
      fc.property(fc.array(address, { minLength: 1, maxLength: 6 }), (hops) => {
        const forwarded = hops.map((node) => `for="${node.includes(':') ? `[${node}]` : node}"`).join(', ');
        const forwardedFor = hops.join(', ');
        const expect = clientAddress(peer, forwardedFor, trusted);
        assert.equal(agreedClientAddress(peer, { forwarded, forwardedFor: undefined }, trusted), expect);
        assert.equal(agreedClientAddress(peer, { forwarded, forwardedFor }, trusted), expect);
      }),
    );
  });

  test('adding either field to the other never yields a third client', () => {
    fc.assert(
      fc.property(
        fc.array(hop, { maxLength: 4 }),
        fc.oneof(
          fc.string(),
          fc.array(hop, { maxLength: 4 }).map((hops) => hops.map((node) => `for=${node}`).join(',')),
        ),
        (hops, forwarded) => {
          const forwardedFor = hops.join(', ');
          const alone = agreedClientAddress(peer, { forwardedFor, forwarded: undefined }, trusted);
          const both = agreedClientAddress(peer, { forwardedFor, forwarded }, trusted);
          assert.ok(both === undefined || both === alone);
        },
      ),
    );
  });

  test('hops in front of the client change nothing', () => {
    fc.assert(
      fc.property(fc.array(hop, { maxLength: 4 }), (made) => {
        const forwarded = [...made.filter((node) => node !== ''), '198.51.100.1']
          .map((node) => `for="${node}"`)
          .join(', ');
        assert.equal(
          agreedClientAddress(peer, { forwarded, forwardedFor: undefined }, trusted),
          '198.51.100.1',
        );
      }),
    );
  });
});
