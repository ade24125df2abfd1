/** What a request costs several servers, measured in one run: rounds in turn, and ratios within each round. */
import { cpuUs } from './cpu.ts';
import { type Load, runLoad } from './load.ts';
import { median, range } from './report.ts';

export interface Peer<Name extends string = string> {
  readonly name: Name;
  /** All processes that work for it. */
  readonly pids: readonly number[];
  readonly warmUp: () => Promise<unknown>;
  /** One round. */
  readonly measure: () => Promise<{ readonly requests: number; readonly perSecond: number }>;
}

/** One figure per round. */
export interface Figures {
  /** CPU per request in microseconds. */
  readonly costs: readonly number[];
  readonly perSecond: readonly number[];
}

export interface Durations {
  readonly warmUpSeconds: number;
  readonly roundSeconds: number;
}

/** A peer under a constant load from wrk. */
export function peerUnderLoad<Name extends string>(
  { name, pids }: Pick<Peer<Name>, 'name' | 'pids'>,
  load: Omit<Load, 'seconds'>,
  { warmUpSeconds, roundSeconds }: Durations,
): Peer<Name> {
  return {
    name,
    pids,
    warmUp: async () => await runLoad({ ...load, seconds: warmUpSeconds }),
    measure: async () => await runLoad({ ...load, seconds: roundSeconds }),
  };
}

/** In turn, so that whatever else the machine does hits all alike; the order changes every round. */
export async function compare<Name extends string>(
  peers: readonly Peer<Name>[],
  rounds: number,
): Promise<Readonly<Record<Name, Figures>>> {
  const figures = {} as Record<Name, { costs: number[]; perSecond: number[] }>;
  for (const { name } of peers) figures[name] = { costs: [], perSecond: [] };
  for (const peer of peers) await peer.warmUp();
  for (let round = 0; round < rounds; round++) {
    for (const { name, pids, measure } of round % 2 === 0 ? peers : peers.toReversed()) {
      const before = cpuUs(pids);
      const { requests, perSecond } = await measure();
      figures[name].costs.push((cpuUs(pids) - before) / requests);
      figures[name].perSecond.push(perSecond);
    }
  }
  return figures;
}

/** How many times the cost of `theirs` a request is for `ours`, in each round. */
export function costRatios(ours: Figures, theirs: Figures): readonly number[] {
  return ours.costs.map((cost, i) => cost / (theirs.costs[i] as number));
}

/** What a report says about the ratios beside their median. */
export function detailOf(ratios: readonly number[], ours: Figures, theirs: Figures): string {
  const cost = ({ costs }: Figures): string => `${median(costs).toFixed(1)} µs`;
  const rate = ({ perSecond }: Figures): number => Math.round(median(perSecond));
  return `${ratios.length} rounds ${range(ratios)}; CPU per request ${cost(ours)} against ${cost(theirs)}; ${rate(ours)} against ${rate(theirs)} requests/s`;
}
