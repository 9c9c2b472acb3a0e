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
export {
  AdapterError,
  AddonError,
  BackpressureError,
  BusError,
  ChannelAuthError,
  ChannelError,
  ConnectionError,
  EventTooLargeError,
  InvalidArgumentError,
  NotConnectedError,
  ShutDownError,
} from './errors';
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
