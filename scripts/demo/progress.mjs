// How far the transfer is: a bar on a terminal, a line per quarter elsewhere.

import { formatBytes, formatRate } from './units.mjs';

/** Columns of the bar at most, and of the figures behind it. */
const BAR_COLUMNS = 40;
const FIGURE_COLUMNS = 40;
const STEPS = 4;

export class Progress {
  #total;
  #stream;
  /** The first sight of it, from which the rate is counted. */
  #first;
  #steps = 0;
  #drawn = false;

  /** Without a stream nothing is shown. */
  constructor(total, stream) {
    this.#total = total;
    this.#stream = stream;
  }

  update(bytes) {
    if (this.#stream === undefined) return;
    this.#first ??= { bytes, at: performance.now() };
    if (this.#stream.isTTY) {
      this.#stream.write(`\r${this.#bar(bytes)}\u001b[K`);
      this.#drawn = true;
      return;
    }
    const steps = Math.floor((bytes / this.#total) * STEPS);
    if (steps <= this.#steps) return;
    this.#steps = steps;
    this.#stream.write(`  ${this.#percent(bytes)}  ${formatBytes(bytes)}\n`);
  }

  /** Everything has arrived. */
  end() {
    this.update(this.#total);
    this.abandon();
  }

  /** Leaves the bar as it is, so that what follows has a line of its own. */
  abandon() {
    if (this.#drawn) this.#stream.write('\n');
    this.#drawn = false;
  }

  #percent(bytes) {
    return `${String(Math.floor((bytes / this.#total) * 100)).padStart(3)} %`;
  }

  #bar(bytes) {
    const room = (this.#stream.columns ?? 80) - FIGURE_COLUMNS;
    const width = Math.max(0, Math.min(BAR_COLUMNS, room));
    const full = Math.round((bytes / this.#total) * width);
    const bar = `${'█'.repeat(full)}${'░'.repeat(width - full)}`;
    const seconds = (performance.now() - this.#first.at) / 1000;
    const moved = bytes - this.#first.bytes;
    const rate = moved > 0 ? `  ${formatRate(moved / seconds)}` : '';
    return `  ${bar} ${this.#percent(bytes)}  ${formatBytes(bytes)}${rate}`;
  }
}
