/**
 * The low-level surface: what `MeshNode` is built on.
 *
 * @packageDocumentation
 */

export { Net } from './net';
export type { IngestResult } from './net';
export { RedisStreamDedup } from '../redis-dedup';
export { NetMesh, NetStream, generateNetKeypair } from './net_mesh';
export type { NetStreamStats, StreamOptions } from './net_mesh';
export { normalizeGpuVendor } from './capabilities';
export {
  Identity,
  channelHash,
  delegateToken,
  parseToken,
  tokenIsExpired,
  verifyToken,
} from './identity';
export type { TokenInfo } from './identity';
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
} from './errors';
export { Redex, RedexFile, RedexTailIter } from './redex';
export type {
  RedexEventJs,
  RedexFileConfigJs,
  RedexFileStatsJs,
  ReplicationConfigJs,
} from './redex';
export { MemoriesAdapter, MemoriesSnapshotAndWatch, MemoryWatchIter } from './memories_adapter';
export { NetDb } from './netdb';
export { TaskWatchIter, TasksAdapter, TasksSnapshotAndWatch } from './tasks_adapter';
export { WriteToken } from './write_token';
export { MemoriesOrderBy, TaskStatus, TasksOrderBy } from '../internal/cortex_types';
export type {
  CortexSnapshot,
  FoldProgress,
  Memory,
  MemoryFilter,
  NetDbBundle,
  NetDbOpenConfig,
  Task,
  TaskFilter,
} from '../internal/cortex_types';
export type { AdapterErrorKind, NetmeshErrorCode } from './errors';
export type {
  BusStats,
  EventBusOptions,
  HashedEvent,
  JetStreamOptions,
  MeshOptions,
  NetOptions,
  PollOptions,
  PollResponse,
  RedisOptions,
  Stats,
  StoredEvent,
} from '../types';
