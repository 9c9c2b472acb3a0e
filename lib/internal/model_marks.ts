// How far a model's fold has come.

import { CortexError } from '../core/errors';
import type { FoldProgress } from './cortex_types';

/** The marks of one fold: what it has seen, what it has applied, what it skipped. */
export class FoldMarks {
  /** Before this event nothing is folded: retention or a snapshot took it. */
  start = 0n;
  #folded: bigint | undefined;
  #applied: bigint | undefined;
  #errors = 0n;

  /** The last event that was folded, applied or not. */
  get folded(): bigint | undefined {
    return this.#folded;
  }

  /** Everything through `seq` is in the state that the fold begins with. */
  restored(seq: bigint): void {
    this.#folded = this.#applied = seq;
  }

  /** An event was folded. Only a run of applied ones without a gap counts as applied. */
  advance(seq: bigint, applied: boolean): void {
    this.#folded = seq;
    const contiguous = this.#applied === undefined ? this.start : this.#applied + 1n;
    if (applied && seq === contiguous) this.#applied = seq;
  }

  /** What the log itself found corrupt is passed over. */
  passOver(through: bigint): void {
    if (this.#folded === undefined || this.#folded < through) this.#folded = through;
  }

  /** Something was skipped. */
  count(): void {
    this.#errors += 1n;
  }

  reached(seq: bigint, applied: boolean): boolean {
    if (seq < this.start) return true;
    const mark = applied ? this.#applied : this.#folded;
    return mark !== undefined && mark >= seq;
  }

  progress(): FoldProgress {
    return {
      ...(this.#folded === undefined ? {} : { foldedThrough: this.#folded }),
      ...(this.#applied === undefined ? {} : { appliedThrough: this.#applied }),
      errors: this.#errors,
    };
  }

  /** What a wait that will not come true is told; `failure` is what stopped the fold, if an event did. */
  stoppedError(applied: boolean, failure: unknown): CortexError {
    const options = failure === undefined ? undefined : { cause: failure };
    if (!applied) {
      const through = this.#folded === undefined ? 'None' : `Some(${this.#folded})`;
      return new CortexError(
        `cortex: wait_for_seq: fold task stopped; folded_through=${through}`,
        options,
      );
    }
    const where =
      this.#applied === undefined
        ? 'applying any event'
        : `reaching token seq (applied through ${this.#applied})`;
    return new CortexError(`cortex: wait_for_token: fold task stopped before ${where}`, options);
  }
}
