// What a node announces and asks of its capability index: checks before the addon is called.

import {
  capabilityFilterToNapi,
  capabilityRequirementToNapi,
  capabilitySetToNapi,
  scopeFilterToNapi,
} from '../capabilities';
import type {
  AggregateRow,
  Aggregation,
  CapabilityFilter,
  CapabilityRequirement,
  CapabilitySet,
  CapacityQuery,
  CapacityRow,
  GroupBy,
  ScopeFilter,
  TagMatcher,
} from '../capabilities';
import { CapabilityError } from '../core/errors';
import type { AnnounceOptions, AnnouncedCapabilities, RttEntry, SubnetId } from '../types';
import { show } from './capability_checks';
import { classify } from './native_errors';
import type { Node } from './node';
import * as validate from './validate';

const MAX_TTL_SECONDS = 0xffff_ffff;

function call<T>(run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw classify(error);
  }
}

export function announce(node: Node, caps: CapabilitySet, options?: AnnounceOptions): void {
  const { native } = node;
  const set = capabilitySetToNapi(caps);
  const { ttlSeconds, sign = true } = validate.optionsObject(options, 'options');
  if (ttlSeconds !== undefined) validate.integer(ttlSeconds, 'ttlSeconds', 0, MAX_TTL_SECONDS);
  validate.boolean(sign, 'sign');
  call(() => {
    native.announce(set, ttlSeconds, sign);
  });
}

export function findNodes(node: Node, filter: CapabilityFilter, scope?: ScopeFilter): bigint[] {
  const { native } = node;
  const asked = capabilityFilterToNapi(filter);
  const within = scope === undefined ? undefined : scopeFilterToNapi(scope);
  return bigints(call(() => native.findNodes(asked, within)));
}

/** A plain array. `Array.from` would go through an iterator, at thrice the time. */
function bigints(ids: BigUint64Array): bigint[] {
  const { length } = ids;
  const out = new Array<bigint>(length);
  for (let at = 0; at < length; at++) out[at] = ids[at] as bigint;
  return out;
}

export function findBestNode(
  node: Node,
  requirement: CapabilityRequirement,
  scope?: ScopeFilter,
): bigint | null {
  const { native } = node;
  const asked = capabilityRequirementToNapi(requirement);
  const within = scope === undefined ? undefined : scopeFilterToNapi(scope);
  return call(() => native.findBestNode(asked, within));
}

function query(value: unknown, name: string): object {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value;
  throw new CapabilityError(`capability: ${name} must be an object, got ${show(value)}`);
}

export function aggregate(
  node: Node,
  matcher: TagMatcher | undefined | null,
  groupBy: GroupBy,
  aggregation: Aggregation,
): AggregateRow[] {
  const { native } = node;
  const chosen = matcher === undefined || matcher === null ? undefined : query(matcher, 'matcher');
  query(groupBy, 'groupBy');
  query(aggregation, 'aggregation');
  return call(() => native.capabilityAggregate(chosen, groupBy, aggregation));
}

export function capacityRanking(
  node: Node,
  asked: CapacityQuery,
  rtt?: readonly RttEntry[] | ((nodeId: bigint) => number | undefined),
): CapacityRow[] {
  const { native } = node;
  query(asked, 'query');
  if (rtt !== undefined && typeof rtt !== 'function' && !Array.isArray(rtt)) {
    throw new CapabilityError(
      `capability: rttEntries must be an array or a function, got ${show(rtt)}`,
    );
  }
  return call(() => {
    const entries = typeof rtt === 'function' ? measured(native.findNodes({}), rtt) : rtt;
    return native.capabilityCapacityRanking(asked, entries);
  });
}

function measured(
  nodes: BigUint64Array,
  rttOf: (nodeId: bigint) => number | undefined,
): RttEntry[] {
  const entries: RttEntry[] = [];
  for (const nodeId of nodes) {
    const rttMs = rttOf(nodeId);
    if (rttMs !== undefined) entries.push({ nodeId, rttMs });
  }
  return entries;
}

export function capabilitiesOf(node: Node, nodeId: bigint): AnnouncedCapabilities | null {
  const { native } = node;
  return native.capabilitiesOf(validate.u64(nodeId, 'nodeId'));
}

export function subnetOf(node: Node, nodeId: bigint): SubnetId | null {
  const value = node.native.subnetOf(validate.u64(nodeId, 'nodeId'));
  if (value === null) return null;
  const levels = [24, 16, 8, 0].map((shift) => (value >>> shift) & 0xff);
  while (levels.length > 1 && levels[levels.length - 1] === 0) levels.pop();
  return { levels };
}
