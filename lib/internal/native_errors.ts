// Errors of the addon, which are plain, as the classes of `netmesh/errors`.

import {
  BackpressureError,
  BusError,
  ChannelAuthError,
  ChannelError,
  ConnectionError,
  ERROR_TABLE,
  EventTooLargeError,
  InvalidArgumentError,
  type NetmeshErrorCode,
  NotConnectedError,
  ShutDownError,
} from '../core/errors';

/** The code of an error that netmesh raised, else undefined. */
function codeOf(error: Error): NetmeshErrorCode | undefined {
  const code: unknown = (error as { code?: unknown }).code;
  return typeof code === 'string' && Object.hasOwn(ERROR_TABLE, code)
    ? (code as NetmeshErrorCode)
    : undefined;
}

/**
 * The class that an error of the addon stands for. An error that has no class here is returned as it
 * is, the same object.
 */
export function classify(error: unknown): unknown {
  return error instanceof Error || isForeignError(error) ? rebuild(error, error.message) : error;
}

/**
 * {@link classify}, with `prefix` before the message unless it is there already. Arguments that are
 * wrong by themselves keep their message.
 */
export function classifyWithPrefix(prefix: string, error: unknown): unknown {
  if (!(error instanceof Error) && !isForeignError(error)) return error;
  const { message } = error;
  const code = codeOf(error);
  const bare = code === 'ERR_NETMESH_INVALID_ARGUMENT' && !message.startsWith('connection error');
  if (bare || message.startsWith(prefix)) return rebuild(error, message);
  const rebuilt = rebuild(error, prefix + message);
  return rebuilt === error ? new ConnectionError(prefix + message, code) : rebuilt;
}

function rebuild(error: Error, message: string): Error {
  if (message.startsWith('stream would block')) return new BackpressureError(message);
  if (message.startsWith('stream not connected')) return new NotConnectedError(message);
  const code = codeOf(error);
  switch (code) {
    case 'ERR_NETMESH_INVALID_ARGUMENT':
      return new InvalidArgumentError(message);
    case 'ERR_NETMESH_BACKPRESSURE':
      return new BackpressureError(message);
    case 'ERR_NETMESH_NOT_CONNECTED':
    case 'ERR_NETMESH_CONNECTION':
    case 'ERR_NETMESH_FATAL':
      return new ConnectionError(message, code);
    case 'ERR_NETMESH_TOO_LARGE':
      return new EventTooLargeError(message);
    case 'ERR_NETMESH_SHUT_DOWN':
      return new ShutDownError(message);
    case 'ERR_NETMESH_BUS':
      return new BusError(message);
    case 'ERR_NETMESH_CHANNEL':
      return new ChannelError(message);
    case 'ERR_NETMESH_CHANNEL_UNAUTHORIZED':
      return new ChannelAuthError(message);
    case 'ERR_NETMESH_ADAPTER':
    case 'ERR_NETMESH_ADDON':
    case undefined:
      return error;
  }
}

/** An `Error` of another realm: a `vm` context has classes of its own, the addon does not. */
function isForeignError(value: unknown): value is Error {
  return Object.prototype.toString.call(value) === '[object Error]';
}
