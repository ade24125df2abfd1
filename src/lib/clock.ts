/** Time as a dependency, so that tests move it. */
export interface Clock {
  /** Wall clock, milliseconds since the epoch. */
  now(): number;
}

export const systemClock: Clock = { now: () => Date.now() };
