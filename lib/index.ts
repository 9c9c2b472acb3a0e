/**
 * netmesh: an encrypted, brokerless mesh for Node.js.
 *
 * @packageDocumentation
 */

export { MeshNode } from './mesh';
export { EventStream, NetNode, TypedChannel, TypedEventStream } from './node';
export { RedisStreamDedup } from './redis-dedup';
export * from './capability-enhancements';
export * from './capability-schema';
export {
  AdapterError,
  AddonError,
  BackpressureError,
  BusError,
  ChannelAuthError,
  ChannelError,
  ConnectionError,
  CortexError,
  EventTooLargeError,
  InvalidArgumentError,
  NetDbError,
  NotConnectedError,
  RedexError,
  ShutDownError,
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
export type { AdapterErrorKind, NetmeshErrorCode } from './core/errors';
export type { DuplexOptions, MeshDuplex, MeshMessage, MessageIterator } from './stream';
export type * from './types';
