import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { ChunkedBody } from '#src/proxy/http1/chunked-body.ts';

interface Reading {
  readonly content: string;
  readonly isEnded: boolean;
  readonly code: unknown;
  /** What was left alone. */
  readonly rest: string;
}

/** Reads `text` in pieces that end at `cuts`. */
function read(text: string, cuts: readonly number[] = []): Reading {
  const bytes = Buffer.from(text, 'latin1');
  const body = new ChunkedBody();
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1))), bytes.length].sort(
    (a, b) => a - b,
  );
  let content = '';
  let from = 0;
  let code: unknown;
  try {
    for (const to of places) {
      // What stands around a piece in its buffer is none of its concern.
      const piece = bytes.subarray(from, to);
      const stopped = body.read(piece, 0, (part) => (content += part.toString('latin1')));
      from += stopped;
      if (body.isEnded) break;
      assert.equal(stopped, piece.length);
    }
  } catch (error) {
    if (error instanceof assert.AssertionError) throw error;
    code = (error as { code?: unknown }).code;
  }
  return { content, isEnded: body.isEnded, code, rest: code === undefined ? text.slice(from) : '' };
}

const latin1 = (maxLength: number, not = /[^\s\S]/g): fc.Arbitrary<string> =>
  fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString('latin1').replace(not, ''));

const chunk = fc.record({
  content: fc.oneof(latin1(20), latin1(300)).map((text) => text || '\r'),
  zeros: fc.nat(4),
  isUpper: fc.boolean(),
  blanks: fc.constantFrom('', ' ', '\t '),
  extension: fc.oneof(
    fc.constant(''),
    latin1(30, /[\r\n]/g).map((text) => `;${text}`),
  ),
});

const trailers = fc.array(
  latin1(20, /[\r\n]/g).map((text) => `X-${text}`),
  { maxLength: 3 },
);

const stream = fc
  .record({ chunks: fc.array(chunk, { maxLength: 6 }), zeros: fc.nat(5), trailers })
  .map((made) => ({
    content: made.chunks.map(({ content }) => content).join(''),
    text: [
      ...made.chunks.map(({ content, zeros, isUpper, blanks, extension }) => {
        const hex = content.length.toString(16);
        return `${'0'.repeat(zeros)}${isUpper ? hex.toUpperCase() : hex}${blanks}${extension}\r\n${content}\r\n`;
      }),
      `0${'0'.repeat(made.zeros)}\r\n`,
      ...made.trailers.map((line) => `${line}\r\n`),
      '\r\n',
    ].join(''),
  }));

const cuts = fc.array(fc.nat(), { maxLength: 30 });

const refused: Readonly<Record<string, string>> = {
  'no size': '\r\nhello\r\n',
  'an extension without a size': ';a=b\r\n',
  'a space before the size': ' 5\r\nhello\r\n',
  'a sign': '+5\r\nhello\r\n',
  'a negative size': '-5\r\nhello\r\n',
  'a size in another notation': '0x5\r\nhello\r\n',
  'no digit': 'g\r\n',
  'an underscore within': '1_0\r\n',
  'words behind the size': '5 hello\r\n',
  'a second size': '5\t6\r\n',
  'a size that ends in LF': '5\nhello\r\n',
  'a size that ends in CR': '5\rhello',
  'an extension that ends in LF': '5;a\nhello',
  'an extension that ends in CR': '5;a\rhello',
  'a chunk that is longer than its size': '4\r\nhello\r\n',
  'a chunk that is shorter than its size': '6\r\nhello\r\n0\r\n\r\n',
  'a chunk that ends in LF': '5\r\nhello\n0\r\n\r\n',
  'a chunk that ends in CR': '5\r\nhello\r0\r\n\r\n',
  'a last chunk that ends in LF': '0\n\n',
  'no line end behind the last chunk': '0\r\n\rX',
  'a trailer that ends in LF': '0\r\nX: a\n\r\n',
  'a trailer that ends in CR': '0\r\nX: a\rY: b\r\n\r\n',
  'a size of 14 digits': '00000000000005\r\n',
};

describe('a body in chunks', () => {
  test('comes out as it was cut up, wherever the stream is cut, and what follows it is left alone', () => {
    fc.assert(
      fc.property(stream, latin1(30), cuts, ({ content, text }, next, places) => {
        assert.deepEqual(read(text + next, places), { content, isEnded: true, code: undefined, rest: next });
      }),
      { numRuns: 1_000 },
    );
  });

  test('that stops early is not ended, and hands out no more than came', () => {
    fc.assert(
      fc.property(stream, fc.nat(), cuts, ({ content, text }, place, places) => {
        const reading = read(text.slice(0, place % text.length), places);
        assert.equal(reading.isEnded, false);
        assert.equal(reading.code, undefined);
        assert.ok(content.startsWith(reading.content));
      }),
    );
  });

  test('with bytes changed is read the same way however it is cut, as its lines say, or refused', () => {
    const put = fc.constantFrom('', '\r', '\n', '\r\n', '0', '1', 'f', ';', ' ', 'x', '\0', '\x80');
    const change = fc.tuple(fc.nat(), fc.nat(1), put);
    fc.assert(
      fc.property(
        stream,
        fc.array(change, { minLength: 1, maxLength: 3 }),
        cuts,
        ({ text }, changes, places) => {
          let changed = text;
          for (const [place, taken, inserted] of changes) {
            const at = place % (changed.length + 1);
            changed = changed.slice(0, at) + inserted + changed.slice(at + taken);
          }
          const whole = read(changed);
          assert.deepEqual(read(changed, places), whole);
          assert.ok(whole.code === undefined || whole.code === 'UPSTREAM_PROTOCOL');
          assert.ok(whole.content.length <= changed.length);
          const expected = readLineByLine(changed);
          assert.equal(whole.isEnded, expected !== undefined);
          if (expected !== undefined)
            assert.deepEqual({ content: whole.content, rest: whole.rest }, expected);
        },
      ),
      { numRuns: 3_000 },
    );
  });

  for (const [name, text] of Object.entries(refused)) {
    test(`is refused with ${name}`, () => {
      for (const places of [[], Array.from(text, (_, i) => i)]) {
        const { code, isEnded } = read(text, places);
        assert.deepEqual({ code, isEnded }, { code: 'UPSTREAM_PROTOCOL', isEnded: false });
      }
    });
  }

  const limits: readonly { name: string; isTaken: boolean; text: string }[] = [
    { name: 'a size of 13 digits', isTaken: true, text: `${'0'.repeat(13)}\r\n\r\n` },
    { name: '16 KiB of an extension', isTaken: true, text: `0;${'a'.repeat(16_383)}\r\n\r\n` },
    { name: 'more of an extension', isTaken: false, text: `0;${'a'.repeat(16_385)}\r\n\r\n` },
    { name: 'more of blanks', isTaken: false, text: `0${' '.repeat(16_386)}\r\n\r\n` },
    { name: '16 KiB of trailers', isTaken: true, text: `0\r\n${'a:b\r\n'.repeat(5_461)}\r\n` },
    { name: 'more of trailers', isTaken: false, text: `0\r\n${'a:b\r\n'.repeat(5_462)}\r\n` },
    { name: 'more of one trailer', isTaken: false, text: `0\r\n${'a'.repeat(16_385)}\r\n\r\n` },
    {
      name: '16 KiB of extension at each chunk and of trailers',
      isTaken: true,
      text: `1;${'a'.repeat(16_000)}\r\nx\r\n0;${'a'.repeat(16_000)}\r\n${'a'.repeat(16_000)}\r\n\r\n`,
    },
  ];

  for (const { name, isTaken, text } of limits) {
    test(`${isTaken ? 'may have' : 'must not have'} ${name}`, () => {
      assert.equal(read(text).isEnded, isTaken);
      assert.equal(read(text).code, isTaken ? undefined : 'UPSTREAM_PROTOCOL');
    });
  }

  test('of the largest size is counted to the byte', () => {
    assert.equal(read('fffffffffffff\r\nhello').content, 'hello');
    assert.equal(read('10000000000000\r\n').code, 'UPSTREAM_PROTOCOL');
  });

  test('is handed out without a copy, in one piece per chunk that came whole', () => {
    const bytes = Buffer.from('5\r\nhello\r\n3\r\nyou\r\n0\r\n\r\n');
    const parts: Buffer[] = [];
    new ChunkedBody().read(bytes, 0, (part) => parts.push(part));
    assert.deepEqual(parts.map(String), ['hello', 'you']);
    assert.ok(parts.every(({ buffer }) => buffer === bytes.buffer));
  });
});

/** The same question answered in the most pedestrian way. `undefined`: not whole, or refused. */
function readLineByLine(text: string): { content: string; rest: string } | undefined {
  let content = '';
  let rest = text;
  for (;;) {
    const [line] = /^[^\r\n]*\r\n/.exec(rest) ?? [];
    const size = /^([0-9A-Fa-f]{1,13})[ \t]*(?:;.*)?\r\n$/s.exec(line ?? '')?.[1];
    if (line === undefined || size === undefined) return undefined;
    rest = rest.slice(line.length);
    const length = Number.parseInt(size, 16);
    if (length === 0) break;
    content += rest.slice(0, length);
    if (rest.slice(length, length + 2) !== '\r\n') return undefined;
    rest = rest.slice(length + 2);
  }
  const end = /^(?:[^\r\n]+\r\n)*\r\n/.exec(rest);
  return end === null ? undefined : { content, rest: rest.slice(end[0].length) };
}
