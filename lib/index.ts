/**
 * netmesh: an encrypted, brokerless mesh for Node.js.
 *
 * @packageDocumentation
 */

export { MeshNode } from './mesh';
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
} from './core/errors';
export { Redex, RedexFile } from './cortex';
export type {
  RedexEvent,
  RedexFileConfig,
  RedexFileStats,
  RedexOptions,
  RedexTailOptions,
} from './cortex';
export type { NetmeshErrorCode } from './core/errors';
export type { DuplexOptions, MeshDuplex, MeshMessage, MessageIterator } from './stream';
export type * from './types';
