import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { FrameBoundary } from '#src/proxy/frame-boundary.ts';

interface Frame {
  readonly opcode: number;
  readonly length: number;
  readonly isMasked: boolean;
}

const frame = fc.record({
  opcode: fc.constantFrom(0, 1, 2, 8, 9, 10),
  length: fc.oneof(fc.nat(130), fc.constantFrom(125, 126, 127, 65_535, 65_536, 70_000)),
  isMasked: fc.boolean(),
});

/** RFC 6455 section 5.2. Payloads look like heads, to mislead whoever reads them. */
function encode({ opcode, length, isMasked }: Frame): Buffer {
  const mask = isMasked ? 0x80 : 0;
  const size =
    length < 126
      ? Buffer.from([mask | length])
      : length < 65_536
        ? Buffer.from([mask | 126, length >> 8, length & 0xff])
        : Buffer.concat([Buffer.from([mask | 127, 0, 0, 0, 0]), uint32(length)]);
  return Buffer.concat([
    Buffer.from([0x80 | opcode]),
    size,
    isMasked ? Buffer.from([1, 2, 3, 4]) : Buffer.alloc(0),
    Buffer.alloc(length, 0x81),
  ]);
}

function uint32(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(value);
  return bytes;
}

describe('the boundary of frames', () => {
  test('is found wherever the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(frame, { minLength: 1, maxLength: 6 }),
        fc.array(fc.nat(140_000)),
        (frames, cuts) => {
          const bytes = Buffer.concat(frames.map(encode));
          const places = [...new Set(cuts.filter((at) => at < bytes.length))].toSorted((a, b) => a - b);
          const boundary = new FrameBoundary();
          let from = 0;
          for (const to of [...places, bytes.length]) {
            assert.equal(boundary.follow(bytes.subarray(from, to)), to - from);
            from = to;
          }
          assert.ok(boundary.isHere);
          assert.equal(boundary.dataFrames, frames.filter(({ opcode }) => opcode < 8).length);
        },
      ),
    );
  });

  test('stops a chunk where its first whole frame ends', () => {
    fc.assert(
      fc.property(frame, frame, fc.nat(200), (first, second, sent) => {
        const bytes = Buffer.concat([encode(first), encode(second)]);
        const end = encode(first).length;
        const begun = Math.min(sent, end - 1);
        const boundary = new FrameBoundary();
        boundary.follow(bytes.subarray(0, begun));
        // Nothing begun: it is a boundary already, and nothing more may pass.
        assert.equal(boundary.follow(bytes.subarray(begun), true), begun === 0 ? 0 : end - begun);
        assert.ok(boundary.isHere);
      }),
    );
  });

  test('never comes within a frame that claims more than anybody sends', () => {
    const boundary = new FrameBoundary();
    boundary.follow(Buffer.from([0x82, 127, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]));
    boundary.follow(Buffer.alloc(1_000_000));
    assert.ok(!boundary.isHere);
  });
});
