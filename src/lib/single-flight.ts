/** Callers that ask for the same key at the same time share one run of the work, and its result or failure. */
export class SingleFlight<Result> {
  readonly #flights = new Map<string, Promise<Result>>();

  /** Joins the flight for `key`, or starts one. The key must hold every input that shapes the result. */
  run(key: string, work: () => Promise<Result>): Promise<Result> {
    const flying = this.#flights.get(key);
    if (flying !== undefined) return flying;
    const flight = this.#fly(key, work);
    this.#flights.set(key, flight);
    return flight;
  }

  /** Ends no sooner than the next turn of the microtasks, so that `run` has set what is deleted here. */
  async #fly(key: string, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } finally {
      this.#flights.delete(key);
    }
  }

  isFlying(key: string): boolean {
    return this.#flights.has(key);
  }

  get size(): number {
    return this.#flights.size;
  }
}
