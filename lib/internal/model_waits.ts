// Who waits for a model's fold.

import { CortexError } from '../core/errors';
import { onAbort } from './abort';
import type { FoldMarks } from './model_marks';

interface Wait {
  readonly seq: bigint;
  readonly applied: boolean;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** What somebody waits for. */
export interface WaitFor {
  readonly seq: bigint;
  /** Applied, rather than only folded. */
  readonly applied: boolean;
  readonly timeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What keeps a process alive while somebody waits. */
export interface Holder {
  hold(): void;
  release(): void;
}

export function waitTimedOut(): CortexError {
  return new CortexError('cortex: wait_for_token: read-your-writes wait timed out');
}

/** Every wait settles once: reached, stopped, timed out or aborted. */
export class ModelWaits {
  readonly #marks: FoldMarks;
  readonly #holder: Holder;
  #waits: Wait[] = [];

  constructor(marks: FoldMarks, holder: Holder) {
    this.#marks = marks;
    this.#holder = holder;
  }

  /** Settles when the marks reach what is waited for. */
  add({ seq, applied, timeoutMs, signal }: WaitFor): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (): void => {
        clearTimeout(timer);
        stopListening();
        this.#holder.release();
      };
      const wait: Wait = {
        seq,
        applied,
        resolve: () => {
          done();
          resolve();
        },
        reject: (error) => {
          done();
          reject(error);
        },
      };
      const giveUp = (error: unknown): void => {
        this.#waits = this.#waits.filter((each) => each !== wait);
        wait.reject(error);
      };
      const timer =
        timeoutMs === undefined
          ? undefined
          : setTimeout(() => {
              giveUp(waitTimedOut());
            }, timeoutMs);
      const stopListening = onAbort(signal, () => {
        giveUp(signal?.reason);
      });
      this.#waits.push(wait);
      this.#holder.hold();
    });
  }

  /** Resolves those that the marks have reached. */
  settle(): void {
    this.#waits = this.#waits.filter((wait) => {
      if (!this.#marks.reached(wait.seq, wait.applied)) return true;
      wait.resolve();
      return false;
    });
  }

  /** The same, and rejects the others: the fold has stopped. */
  stop(failure: unknown): void {
    this.settle();
    const waits = this.#waits;
    this.#waits = [];
    for (const wait of waits) wait.reject(this.#marks.stoppedError(wait.applied, failure));
  }
}
