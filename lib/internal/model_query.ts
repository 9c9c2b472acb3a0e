// Queries over the rows of a user's model.

import type { Entry, IndexValue, IndexedRows, ModelKey } from './model_rows';
import * as validate from './validate';

/** Conditions on rows, all of which hold. */
export interface ModelQuery<Row, IndexName extends string = string> {
  /** Values under which the indexes have the row. */
  by?: Readonly<Partial<Record<IndexName, IndexValue>>>;
  /** Looked at row by row. */
  where?: (row: Row, key: ModelKey) => boolean;
  /** What to order by; rows that are equal in it, and all without it, come as their keys came. */
  orderBy?: (row: Row) => string | number | bigint;
  descending?: boolean;
  /** At most so many, the first in order. */
  limit?: number;
}

/** The query, checked against the indexes that there are. */
export function checkQuery<Row>(
  rows: IndexedRows<Row>,
  query: ModelQuery<Row> | null | undefined,
): ModelQuery<Row> {
  if (query === undefined || query === null) return {};
  const { by, where, orderBy, descending, limit } = validate.object(query, 'query');
  for (const name of Object.keys(by === undefined ? {} : validate.object(by, 'by'))) {
    if (!rows.hasIndex(name)) {
      const known = rows.indexNames().join(', ');
      throw validate.invalid(`by.${name} is no index; there are: ${known || 'none'}`);
    }
  }
  for (const [name, value] of Object.entries({ where, orderBy })) {
    if (value !== undefined && typeof value !== 'function') {
      throw validate.invalid(`${name} must be a function; got ${validate.describe(value)}`);
    }
  }
  if (descending !== undefined) validate.boolean(descending, 'descending');
  if (limit !== undefined) validate.u32(limit, 'limit');
  return query;
}

/** Whether a row belongs to a query, whatever its limit. */
export function matches<Row>(
  rows: IndexedRows<Row>,
  { by, where }: ModelQuery<Row>,
  row: Row,
  key: ModelKey,
): boolean {
  for (const [name, value] of Object.entries(by ?? {})) {
    if (value !== undefined && !rows.matches(name, value, row)) return false;
  }
  return where === undefined || where(row, key);
}

/** The rows of a query, found through the index that has the fewest. */
export function select<Row>(rows: IndexedRows<Row>, query: ModelQuery<Row>): Row[] {
  const { by, orderBy, descending = false, limit = Infinity } = query;
  let candidates: ReadonlySet<Entry<Row>> | undefined;
  for (const [name, value] of Object.entries(by ?? {})) {
    if (value === undefined) continue;
    const posting = rows.under(name, value);
    if (candidates === undefined || posting.size < candidates.size) candidates = posting;
  }
  const found: Array<Entry<Row>> = [];
  const inOrder = candidates === undefined && orderBy === undefined && !descending;
  for (const entry of candidates ?? rows.all()) {
    if (inOrder && found.length >= limit) break;
    if (matches(rows, query, entry.row, entry.key)) found.push(entry);
  }
  if (!inOrder) sortEntries(found, orderBy, descending);
  return found.slice(0, limit).map(({ row }) => row);
}

function sortEntries<Row>(
  entries: Array<Entry<Row>>,
  orderBy: ((row: Row) => string | number | bigint) | undefined,
  descending: boolean,
): void {
  const sign = descending ? -1 : 1;
  if (orderBy === undefined) {
    entries.sort((a, b) => sign * (a.ordinal - b.ordinal));
    return;
  }
  const keys = new Map(entries.map((entry) => [entry, orderBy(entry.row)]));
  entries.sort((a, b) => {
    const x = keys.get(a) as string | number | bigint;
    const y = keys.get(b) as string | number | bigint;
    if (x === y) return a.ordinal - b.ordinal;
    return x < y ? -sign : sign;
  });
}
