// Who watches a model's rows.

import { Watch } from './cortex_adapter';
import { type ModelQuery, matches, select } from './model_query';
import type { Change, IndexedRows } from './model_rows';
import type { Holder } from './model_waits';

interface Watching<Row> {
  readonly query: ModelQuery<Row>;
  readonly watch: Watch<Row>;
  dirty: boolean;
}

/** The watches of one model. */
export class ModelWatches<Row> {
  readonly #rows: IndexedRows<Row>;
  readonly #holder: Holder;
  readonly #isRunning: () => boolean;
  readonly #watches = new Set<Watching<Row>>();

  constructor(rows: IndexedRows<Row>, holder: Holder, isRunning: () => boolean) {
    this.#rows = rows;
    this.#holder = holder;
    this.#isRunning = isRunning;
  }

  /** A watch that begins with the rows of now, or goes on from `first`. */
  open(query: ModelQuery<Row>, first: Row[] | undefined): Watch<Row> {
    let last = first;
    const watch = new Watch<Row>({
      poll: () => {
        if (watching.dirty) {
          watching.dirty = false;
          const rows = select(this.#rows, query);
          // Rows are replaced when they change, so that they can be told apart by identity.
          const same = last?.length === rows.length && rows.every((row, i) => row === last?.[i]);
          if (!same) {
            last = [...rows];
            return rows;
          }
        }
        return this.#isRunning() ? undefined : null;
      },
      hold: () => {
        this.#holder.hold();
      },
      release: () => {
        this.#holder.release();
      },
      forget: () => {
        this.#watches.delete(watching);
      },
    });
    const watching: Watching<Row> = { query, watch, dirty: first === undefined };
    this.#watches.add(watching);
    return watch;
  }

  /** Rows have changed: notes whose they are. */
  touch(changes: Array<Change<Row>>): void {
    for (const watching of this.#watches) {
      if (watching.dirty) continue;
      watching.dirty = changes.some(
        ({ key, before, after }) =>
          (before !== undefined && matches(this.#rows, watching.query, before, key)) ||
          (after !== undefined && matches(this.#rows, watching.query, after, key)),
      );
    }
  }

  /** Wakes those whose rows have changed. */
  tell(): void {
    for (const { watch, dirty } of this.#watches) if (dirty) watch.wake();
  }

  /** Wakes all: the fold has stopped. */
  stop(): void {
    for (const { watch } of this.#watches) watch.wake();
  }
}
