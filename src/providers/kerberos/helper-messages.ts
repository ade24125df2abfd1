/**
 * What a gateway and its helper process say to each other: lists of questions and of answers, those of one turn of the
 * event loop together. A message costs as much as what it says.
 */
import type { Verdict } from './verdict.ts';

export interface Question {
  readonly id: number;
  readonly token: string;
}

export interface Answer {
  readonly id: number;
  readonly verdict: Verdict;
  /** Resident memory of the helper in bytes, now and then. */
  readonly rssBytes?: number;
}

/** Sent once, when the helper is able to judge or knows that it never will be. */
export interface Greeting {
  readonly ready: true;
}
