// A predicate as a flat table, children before parents. A tree may be arbitrarily deep and may use one
// object in many places; the table holds each object once, and nothing here recurses.

import { describe, invalid } from '../validate';
import type { Predicate, PredicateLeaf } from './predicate';
import { LEAF_SHAPES, MAX_COST, MAX_PREDICATE_NODES } from './predicate_shape';
import { checkLeafFields, isLeafType } from './predicate_shape';

/** A row of a {@link PredicateTable}. */
export interface PredicateRow {
  /** The composite that it is, or undefined for a leaf. */
  readonly composite: 'and' | 'or' | 'not' | undefined;
  readonly node: Predicate;
  /** Rows of the children, as declared; each is smaller than this row's own index. */
  readonly children: readonly number[];
  /** The same, cheapest first; equal costs stay in the order in which they were declared. */
  readonly byCost: readonly number[];
  readonly cost: number;
}

/** The last row is the whole predicate. */
export type PredicateTable = readonly PredicateRow[];

const NO_CHILDREN: readonly number[] = [];

/** The children of a node; checks the node. */
function checkedChildren(node: unknown): readonly Predicate[] {
  if (typeof node !== 'object' || node === null) {
    throw invalid(`predicate must be an object that p builds; got ${describe(node)}`);
  }
  const { type, children, child } = node as { type?: unknown; children?: unknown; child?: unknown };
  if (type === 'not') return [child as Predicate];
  if (type === 'and' || type === 'or') {
    if (!Array.isArray(children)) {
      throw invalid(`predicate ${type}: children must be an array; got ${describe(children)}`);
    }
    return children as Predicate[];
  }
  if (!isLeafType(type)) throw invalid(`predicate has no type ${describe(type)}`);
  checkLeafFields(type, node as Record<string, unknown>, `predicate ${type}`);
  return [];
}

function makeRow(
  node: Predicate,
  children: readonly number[],
  table: PredicateTable,
): PredicateRow {
  if (node.type !== 'and' && node.type !== 'or' && node.type !== 'not') {
    const cost = LEAF_SHAPES[node.type].cost;
    return { composite: undefined, node, children: NO_CHILDREN, byCost: NO_CHILDREN, cost };
  }
  const costOf = (index: number): number => table[index]?.cost ?? 0;
  const byCost =
    children.length > 1 ? [...children].sort((a, b) => costOf(a) - costOf(b)) : children;
  const cost = Math.min(
    MAX_COST,
    children.reduce((sum, index) => sum + costOf(index), 0),
  );
  return { composite: node.type, node, children, byCost, cost };
}

/**
 * Flattens and checks a predicate.
 *
 * @throws InvalidArgumentError for a node of an unknown type or with wrong fields, a predicate that
 * contains itself, or one of more than {@link MAX_PREDICATE_NODES} nodes.
 */
export function tableOf(predicate: Predicate): PredicateTable {
  const table: PredicateRow[] = [];
  /** The row of every node that is done; -1 while its children are being done. */
  const rowOf = new Map<Predicate, number>();
  interface Visit {
    node: Predicate;
    children: readonly Predicate[];
    rows: number[];
  }
  const path: Visit[] = [];
  const enter = (node: Predicate): void => {
    if (rowOf.size >= MAX_PREDICATE_NODES) {
      throw invalid(`predicate has more than ${MAX_PREDICATE_NODES} nodes`);
    }
    const children = checkedChildren(node);
    if (children.length > MAX_PREDICATE_NODES) {
      throw invalid(`predicate has more than ${MAX_PREDICATE_NODES} nodes`);
    }
    rowOf.set(node, -1);
    path.push({ node, children, rows: [] });
  };

  enter(predicate);
  for (let visit = path.at(-1); visit !== undefined; visit = path.at(-1)) {
    const { node, children, rows } = visit;
    if (rows.length === children.length) {
      rowOf.set(node, table.length);
      table.push(makeRow(node, rows, table));
      path.pop();
      continue;
    }
    const child = children[rows.length] as Predicate;
    const row = rowOf.get(child);
    if (row === undefined) enter(child);
    else if (row < 0) throw invalid('predicate is cyclic: it contains itself');
    else rows.push(row);
  }
  return table;
}

/** The leaf of a row that is one. */
export function leafOf(row: PredicateRow): PredicateLeaf {
  return row.node as PredicateLeaf;
}
