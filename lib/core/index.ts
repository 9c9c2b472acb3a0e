/**
 * The low-level surface: what `MeshNode` is built on.
 *
 * @packageDocumentation
 */

export { NetMesh, NetStream, generateNetKeypair } from './net_mesh';
export type { NetStreamStats, StreamOptions } from './net_mesh';
export {
  AddonError,
  BackpressureError,
  ChannelAuthError,
  ChannelError,
  ConnectionError,
  EventTooLargeError,
  InvalidArgumentError,
  NotConnectedError,
  RedexError,
  ShutDownError,
} from './errors';
export { Redex, RedexFile, RedexTailIter } from './redex';
export type {
  RedexEventJs,
  RedexFileConfigJs,
  RedexFileStatsJs,
  ReplicationConfigJs,
} from './redex';
export { WriteToken } from './write_token';
export type { NetmeshErrorCode } from './errors';
export type { MeshOptions, StoredEvent } from '../types';
