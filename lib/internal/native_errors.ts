// Errors of the addon, which are plain, as the classes of `netmesh/errors`.

import {
  BackpressureError,
  BusError,
  CapabilityError,
  ChannelAuthError,
  ChannelError,
  ConnectionError,
  CortexError,
  ERROR_TABLE,
  EventTooLargeError,
  IdentityError,
  InvalidArgumentError,
  NetDbError,
  type NetmeshErrorCode,
  NotConnectedError,
  RedexError,
  ShutDownError,
  TokenError,
  tokenErrorKind,
} from '../core/errors';
import * as validate from './validate';

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

/** {@link classify}, for calls that leave the check of their arguments to the addon. */
export function classifyArguments(error: unknown): unknown {
  if (!(error instanceof Error) && !isForeignError(error)) return error;
  const { code } = error as { code?: unknown };
  return code === 'ERR_INVALID_ARG_TYPE' || code === 'ERR_OUT_OF_RANGE'
    ? new InvalidArgumentError(error.message)
    : classify(error);
}

/**
 * The error of a call that left the check of its arguments to the addon: which argument is wrong, when
 * one is, else what the addon says.
 */
export function explain(
  error: unknown,
  numbers: Record<string, unknown>,
  strings: Record<string, unknown> = {},
  lists: Record<string, unknown> = {},
): unknown {
  try {
    for (const [name, value] of Object.entries(numbers)) validate.u64OrInteger(value, name);
    for (const [name, value] of Object.entries(strings)) validate.string(value, name);
    for (const [name, value] of Object.entries(lists)) validate.strings(value, name);
  } catch (invalid) {
    return invalid;
  }
  return classifyArguments(error);
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

/** A failure of a log's method, as a `RedexError` with the documented context before its text. */
export function redexError(context: string, error: unknown): unknown {
  if (!(error instanceof Error) && !isForeignError(error)) return error;
  const code = codeOf(error);
  if (error instanceof RedexError || !code?.startsWith('ERR_NETMESH_REDEX')) return error;
  // A bad name is one wherever it is used.
  const named = error.message.startsWith('invalid channel name: ');
  return new RedexError(`redex: ${named ? '' : `${context}: `}${error.message}`, code);
}

function rebuild(error: Error, message: string): Error {
  if (message.startsWith('stream would block')) return new BackpressureError(message);
  if (message.startsWith('stream not connected')) return new NotConnectedError(message);
  const code = codeOf(error);
  switch (code) {
    case 'ERR_NETMESH_INVALID_ARGUMENT':
      return new InvalidArgumentError(message);
    case 'ERR_NETMESH_IDENTITY':
      return new IdentityError(message.replace(/^identity:/u, '').trim());
    case 'ERR_NETMESH_TOKEN':
      return new TokenError(tokenErrorKind(message), message);
    case 'ERR_NETMESH_CAPABILITY':
      return new CapabilityError(message);
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
    case 'ERR_NETMESH_REDEX':
    case 'ERR_NETMESH_REDEX_CLOSED':
    case 'ERR_NETMESH_REDEX_TOO_LARGE':
    case 'ERR_NETMESH_REDEX_LAGGED':
    case 'ERR_NETMESH_REDEX_IO':
    case 'ERR_NETMESH_REDEX_IN_USE':
      return new RedexError(message, code);
    case 'ERR_NETMESH_CORTEX':
      return new CortexError(message);
    case 'ERR_NETMESH_NETDB':
      return new NetDbError(message);
    case 'ERR_NETMESH_ADAPTER':
    case 'ERR_NETMESH_ADDON':
    case undefined:
      return error;
  }
}

/** Runs a call into the addon, with its errors as classes. */
export function calling<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw classify(error);
  }
}

/** An `Error` of another realm: a `vm` context has classes of its own, the addon does not. */
function isForeignError(value: unknown): value is Error {
  return Object.prototype.toString.call(value) === '[object Error]';
}
