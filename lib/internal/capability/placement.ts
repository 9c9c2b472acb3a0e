// Where something may be placed: what a node must have, and filters written in JavaScript.

import { describe, invalid } from '../validate';
import type { Predicate } from './predicate';
import { checkFinite, predicateFromWire, predicateToWire } from './predicate_wire';
import type { PredicateWire } from './predicate_wire';
import { isAxis, TAXONOMY_AXES, type AxisSeparator, type TaxonomyAxis } from './taxonomy';

/** What a node must have to be considered; made by {@link standardPlacement}. */
export interface StandardPlacement {
  /** Tags that it must have. */
  requireTags?: string[];
  /** Tags that it must not have. */
  forbidTags?: string[];
  /** Metadata that it must have, with these values. */
  requireMetadata?: Record<string, string>;
  /** What must hold of it. */
  predicate?: PredicateWire;
  /** How many of the best are wanted. */
  limit?: number;
  /** The id of a registered {@link PlacementFilterFn}. */
  customFilterId?: string;
}

/** A node that something may be placed on. */
export interface PlacementCandidate {
  nodeId: bigint;
  tags: string[];
  metadata: Record<string, string>;
}

/** Whether a node may be used. An exception counts as no. */
export type PlacementFilterFn = (candidate: PlacementCandidate) => boolean;

/** A filter with the id under which it is registered. */
export interface RegisteredPlacementFilter {
  id: string;
  fn: PlacementFilterFn;
}

function checkTagParts(what: string, axis: TaxonomyAxis, key: string): void {
  if (!isAxis(axis)) {
    throw invalid(
      `${what}: axis must be one of ${TAXONOMY_AXES.join(', ')}; got ${describe(axis)}`,
    );
  }
  if (typeof key !== 'string' || key === '') throw invalid(`${what}: key must be non-empty`);
}

function checkText(what: string, value: unknown): void {
  if (typeof value !== 'string') throw invalid(`${what} must be a string; got ${describe(value)}`);
}

function isWire(value: unknown): value is PredicateWire {
  const wire = value as { nodes?: unknown; root_idx?: unknown } | null;
  return Array.isArray(wire?.nodes) && typeof wire.root_idx === 'number';
}

/** Collects what a node must have; see {@link standardPlacement}. */
export class StandardPlacementBuilder {
  #requireTags: string[] | undefined;
  #forbidTags: string[] | undefined;
  #requireMetadata: Record<string, string> | undefined;
  #predicate: PredicateWire | undefined;
  #limit: number | undefined;
  #customFilterId: string | undefined;

  /** The node has the tag `<axis>.<key>`. */
  requireTag(axis: TaxonomyAxis, key: string): this {
    checkTagParts('StandardPlacementBuilder.requireTag', axis, key);
    this.#requireTags = [...(this.#requireTags ?? []), `${axis}.${key}`];
    return this;
  }

  /** The node has the tag `<axis>.<key><separator><value>`. */
  requireAxisValue(
    axis: TaxonomyAxis,
    key: string,
    value: string,
    separator: AxisSeparator = '=',
  ): this {
    checkTagParts('StandardPlacementBuilder.requireAxisValue', axis, key);
    checkText('StandardPlacementBuilder.requireAxisValue: value', value);
    this.#requireTags = [...(this.#requireTags ?? []), `${axis}.${key}${separator}${value}`];
    return this;
  }

  /** The node does not have the tag `<axis>.<key>`. */
  forbidTag(axis: TaxonomyAxis, key: string): this {
    checkTagParts('StandardPlacementBuilder.forbidTag', axis, key);
    this.#forbidTags = [...(this.#forbidTags ?? []), `${axis}.${key}`];
    return this;
  }

  /** The node has this metadata. */
  requireMetadata(key: string, value: string): this {
    checkText('StandardPlacementBuilder.requireMetadata: key', key);
    checkText('StandardPlacementBuilder.requireMetadata: value', value);
    this.#requireMetadata = { ...this.#requireMetadata, [key]: value };
    return this;
  }

  /**
   * The predicate holds of the node; takes the place of an earlier one.
   *
   * @throws InvalidArgumentError for what {@link predicateToWire} refuses, and for thresholds that are
   * not finite.
   */
  withPredicate(pred: Predicate | PredicateWire): this {
    const wire = isWire(pred) ? pred : predicateToWire(pred);
    if (wire === pred) predicateFromWire(wire);
    checkFinite(wire);
    this.#predicate = wire;
    return this;
  }

  /** Only the best `n` nodes are wanted; fractions are cut off. */
  withLimit(n: number): this {
    if (typeof n !== 'number' || !Number.isFinite(n) || n < 0) {
      throw invalid('StandardPlacementBuilder.withLimit: n must be non-negative finite');
    }
    this.#limit = Math.floor(n);
    return this;
  }

  /** The filter registered under `id` agrees. */
  withCustomFilterId(id: string): this {
    if (typeof id !== 'string' || id === '') {
      throw invalid('StandardPlacementBuilder.withCustomFilterId: id must be non-empty');
    }
    this.#customFilterId = id;
    return this;
  }

  /** What has been collected so far, for good: later calls do not change it. */
  build(): StandardPlacement {
    return Object.freeze({
      requireTags: this.#requireTags && [...this.#requireTags],
      forbidTags: this.#forbidTags && [...this.#forbidTags],
      requireMetadata: this.#requireMetadata && { ...this.#requireMetadata },
      predicate: this.#predicate,
      ...(this.#limit !== undefined && { limit: this.#limit }),
      ...(this.#customFilterId !== undefined && { customFilterId: this.#customFilterId }),
    });
  }
}

/** Begins to say what a node must have: `standardPlacement().requireTag('hardware', 'gpu').build()`. */
export function standardPlacement(): StandardPlacementBuilder {
  return new StandardPlacementBuilder();
}

let filtersNamed = 0;

/**
 * A filter with an id: `explicitId`, else `pf-1`, `pf-2` and so on.
 *
 * @throws InvalidArgumentError when `fn` is no function or `explicitId` is empty.
 */
export function placementFilterFromFn(
  fn: PlacementFilterFn,
  explicitId?: string,
): RegisteredPlacementFilter {
  if (typeof fn !== 'function') {
    throw invalid(`placementFilterFromFn: fn must be a function; got ${describe(fn)}`);
  }
  if (explicitId !== undefined && (typeof explicitId !== 'string' || explicitId === '')) {
    throw invalid(
      `placementFilterFromFn: explicitId must be a non-empty string; got ${describe(explicitId)}`,
    );
  }
  return { id: explicitId ?? `pf-${++filtersNamed}`, fn };
}
