/**
 * Tags, predicates, differences and placement of capabilities. Pure TypeScript: nothing here loads the
 * addon. See docs/capability-enhancements.md.
 *
 * @packageDocumentation
 */

export {
  RESERVED_PREFIXES,
  TAXONOMY_AXES,
  startsWithReservedPrefix,
  tagFromString,
  tagFromUserString,
  tagKey,
  tagToString,
} from './internal/capability/taxonomy';
export type {
  AxisPresentTag,
  AxisSeparator,
  AxisValueTag,
  LegacyTag,
  ReservedTag,
  Tag,
  TagKey,
  TaxonomyAxis,
} from './internal/capability/taxonomy';
export {
  emptyCapabilities,
  requireAxisValue,
  requireTag,
  withMetadata,
} from './internal/capability/capability_set';
export type { CapabilitySetWire } from './internal/capability/capability_set';
export { p } from './internal/capability/predicate';
export type { Predicate } from './internal/capability/predicate';
export { predicateFromWire, predicateToWire } from './internal/capability/predicate_wire';
export type { PredicateNode, PredicateWire } from './internal/capability/predicate_wire';
export {
  RPC_WHERE_HEADER,
  predicateFromRpcHeader,
  predicateFromRpcHeaders,
  predicateToRpcHeader,
  whereHeader,
} from './internal/capability/predicate_header';
export { evaluatePredicate, filterByPredicate } from './internal/capability/evaluate';
export type { EvalContextWire } from './internal/capability/evaluate';
export { evaluatePredicateWithTrace } from './internal/capability/trace';
export type { ClauseTrace } from './internal/capability/trace';
export {
  predicateDebugReport,
  predicateDebugReportFromWire,
  renderDebugReport,
} from './internal/capability/debug_report';
export type { ClauseStats, PredicateDebugReport } from './internal/capability/debug_report';
export { redactMetadataKeys } from './internal/capability/redaction';
export { applyCapabilityDiff, diffCapabilities } from './internal/capability/diff';
export type { CapabilitySetDiff, MetadataChange } from './internal/capability/diff';
export {
  StandardPlacementBuilder,
  placementFilterFromFn,
  standardPlacement,
} from './internal/capability/placement';
export type {
  PlacementCandidate,
  PlacementFilterFn,
  RegisteredPlacementFilter,
  StandardPlacement,
} from './internal/capability/placement';
