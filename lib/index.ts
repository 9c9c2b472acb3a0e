/**
 * netmesh: an encrypted, brokerless mesh for Node.js.
 *
 * @packageDocumentation
 */

export { MeshNode } from './mesh';
export { EventStream, NetNode, TypedChannel, TypedEventStream } from './node';
export { RedisStreamDedup } from './redis-dedup';
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
} from './core/errors';
export type { AdapterErrorKind, NetmeshErrorCode } from './core/errors';
export type { DuplexOptions, MeshDuplex, MeshMessage, MessageIterator } from './stream';
export type * from './types';
