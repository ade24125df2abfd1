import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { clientAddress } from '#src/http/forwarded.ts';
import { AddressSet } from '#src/lib/address-set.ts';

const trusted = new AddressSet(['127.0.0.1/32', '10.0.0.0/8', '2001:db8:1::/48']);

describe('the client address', () => {
  const rows: { name: string; peer: string; field?: string; expect: string }[] = [
    { name: 'is the peer without the field', peer: '127.0.0.1', expect: '127.0.0.1' },
    {
      name: 'is an untrusted peer whatever it says',
      peer: '203.0.113.5',
      field: '198.51.100.1',
      expect: '203.0.113.5',
    },
    {
      name: 'is the entry a trusted proxy appended',
      peer: '127.0.0.1',
      field: '198.51.100.1',
      expect: '198.51.100.1',
    },
    {
      name: 'is the last one, not the one the client made up',
      peer: '127.0.0.1',
      field: '1.2.3.4, 198.51.100.1',
      expect: '198.51.100.1',
    },
    {
      name: 'is found behind several trusted proxies',
      peer: '127.0.0.1',
      field: '1.2.3.4, 198.51.100.1, 10.1.2.3',
      expect: '198.51.100.1',
    },
    {
      name: 'is the outermost proxy when all are trusted',
      peer: '127.0.0.1',
      field: '10.1.1.1, 10.2.2.2',
      expect: '10.1.1.1',
    },
    {
      name: 'ends before an entry that is no address',
      peer: '127.0.0.1',
      field: '198.51.100.1, unknown, 10.1.1.1',
      expect: '10.1.1.1',
    },
    { name: 'may carry a port', peer: '127.0.0.1', field: '198.51.100.1:4711', expect: '198.51.100.1' },
    {
      name: 'may be IPv6 in brackets with a port',
      peer: '2001:db8:1::2',
      field: '[2001:db8:2::1]:443',
      expect: '2001:db8:2::1',
    },
    {
      name: 'unfolds IPv4-mapped addresses',
      peer: '::ffff:127.0.0.1',
      field: '::ffff:198.51.100.1',
      expect: '198.51.100.1',
    },
    { name: 'survives empty entries', peer: '127.0.0.1', field: ', ,', expect: '127.0.0.1' },
  ];
  for (const { name, peer, field, expect } of rows) {
    test(name, () => assert.equal(clientAddress(peer, field, trusted), expect));
  }

  test('is the peer for everyone when nobody is trusted', () => {
    assert.equal(clientAddress('127.0.0.1', '198.51.100.1', new AddressSet([])), '127.0.0.1');
  });

  test('never depends on what stands left of the first untrusted entry', () => {
    fc.assert(
      fc.property(fc.string(), (junk) => {
        assert.equal(
          clientAddress('127.0.0.1', `${junk.replaceAll(',', '')}, 198.51.100.1, 10.0.0.1`, trusted),
          '198.51.100.1',
        );
      }),
    );
  });
});
