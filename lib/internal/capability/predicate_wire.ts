// The flat form of a predicate that travels.

import { describe, invalid } from '../validate';
import type { Predicate, PredicateLeaf } from './predicate';
import {
  LEAF_SHAPES,
  LEAF_TYPE_OF_KIND,
  MAX_PREDICATE_NODES,
  checkLeafFields,
} from './predicate_shape';
import { type PredicateTable, leafOf, tableOf } from './predicate_table';
import { isAxis, TAXONOMY_AXES, type TagKey } from './taxonomy';

/** A node of a {@link PredicateWire}; children are indices into its table. */
export type PredicateNode =
  | { kind: 'exists'; key: TagKey }
  | { kind: 'equals'; key: TagKey; value: string }
  | { kind: 'numeric_at_least'; key: TagKey; threshold: number }
  | { kind: 'numeric_at_most'; key: TagKey; threshold: number }
  | { kind: 'numeric_in_range'; key: TagKey; min: number; max: number }
  | { kind: 'semver_at_least'; key: TagKey; version: string }
  | { kind: 'semver_at_most'; key: TagKey; version: string }
  | { kind: 'semver_compatible'; key: TagKey; version: string }
  | { kind: 'string_prefix'; key: TagKey; prefix: string }
  | { kind: 'string_matches'; key: TagKey; pattern: string }
  | { kind: 'metadata_exists'; key: string }
  | { kind: 'metadata_equals'; key: string; value: string }
  | { kind: 'metadata_matches'; key: string; pattern: string }
  | { kind: 'metadata_numeric_at_least'; key: string; threshold: number }
  | { kind: 'and'; children: number[] }
  | { kind: 'or'; children: number[] }
  | { kind: 'not'; child: number };

/** A predicate as a table in which children come before their parents. */
export interface PredicateWire {
  nodes: PredicateNode[];
  root_idx: number;
}

type Fields = Readonly<Record<string, unknown>>;

function leafToWire(leaf: PredicateLeaf): PredicateNode {
  const { kind, fields } = LEAF_SHAPES[leaf.type];
  const node: Record<string, unknown> = { kind };
  for (const [name] of fields) node[name] = (leaf as unknown as Fields)[name];
  return node as PredicateNode;
}

/** How many nodes a table stands for when each use of a row is counted; saturates above the limit. */
function expandedSize(table: PredicateTable): number {
  const sizes: number[] = [];
  for (const { children } of table) {
    let size = 1;
    for (const child of children) size += sizes[child] ?? 0;
    sizes.push(Math.min(size, MAX_PREDICATE_NODES + 1));
  }
  return sizes.at(-1) ?? 0;
}

/**
 * The wire form of a predicate. One that is used in several places is written in each.
 *
 * @throws InvalidArgumentError for what {@link evaluatePredicate} refuses, and for a predicate that is
 * more than 65 536 nodes when written out.
 */
export function predicateToWire(pred: Predicate): PredicateWire {
  const table = tableOf(pred);
  if (expandedSize(table) > MAX_PREDICATE_NODES) {
    throw invalid(`predicate has more than ${MAX_PREDICATE_NODES} nodes when it is written out`);
  }
  const nodes: PredicateNode[] = [];
  const path: Array<{ row: number; emitted: number[] }> = [{ row: table.length - 1, emitted: [] }];
  for (let visit = path.at(-1); visit !== undefined; visit = path.at(-1)) {
    const row = table[visit.row];
    if (row === undefined) break;
    const next = row.children[visit.emitted.length];
    if (next !== undefined) {
      path.push({ row: next, emitted: [] });
      continue;
    }
    const { composite } = row;
    if (composite === undefined) nodes.push(leafToWire(leafOf(row)));
    else if (composite === 'not') nodes.push({ kind: 'not', child: visit.emitted[0] ?? 0 });
    else nodes.push({ kind: composite, children: visit.emitted });
    path.pop();
    path.at(-1)?.emitted.push(nodes.length - 1);
  }
  return { nodes, root_idx: nodes.length - 1 };
}

function checkIndex(child: unknown, self: number): number {
  if (typeof child !== 'number' || !Number.isInteger(child) || child < 0 || child >= self) {
    const shown = typeof child === 'number' ? String(child) : describe(child);
    throw invalid(`predicateFromWire: child index ${shown} not strictly less than self ${self}`);
  }
  return child;
}

function nodeFromWire(node: unknown, self: number, done: readonly Predicate[]): Predicate {
  const where = `predicateFromWire: node ${self}`;
  if (typeof node !== 'object' || node === null) {
    throw invalid(`${where} must be an object; got ${describe(node)}`);
  }
  const fields = node as Fields;
  const { kind } = fields;
  const childAt = (child: unknown): Predicate => done[checkIndex(child, self)] as Predicate;
  if (kind === 'and' || kind === 'or') {
    if (!Array.isArray(fields.children)) {
      throw invalid(`${where} (${kind}): children must be an array of indices`);
    }
    return { type: kind, children: fields.children.map(childAt) };
  }
  if (kind === 'not') return { type: 'not', child: childAt(fields.child) };

  const type = LEAF_TYPE_OF_KIND.get(kind as string);
  if (type === undefined) throw invalid(`${where} has the unknown kind ${describe(kind)}`);
  checkLeafFields(type, fields, `${where} (${String(kind)})`);
  const leaf: Record<string, unknown> = { type };
  for (const [name, fieldType] of LEAF_SHAPES[type].fields) {
    leaf[name] = fields[name];
    if (fieldType === 'tagKey' && !isAxis((fields[name] as TagKey).axis)) {
      const axis = describe((fields[name] as TagKey).axis);
      throw invalid(`${where} has the unknown axis ${axis}; axes are ${TAXONOMY_AXES.join(', ')}`);
    }
  }
  return leaf as unknown as Predicate;
}

/**
 * The predicate of a wire form. A node that several parents name becomes one object in several places,
 * so that a small table never grows into a large tree. Fields that are not known are ignored.
 *
 * @throws InvalidArgumentError when the table is malformed in any place, also where nothing leads.
 */
export function predicateFromWire(wire: PredicateWire): Predicate {
  const { nodes, root_idx: root } = (wire ?? {}) as { nodes?: unknown; root_idx?: unknown };
  if (!Array.isArray(nodes)) {
    throw invalid(`predicateFromWire: nodes must be an array; got ${describe(nodes)}`);
  }
  if (nodes.length > MAX_PREDICATE_NODES) {
    throw invalid(`predicateFromWire: more than ${MAX_PREDICATE_NODES} nodes`);
  }
  if (typeof root !== 'number' || !Number.isInteger(root) || root < 0 || root >= nodes.length) {
    const shown = typeof root === 'number' ? String(root) : describe(root);
    throw invalid(`predicateFromWire: root_idx ${shown} out of range [0, ${nodes.length})`);
  }
  const done: Predicate[] = [];
  for (const node of nodes as unknown[]) done.push(nodeFromWire(node, done.length, done));
  return done[root] as Predicate;
}

/** Throws unless every number of a wire form survives JSON, which knows neither NaN nor infinities. */
export function checkFinite(wire: PredicateWire): void {
  wire.nodes.forEach((node, index) => {
    for (const name of ['threshold', 'min', 'max'] as const) {
      const value = (node as unknown as Fields)[name];
      if (typeof value === 'number' && !Number.isFinite(value)) {
        throw invalid(
          `predicate node ${index} (${node.kind}): ${name} must be finite; got ${value}`,
        );
      }
    }
  });
}
