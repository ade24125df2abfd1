import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MessageFramer } from '#src/directory/framing.ts';
import { ber, result, searchEntry, tags } from '#test/servers/scripted-ldap-server.ts';

const maxBytes = 1_048_576;

/** What comes out of these chunks, as hexadecimal text, and whether anything is held back. */
function frame(chunks: readonly Buffer[], limit = maxBytes): { messages: string[]; isEmpty: boolean } {
  const messages: string[] = [];
  const framer = new MessageFramer(limit, (bytes, start, end) => {
    messages.push(bytes.toString('hex', start, end));
  });
  for (const chunk of chunks) framer.push(chunk);
  return { messages, isEmpty: framer.isEmpty };
}

function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const sorted = [0, ...places.toSorted((a, b) => a - b), bytes.length];
  return sorted.slice(1).map((end, index) => bytes.subarray(sorted[index], end));
}

/** Lengths of one, two, three and five bytes. */
const sizes = [0, 1, 100, 127, 128, 255, 256, 5_000, 65_535, 65_536, 70_000];
const anyMessages = fc.array(fc.constantFrom(...sizes), { minLength: 1, maxLength: 6 }).map((list) =>
  list.map((size) => {
    const content = Buffer.alloc(size, 'x');
    return size < 65_536
      ? ber(0x30, content)
      : Buffer.concat([Buffer.from('3084', 'hex'), Buffer.from([0, size >> 16, size >> 8, size]), content]);
  }),
);

test('messages come out whole and in order, wherever the network cut them', () => {
  fc.assert(
    fc.property(anyMessages, fc.array(fc.nat(), { maxLength: 12 }), (messages, places) => {
      const bytes = Buffer.concat(messages);
      const chunks = cut(
        bytes,
        places.map((place) => place % bytes.length),
      );
      const expected = messages.map((message) => message.toString('hex'));
      assert.deepEqual(frame(chunks), { messages: expected, isEmpty: true });
    }),
  );
});

test('every single cut of two messages, and no bytes at all, make no difference', () => {
  const messages = [searchEntry(7, 'uid=anna', { cn: ['x'.repeat(200)] }), result(7, tags.searchDone, 0)];
  const bytes = Buffer.concat(messages);
  const expected = messages.map((message) => message.toString('hex'));
  for (let place = 0; place <= bytes.length; place++) {
    assert.deepEqual(frame(cut(bytes, [place, place])).messages, expected, `cut at ${place}`);
  }
});

test('a message of which the last byte is missing stays back', () => {
  const message = searchEntry(7, 'uid=anna', { cn: ['x'] });
  for (let length = 1; length < message.length; length++) {
    assert.deepEqual(frame([message.subarray(0, length)]), { messages: [], isEmpty: false });
  }
});

test('a message of a megabyte in pieces of one byte costs no more than its bytes', () => {
  const size = maxBytes - 6;
  const bytes = Buffer.concat([
    Buffer.from('3083', 'hex'),
    Buffer.from([size >> 16, size >> 8, size]),
    Buffer.alloc(size),
  ]);
  let whole = 0;
  const framer = new MessageFramer(maxBytes, (_, start, end) => {
    whole = end - start;
  });
  const before = process.cpuUsage();
  for (let at = 0; at < bytes.length; at++) framer.push(bytes.subarray(at, at + 1));
  const { user, system } = process.cpuUsage(before);
  assert.equal(whole, bytes.length);
  // Copied again for every byte it would be half a terabyte, which takes minutes.
  assert.ok(user + system < 20_000_000, `${user + system} µs`);
});

const refused: readonly { name: string; hex: string }[] = [
  { name: 'something that is no sequence', hex: '02010130' },
  { name: 'HTTP', hex: Buffer.from('HTTP/1.1 400 Bad Request').toString('hex') },
  { name: 'a length that is only known at the end', hex: '3080020107' },
  { name: 'a length of five bytes', hex: '308500000000010000' },
  { name: 'a length of 127 bytes', hex: `30ff${'00'.repeat(20)}` },
  { name: 'one byte more than the limit', hex: '3083100000' },
  { name: 'two gigabytes', hex: '30847fffffff' },
  { name: 'four gigabytes', hex: '3084ffffffff' },
  { name: 'rubbish behind a whole message', hex: '3003020101ff' },
];

for (const { name, hex } of refused) {
  test(`${name} is refused as soon as it shows, in one piece and byte by byte`, () => {
    const bytes = Buffer.from(hex, 'hex');
    const failure = { name: 'LdapFailure', kind: 'protocol' };
    assert.throws(() => frame([bytes]), failure);
    assert.throws(() => frame(cut(bytes, [...bytes.keys()])), failure);
  });
}

test('what is announced takes no memory before it arrives', () => {
  const limit = 2 ** 31;
  const framers = Array.from(
    { length: 100 },
    () => new MessageFramer(limit, () => assert.fail('no message')),
  );
  const before = process.memoryUsage().arrayBuffers;
  for (const framer of framers) framer.push(Buffer.from('30847fffff00020107', 'hex'));
  assert.ok(process.memoryUsage().arrayBuffers - before < 16 * 1_048_576);
});
