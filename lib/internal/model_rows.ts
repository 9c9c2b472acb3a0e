// The rows of a user's model: a map with indexes, changed by folds one event at a time.

/** What rows are found by. */
export type ModelKey = string | number | bigint;

/** Values under which an index has a row: one, several or none. */
export type IndexValue = ModelKey | boolean | null | undefined;
export type IndexFunction<Row> = (row: Row) => IndexValue | readonly IndexValue[];

type Values = readonly IndexValue[];

/** The rows of a model as its `fold` functions see them. */
export interface ModelRows<Row> {
  readonly size: number;
  get(key: ModelKey): Row | undefined;
  has(key: ModelKey): boolean;
  /** Puts a row in place of the one that was there. Rows are frozen: make a new one to change one. */
  set(key: ModelKey, row: Row): void;
  /** False when there was none. */
  delete(key: ModelKey): boolean;
  keys(): IterableIterator<ModelKey>;
  values(): IterableIterator<Row>;
  entries(): IterableIterator<[ModelKey, Row]>;
}

/** A row before and after an event; undefined: there was or is none. */
export interface Change<Row> {
  readonly key: ModelKey;
  readonly before: Row | undefined;
  readonly after: Row | undefined;
}

function valuesOf<Row>(index: IndexFunction<Row>, row: Row): Values {
  const value = index(row);
  return Array.isArray(value) ? (value as Values) : [value as IndexValue];
}

/** A row in its place: keys are ordered by when they came. */
export interface Entry<Row> {
  readonly key: ModelKey;
  readonly ordinal: number;
  row: Row;
}

interface Index<Row> {
  readonly of: IndexFunction<Row>;
  readonly postings: Map<IndexValue, Set<Entry<Row>>>;
}

/** Rows in the order in which their keys came. An event's changes are kept or undone as a whole. */
export class IndexedRows<Row> implements ModelRows<Row> {
  #entries = new Map<ModelKey, Entry<Row>>();
  readonly #indexes = new Map<string, Index<Row>>();
  #lastOrdinal = 0;
  /** With the entries that changed, since a deleted one keeps its place when it comes back. */
  #changes: Array<{ entry: Entry<Row>; change: Change<Row> }> = [];

  constructor(indexes: Readonly<Record<string, IndexFunction<Row>>>) {
    for (const [name, of] of Object.entries(indexes)) {
      this.#indexes.set(name, { of, postings: new Map() });
    }
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: ModelKey): Row | undefined {
    return this.#entries.get(key)?.row;
  }

  has(key: ModelKey): boolean {
    return this.#entries.has(key);
  }

  set(key: ModelKey, row: Row): void {
    if (!isKey(key)) throw new TypeError('a key must be a string, a number or a bigint');
    if (row === undefined) throw new TypeError('a row must not be undefined');
    // Evaluated first: what throws has changed nothing.
    const values = this.#valuesOf(row);
    if (typeof row === 'object' && row !== null) Object.freeze(row);
    const known = this.#entries.get(key);
    const before = known?.row;
    const entry = known ?? { key, ordinal: ++this.#lastOrdinal, row };
    if (known === undefined) this.#entries.set(key, entry);
    else this.#leave(known);
    entry.row = row;
    this.#enter(entry, values);
    this.#changes.push({ entry, change: { key, before, after: row } });
  }

  delete(key: ModelKey): boolean {
    const entry = this.#entries.get(key);
    if (entry === undefined) return false;
    this.#leave(entry);
    this.#entries.delete(key);
    this.#changes.push({ entry, change: { key, before: entry.row, after: undefined } });
    return true;
  }

  keys(): IterableIterator<ModelKey> {
    return this.#entries.keys();
  }

  *values(): IterableIterator<Row> {
    for (const { row } of this.#entries.values()) yield row;
  }

  *entries(): IterableIterator<[ModelKey, Row]> {
    for (const { key, row } of this.#entries.values()) yield [key, row];
  }

  hasIndex(name: string): boolean {
    return this.#indexes.has(name);
  }

  indexNames(): string[] {
    return [...this.#indexes.keys()];
  }

  /** Whether a row lies under a value of an index. */
  matches(name: string, value: IndexValue, row: Row): boolean {
    const index = this.#indexes.get(name);
    return index !== undefined && valuesOf(index.of, row).includes(value);
  }

  /** All entries, in order. */
  all(): Iterable<Entry<Row>> {
    return this.#entries.values();
  }

  /** The entries under a value of an index, in any order. */
  under(name: string, value: IndexValue): ReadonlySet<Entry<Row>> {
    return this.#indexes.get(name)?.postings.get(value) ?? new Set();
  }

  /** The changes since the last call, which stand from now on. */
  commit(): Array<Change<Row>> {
    const changes = this.#changes.map(({ change }) => change);
    this.#changes = [];
    return changes;
  }

  /** Takes the changes since the last `commit` back. */
  rollback(): void {
    const changes = this.#changes.reverse();
    this.#changes = [];
    for (const { entry, change } of changes) {
      if (change.after !== undefined) this.#leave(entry);
      if (change.before === undefined) {
        this.#entries.delete(entry.key);
      } else {
        entry.row = change.before;
        this.#entries.set(entry.key, entry);
        this.#enter(entry, this.#valuesOf(entry.row));
      }
    }
    if (changes.some(({ change }) => change.after === undefined)) {
      const ordered = [...this.#entries.values()].sort((a, b) => a.ordinal - b.ordinal);
      this.#entries = new Map(ordered.map((entry) => [entry.key, entry]));
    }
  }

  #valuesOf(row: Row): Values[] {
    return [...this.#indexes.values()].map((index) => valuesOf(index.of, row));
  }

  #enter(entry: Entry<Row>, values: Values[]): void {
    let at = 0;
    for (const { postings } of this.#indexes.values()) {
      for (const value of values[at++] ?? []) {
        if (value === undefined || value === null) continue;
        const posting = postings.get(value);
        if (posting === undefined) postings.set(value, new Set([entry]));
        else posting.add(entry);
      }
    }
  }

  #leave(entry: Entry<Row>): void {
    let at = 0;
    const values = this.#valuesOf(entry.row);
    for (const { postings } of this.#indexes.values()) {
      for (const value of values[at++] ?? []) {
        const posting = postings.get(value);
        posting?.delete(entry);
        if (posting?.size === 0) postings.delete(value);
      }
    }
  }
}

export function isKey(key: unknown): key is ModelKey {
  return typeof key === 'string' || typeof key === 'number' || typeof key === 'bigint';
}
