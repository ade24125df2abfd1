/** What the person at the terminal has to do before the set-up can go on, in one sentence. */
export class SetupProblem extends Error {}
