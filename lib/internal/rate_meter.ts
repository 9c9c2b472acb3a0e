// How fast counters grow, as somebody looks at them now and then.

const PERIOD_MS = 1000;

interface Mark {
  at: number;
  count: number;
  rate: number | undefined;
}

/** Rates per second of counters by name, each over the time since it was last asked for. */
export class RateMeter {
  readonly #marks = new Map<string, Mark>();

  /** The counter begins at 0 now. */
  begin(name: string): void {
    if (!this.#marks.has(name))
      this.#marks.set(name, { at: Date.now(), count: 0, rate: undefined });
  }

  forget(name: string): void {
    this.#marks.delete(name);
  }

  /** Over a second at least, unless the counter is younger. */
  rate(name: string, count: number): number {
    const now = Date.now();
    const mark = this.#marks.get(name);
    if (!mark) {
      this.#marks.set(name, { at: now, count, rate: 0 });
      return 0;
    }
    const elapsed = now - mark.at;
    if (elapsed < PERIOD_MS && mark.rate !== undefined) return mark.rate;
    const rate = elapsed > 0 ? ((count - mark.count) * 1000) / elapsed : 0;
    if (elapsed >= PERIOD_MS) this.#marks.set(name, { at: now, count, rate });
    return rate;
  }
}
