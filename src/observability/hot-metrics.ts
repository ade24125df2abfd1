/**
 * Counters and histograms for the hot path: labels are looked up once and give a cell, and counting is an addition.
 * (prom-client hashes and checks the labels at every call: a tenth of a decision's CPU, bench/forward-auth.ts.)
 * They are reported in the same plain form as prom-client's metrics.
 */

export interface MetricDescription<Label extends string> {
  readonly name: string;
  readonly help: string;
  readonly labelNames: readonly Label[];
}

type Labels<Label extends string> = Readonly<Record<Label, string>>;

export interface CounterCell {
  count: number;
}

export class HotCounter<Label extends string> {
  readonly #description: MetricDescription<Label>;
  readonly #cells = new Map<string, CounterCell & { readonly labels: Labels<Label> }>();

  constructor(description: MetricDescription<Label>) {
    this.#description = description;
  }

  /** The cell of one label set, the same object at every call. Count by `cell.count++`. */
  cell(labels: Labels<Label>): CounterCell {
    const key = this.#description.labelNames.map((name) => labels[name]).join('\0');
    const known = this.#cells.get(key);
    if (known !== undefined) return known;
    const cell = { count: 0, labels };
    this.#cells.set(key, cell);
    return cell;
  }

  report(): object {
    const { name, help } = this.#description;
    const values = [...this.#cells.values()].map(({ count, labels }) => ({ value: count, labels }));
    return { name, help, type: 'counter', aggregator: 'sum', values };
  }
}

export class HistogramCell {
  /** One count per bound, and one for what lies above the last. Not cumulative. */
  readonly #counts: Float64Array;
  readonly #bounds: readonly number[];
  #sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.#counts = new Float64Array(bounds.length + 1);
  }

  /** Hot path: `bench/forward-auth.ts`. Most values are small: a linear search finds their bucket first. */
  observe(value: number): void {
    const bounds = this.#bounds;
    let bucket = 0;
    while (bucket < bounds.length && value > (bounds[bucket] as number)) bucket++;
    this.#counts[bucket] = (this.#counts[bucket] as number) + 1;
    this.#sum += value;
  }

  /** Cumulative counts by upper bound, as Prometheus wants them. */
  values(name: string, labels: Readonly<Record<string, string>>): object[] {
    let total = 0;
    const buckets = [...this.#bounds, '+Inf'].map((le, i) => {
      total += this.#counts[i] as number;
      return { labels: { le, ...labels }, value: total, metricName: `${name}_bucket` };
    });
    return [
      ...buckets,
      { labels, value: this.#sum, metricName: `${name}_sum` },
      { labels, value: total, metricName: `${name}_count` },
    ];
  }
}

export class HotHistogram<Label extends string> {
  readonly #description: MetricDescription<Label>;
  readonly #bounds: readonly number[];
  readonly #cells = new Map<string, { readonly labels: Labels<Label>; readonly cell: HistogramCell }>();

  /** `bounds`: upper bounds of the buckets, ascending, without infinity. */
  constructor(description: MetricDescription<Label>, bounds: readonly number[]) {
    this.#description = description;
    this.#bounds = bounds;
  }

  /** The cell of one label set, the same object at every call. */
  cell(labels: Labels<Label>): HistogramCell {
    const key = this.#description.labelNames.map((name) => labels[name]).join('\0');
    const known = this.#cells.get(key);
    if (known !== undefined) return known.cell;
    const cell = new HistogramCell(this.#bounds);
    this.#cells.set(key, { labels, cell });
    return cell;
  }

  report(): object {
    const { name, help } = this.#description;
    const values = [...this.#cells.values()].flatMap(({ labels, cell }) => cell.values(name, labels));
    return { name, help, type: 'histogram', aggregator: 'sum', values };
  }
}
