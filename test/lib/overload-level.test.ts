import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { OverloadLevel } from '#src/lib/overload-level.ts';

const thresholdMs = 300;
const lookEveryMs = 100;

/** A process whose timer comes late by what `late` says, asked by so many a second. */
class Course {
  readonly judge = new OverloadLevel(thresholdMs);
  nowMs = 0;
  highest = 0;

  run(forMs: number, lateMs: number, perSecond: number): number {
    let level = 0;
    for (const endMs = this.nowMs + forMs; this.nowMs < endMs; ) {
      const tookMs = lookEveryMs + lateMs;
      this.nowMs += tookMs;
      level = this.judge.look(this.nowMs, lateMs, (perSecond * tookMs) / 1_000);
      this.highest = Math.max(this.highest, level);
    }
    return level;
  }
}

describe('the level of overload', () => {
  test('rises step by step while the delay lasts, and stays at the highest', () => {
    const course = new Course();
    const seen: number[] = [];
    for (let i = 0; i < 100; i++) seen.push(course.run(1, 400, 200));
    assert.deepEqual(
      seen.filter((level, i) => level !== seen[i - 1]),
      [0, 1, 2, 3],
    );
    assert.equal(seen.at(-1), 3);
    assert.ok(seen.indexOf(1) * 500 >= 1_000, 'not before a second');
    assert.ok(seen.indexOf(1) * 500 <= 6_000, 'within six seconds');
  });

  test('falls step by step when the delay is gone, no faster than it rose', () => {
    const course = new Course();
    course.run(30_000, 400, 200);
    const from = course.nowMs;
    const seen: number[] = [];
    for (let i = 0; i < 200; i++) seen.push(course.run(1, 2, 200));
    assert.deepEqual(
      seen.filter((level, i) => level !== seen[i - 1]),
      [3, 2, 1, 0],
    );
    assert.ok(seen.indexOf(0) * 102 >= 6_000);
    assert.ok(course.nowMs - from < 30_000);
  });

  const harmless: readonly (readonly [
    what: string,
    course: readonly (readonly [number, number, number])[],
  ])[] = [
    ['one task of ten seconds', [[1, 10_000, 200]]],
    [
      'a task of half a second every second',
      Array.from({ length: 60 }, () => [
        [1, 500, 200],
        [900, 1, 200],
      ]).flat() as [number, number, number][],
    ],
    ['a delay just below the threshold', [[60_000, 290, 200]]],
    ['a machine so busy with other things that hardly anybody is answered', [[60_000, 2_000, 3]]],
  ];
  for (const [what, course] of harmless) {
    test(`does not rise for ${what}`, () => {
      const whole = new Course();
      for (const part of course) {
        whole.run(...part);
        whole.run(300, 0, 200);
      }
      assert.equal(whole.highest, 0);
    });
  }

  test('holds while the delay is between half the threshold and the threshold', () => {
    const course = new Course();
    course.run(8_000, 400, 200);
    const reached = course.highest;
    assert.ok(reached > 0);
    assert.equal(course.run(60_000, 200, 200), reached);
  });
});
