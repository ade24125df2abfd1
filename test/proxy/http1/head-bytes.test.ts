import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { HeadBytes } from '#src/proxy/http1/head-bytes.ts';

const isProtocolError = { name: 'GatewayError', code: 'UPSTREAM_PROTOCOL' };
const limit = 65_536;

/** What is gathered of `text` in pieces that end at `cuts`: the head, and everything behind it. */
function gather(text: string, cuts: readonly number[]): { head: string; rest: string } | undefined {
  const bytes = Buffer.from(text, 'latin1');
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1))), bytes.length].sort(
    (a, b) => a - b,
  );
  const gathering = new HeadBytes();
  let from = 0;
  for (const to of places) {
    // The buffer of a piece is written over before the next one, as that of all connections is.
    const piece = Buffer.from(bytes.subarray(from, to));
    const whole = gathering.take(piece);
    if (whole !== undefined) {
      return { head: whole.text, rest: whole.rest.toString('latin1') + bytes.toString('latin1', to) };
    }
    piece.fill(0);
    from = to;
  }
  return undefined;
}

/** A head of `length` bytes with its empty line. */
function headOf(length: number): string {
  const frame = 'HTTP/1.1 200 OK\r\nX: \r\n\r\n';
  return frame.replace('X: ', `X: ${'a'.repeat(length - frame.length)}`);
}

const line = fc.string({ unit: fc.constantFrom('a', ':', ' ', '\xff', '\t'), minLength: 1, maxLength: 12 });
const head = fc.array(line, { maxLength: 5 }).map((lines) => ['HTTP/1.1 200 OK', ...lines, ''].join('\r\n'));
const rest = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes).toString('latin1'));
const cuts = fc.array(fc.nat(), { maxLength: 12 });

describe('the bytes of a head', () => {
  test('are gathered wherever they are cut, and what follows them is handed on', () => {
    fc.assert(
      fc.property(head, rest, cuts, (text, next, places) => {
        assert.deepEqual(gather(`${text}\r\n${next}`, places), { head: text, rest: next });
      }),
      { numRuns: 1_000 },
    );
  });

  test('that lack the end are waited for', () => {
    fc.assert(
      fc.property(head, fc.nat(), cuts, (text, place, places) => {
        assert.equal(gather(`${text}\r\n`.slice(0, place % (text.length + 2)), places), undefined);
      }),
    );
  });

  test('of one head after the other are kept apart, wherever they are cut', () => {
    fc.assert(
      fc.property(fc.array(head, { minLength: 1, maxLength: 4 }), rest, cuts, (heads, next, places) => {
        const bytes = Buffer.from(heads.map((text) => `${text}\r\n`).join('') + next, 'latin1');
        const ends = [...new Set(places.map((cut) => cut % bytes.length)), bytes.length].sort(
          (a, b) => a - b,
        );
        const gathering = new HeadBytes();
        const found: string[] = [];
        let from = 0;
        for (const to of ends) {
          let piece: Buffer = Buffer.from(bytes.subarray(from, to));
          while (found.length < heads.length && piece.length > 0) {
            const whole = gathering.take(piece);
            if (whole === undefined) break;
            found.push(whole.text);
            piece = whole.rest;
          }
          from = to;
        }
        assert.deepEqual(found, heads);
      }),
      { numRuns: 1_000 },
    );
  });

  for (const length of [limit - 1, limit]) {
    test(`may be ${length}, however they are cut`, () => {
      for (const places of [[], [1], [length - 3], [length - 1], [7, 9_000, 40_000]]) {
        assert.equal(gather(headOf(length), places)?.head.length, length - 2);
      }
    });
  }

  for (const length of [limit + 1, limit + 4, 2 * limit]) {
    test(`must not be ${length}, however they are cut`, () => {
      for (const places of [[], [1], [limit - 3], [limit - 1], [limit], [7, 9_000, 40_000]]) {
        assert.throws(() => gather(headOf(length), places), isProtocolError);
      }
    });
  }

  test('that never end are refused at 64 KiB, at no more cost when they come one by one', () => {
    const gathering = new HeadBytes();
    const one = Buffer.from('a');
    gathering.take(Buffer.from('HTTP/1.1 200 OK\r\nX: '));
    const before = process.cpuUsage();
    let taken = 'HTTP/1.1 200 OK\r\nX: '.length;
    assert.throws(() => {
      for (;;) {
        taken++;
        gathering.take(one);
      }
    }, isProtocolError);
    assert.equal(taken, limit);
    // Microseconds; looking at all that came for each of them would be seconds.
    assert.ok(process.cpuUsage(before).user < 2_000_000);
  });

  const hopeless: Readonly<Record<string, string>> = {
    'another protocol': 'SSH-2.0-OpenSSH_9.2\r\n',
    TLS: '\x16\x03\x01\x02\x00',
    'HTTP/2': 'HTTP/2 ',
    'HTTP of another case': 'http/1.1 200 OK',
    'an empty line in front': '\r\nHTTP/1.1 200 OK',
    'one byte that is wrong': 'X',
    'LF in place of CRLF behind the status': 'HTTP/1.1 200 OK\nX: a',
    'LF in place of CRLF behind a field': 'HTTP/1.1 200 OK\r\nX: a\nY',
    'LF in place of an empty line': 'HTTP/1.1 200 OK\r\n\n',
    'LF at once': '\n',
  };

  for (const [name, text] of Object.entries(hopeless)) {
    test(`are refused before their end is waited for: ${name}`, () => {
      assert.throws(() => gather(text, []), isProtocolError);
      assert.throws(
        () =>
          gather(
            text,
            Array.from(text, (_, i) => i),
          ),
        isProtocolError,
      );
    });
  }
});
