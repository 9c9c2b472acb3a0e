/** How often a line is rewritten. */
const EVERY_MS = 100;
/** Work shorter than this goes without. */
const QUIET_MS = 300;

/** Shows how far long work has come, on a terminal's error output. */
export class Progress {
  readonly #label: string;
  readonly #started = Date.now();
  #last = 0;
  #shown = false;

  constructor(label: string) {
    this.#label = label;
  }

  /** To be called now and then; cheap. */
  readonly update = (done: number, total: number): void => {
    const now = Date.now();
    if (!process.stderr.isTTY || now - this.#started < QUIET_MS) return;
    if (now - this.#last < EVERY_MS) return;
    this.#last = now;
    this.#shown = true;
    const share = total === 0 ? 100 : Math.floor((100 * done) / total);
    process.stderr.write(`\r${this.#label}: ${share} % of ${total} records`);
  };

  /** Removes the line. */
  finish(): void {
    if (this.#shown) process.stderr.write('\r\u001b[2K');
  }
}
