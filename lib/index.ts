/**
 * netmesh: an encrypted, brokerless mesh for Node.js.
 *
 * @packageDocumentation
 */

export { MeshNode } from './mesh';
export type { ChannelSubscription } from './mesh';
export { EventStream, NetNode, TypedChannel, TypedEventStream } from './node';
export { RedisStreamDedup } from './redis-dedup';
export * from './capability-enhancements';
export * from './capability-schema';
export { Identity, Token, TokenChain, channelHash, delegateToken } from './identity';
export type { IssueTokenOptions, TokenChainQuestion, TokenScope } from './identity';
export {
  SCOPE_REGION_PREFIX,
  SCOPE_SUBNET_LOCAL,
  SCOPE_TENANT_PREFIX,
  withRegionScope,
  withSubnetLocalScope,
  withTenantScope,
} from './capabilities';
export type {
  Accelerator,
  AcceleratorKind,
  AggregateRow,
  Aggregation,
  CapabilityFilter,
  CapabilityLimits,
  CapabilityRequirement,
  CapabilitySet,
  CapacityQuery,
  CapacityRow,
  GpuInfo,
  GpuVendor,
  GroupBy,
  Hardware,
  Modality,
  ModelCapability,
  ScopeFilter,
  Software,
  SoftwarePair,
  TagMatcher,
  ToolCapability,
} from './capabilities';
export {
  GLOBAL_SUBNET,
  formatSubnet,
  isSubnetAncestor,
  sameSubnet,
  subnetDepth,
  subnetId,
  subnetOfTags,
  subnetParent,
} from './subnets';
export {
  AdapterError,
  AddonError,
  BackpressureError,
  BusError,
  CapabilityError,
  ChannelAuthError,
  ChannelError,
  ConnectionError,
  CortexError,
  EventTooLargeError,
  IdentityError,
  InvalidArgumentError,
  NetDbError,
  NotConnectedError,
  RedexError,
  ShutDownError,
  TokenError,
} from './core/errors';
export {
  MemoriesAdapter,
  MemoriesOrderBy,
  NetDb,
  Redex,
  RedexFile,
  TaskStatus,
  TasksAdapter,
  TasksOrderBy,
  WriteToken,
  defineModel,
  event,
  rowsOf,
} from './cortex';
export type {
  AdapterOptions,
  CortexSnapshot,
  FoldProgress,
  Memory,
  MemoryFilter,
  NetDbBundle,
  NetDbOpenConfig,
  RedexEvent,
  RedexFileConfig,
  RedexFileStats,
  RedexOptions,
  RedexTailOptions,
  SnapshotAndWatch,
  Task,
  TaskFilter,
} from './cortex';
export type { AdapterErrorKind, NetmeshErrorCode, TokenErrorKind } from './core/errors';
export type { DuplexOptions, MeshDuplex, MeshMessage, MessageIterator } from './stream';
export type * from './types';
