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
  ShutDownError,
} from './errors';
export type { NetmeshErrorCode } from './errors';
export type { MeshOptions, StoredEvent } from '../types';
