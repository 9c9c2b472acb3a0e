/**
 * Every error that netmesh raises: its class, its stable `code` and the beginning of its message.
 *
 * @packageDocumentation
 */

/** What an error's `code` can be. */
export type NetmeshErrorCode =
  | 'ERR_NETMESH_INVALID_ARGUMENT'
  | 'ERR_NETMESH_IDENTITY'
  | 'ERR_NETMESH_TOKEN'
  | 'ERR_NETMESH_CAPABILITY'
  | 'ERR_NETMESH_BACKPRESSURE'
  | 'ERR_NETMESH_NOT_CONNECTED'
  | 'ERR_NETMESH_TOO_LARGE'
  | 'ERR_NETMESH_CONNECTION'
  | 'ERR_NETMESH_FATAL'
  | 'ERR_NETMESH_SHUT_DOWN'
  | 'ERR_NETMESH_CHANNEL'
  | 'ERR_NETMESH_CHANNEL_UNAUTHORIZED'
  | 'ERR_NETMESH_REDEX'
  | 'ERR_NETMESH_REDEX_CLOSED'
  | 'ERR_NETMESH_REDEX_TOO_LARGE'
  | 'ERR_NETMESH_REDEX_LAGGED'
  | 'ERR_NETMESH_REDEX_IO'
  | 'ERR_NETMESH_REDEX_IN_USE'
  | 'ERR_NETMESH_CORTEX'
  | 'ERR_NETMESH_NETDB'
  | 'ERR_NETMESH_BUS'
  | 'ERR_NETMESH_ADAPTER'
  | 'ERR_NETMESH_ADDON';

/** One row of {@link ERROR_TABLE}. */
export interface NetmeshErrorInfo {
  /** Name of the class. */
  readonly name: string;
  /** How messages begin; empty where they say directly what is wrong. */
  readonly prefixes: readonly string[];
  /** What it means for the caller. */
  readonly meaning: string;
}

/** The table of error codes. */
export const ERROR_TABLE: Readonly<Record<NetmeshErrorCode, NetmeshErrorInfo>> = {
  ERR_NETMESH_INVALID_ARGUMENT: {
    name: 'InvalidArgumentError',
    prefixes: [],
    meaning: 'An option or argument is wrong; nothing was done.',
  },
  ERR_NETMESH_IDENTITY: {
    name: 'IdentityError',
    prefixes: [],
    meaning: 'A seed, an entity id, a scope or a channel name is malformed; nothing was done.',
  },
  ERR_NETMESH_TOKEN: {
    name: 'TokenError',
    prefixes: ['token: '],
    meaning: 'A token is malformed, or does not permit what was asked; `kind` says why.',
  },
  ERR_NETMESH_CAPABILITY: {
    name: 'CapabilityError',
    prefixes: ['capability: ', 'capability requirement weight '],
    meaning: 'A capability set, filter or query is malformed or too large; nothing was done.',
  },
  ERR_NETMESH_BACKPRESSURE: {
    name: 'BackpressureError',
    prefixes: ['stream would block', 'Ingestion failed: backpressure: '],
    meaning: 'The window of the stream, or the ring of the bus, is full; drop, retry or wait.',
  },
  ERR_NETMESH_NOT_CONNECTED: {
    name: 'NotConnectedError',
    prefixes: ['stream not connected'],
    meaning: 'The session with the peer is gone, or the stream was closed; connect or open again.',
  },
  ERR_NETMESH_TOO_LARGE: {
    name: 'EventTooLargeError',
    prefixes: ['stream transport error: event of ', 'send failed: event of '],
    meaning: 'The stream can never carry an event of this size; nothing was sent.',
  },
  ERR_NETMESH_CONNECTION: {
    name: 'ConnectionError',
    prefixes: [
      'connect failed: ',
      'accept failed: ',
      'open_stream failed: ',
      'send failed: ',
      'MeshNode creation failed: ',
    ],
    meaning: 'A handshake or the socket failed, or there is no session with the peer.',
  },
  ERR_NETMESH_FATAL: {
    name: 'ConnectionError',
    prefixes: ['connect failed: fatal error: ', 'accept failed: fatal error: '],
    meaning: 'The call is not allowed in the state that the node is in.',
  },
  ERR_NETMESH_SHUT_DOWN: {
    name: 'ShutDownError',
    prefixes: ['MeshNode has been shut down', 'already shut down', 'EventBus has been shut down'],
    meaning: 'The node or the bus has been shut down.',
  },
  ERR_NETMESH_CHANNEL: {
    name: 'ChannelError',
    prefixes: ['channel:'],
    meaning: 'A channel operation was refused or failed.',
  },
  ERR_NETMESH_CHANNEL_UNAUTHORIZED: {
    name: 'ChannelAuthError',
    prefixes: ['channel: unauthorized'],
    meaning: 'The publisher does not let this node subscribe.',
  },
  ERR_NETMESH_REDEX: {
    name: 'RedexError',
    prefixes: ['redex: '],
    meaning: 'A log refuses its name, its configuration or an argument; nothing was changed.',
  },
  ERR_NETMESH_REDEX_CLOSED: {
    name: 'RedexError',
    prefixes: ['redex: '],
    meaning: 'The log was closed; open it again.',
  },
  ERR_NETMESH_REDEX_TOO_LARGE: {
    name: 'RedexError',
    prefixes: ['redex: '],
    meaning: 'The payload exceeds what the log can hold; nothing was appended.',
  },
  ERR_NETMESH_REDEX_LAGGED: {
    name: 'RedexError',
    prefixes: ['redex: tail: '],
    meaning: 'Retention took the events that the tail would have delivered next.',
  },
  ERR_NETMESH_REDEX_IO: {
    name: 'RedexError',
    prefixes: ['redex: '],
    meaning: 'The operating system refused to read or write; an append that failed has no effect.',
  },
  ERR_NETMESH_REDEX_IN_USE: {
    name: 'RedexError',
    prefixes: ['redex: open_file: '],
    meaning: 'Another process has the log open.',
  },
  ERR_NETMESH_CORTEX: {
    name: 'CortexError',
    prefixes: ['cortex:'],
    meaning: 'An adapter or model cannot do this, or its fold has stopped.',
  },
  ERR_NETMESH_NETDB: {
    name: 'NetDbError',
    prefixes: ['netdb:'],
    meaning: 'A bundle of snapshots is none, or is cut off.',
  },
  ERR_NETMESH_BUS: {
    name: 'BusError',
    prefixes: [
      'Failed to create EventBus: ',
      'Ingestion failed: ',
      'Poll failed: ',
      'Flush failed: ',
      'Shutdown failed: ',
    ],
    meaning: 'An operation of the event bus failed; `cause` has the error of the adapter.',
  },
  ERR_NETMESH_ADAPTER: {
    name: 'AdapterError',
    prefixes: [
      'transient error: ',
      'fatal error: ',
      'backend backpressure',
      'connection error: ',
      'adapter is shut down',
      'serialization error: ',
    ],
    meaning: 'The backend of an event bus failed or refused; `kind` says whether to try again.',
  },
  ERR_NETMESH_ADDON: {
    name: 'AddonError',
    prefixes: ['netmesh: '],
    meaning: 'The native addon is missing or cannot be loaded.',
  },
};

/**
 * Thrown when the in-flight window of a stream is full. Of a `sendOnStream` call nothing was sent;
 * of a retrying call the first {@link BackpressureError.eventsSent} events were.
 */
export class BackpressureError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_BACKPRESSURE';
  /** How many events, from the front, were sent before the call gave up. */
  eventsSent = 0;

  constructor(detail?: string) {
    super(detail ?? 'stream would block (queue full)');
    this.name = 'BackpressureError';
    Object.setPrototypeOf(this, new.target.prototype);
  }
}

/** Thrown when the session of a stream's peer is gone, or the stream was closed. */
export class NotConnectedError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_NOT_CONNECTED';
  /** How many events, from the front, had been sent before; 0 where nothing is being sent. */
  eventsSent = 0;

  constructor(detail?: string) {
    super(detail ?? 'stream not connected');
    this.name = 'NotConnectedError';
    Object.setPrototypeOf(this, new.target.prototype);
  }
}

/** Thrown for a malformed seed, entity id, scope or channel name. */
export class IdentityError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_IDENTITY';

  constructor(message: string) {
    super(message);
    this.name = 'IdentityError';
    Object.setPrototypeOf(this, new.target.prototype);
  }
}

/** Why a token is refused; `revoked` and `ttl_too_long` come from chains alone. */
export type TokenErrorKind =
  | 'invalid_signature'
  | 'not_yet_valid'
  | 'expired'
  | 'delegation_exhausted'
  | 'delegation_not_allowed'
  | 'not_authorized'
  | 'invalid_format'
  | 'revoked'
  | 'ttl_too_long';

const TOKEN_ERROR_KINDS: ReadonlySet<string> = new Set<TokenErrorKind>([
  'invalid_signature',
  'not_yet_valid',
  'expired',
  'delegation_exhausted',
  'delegation_not_allowed',
  'not_authorized',
  'invalid_format',
  'revoked',
  'ttl_too_long',
]);

/** Thrown when a token is malformed or does not permit what was asked. */
export class TokenError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_TOKEN';
  /** Why, for programs. */
  readonly kind: TokenErrorKind;

  constructor(kind: TokenErrorKind, message?: string) {
    super(message ?? `token ${kind.replaceAll('_', ' ')}`);
    this.name = 'TokenError';
    this.kind = kind;
    Object.setPrototypeOf(this, new.target.prototype);
  }
}

/**
 * The kind in a message `token: <kind>`. Kinds without a name of their own, `zero_ttl` and
 * `read_only`, count as `invalid_format`, as they always did.
 *
 * @internal
 */
export function tokenErrorKind(message: string): TokenErrorKind {
  const kind = message.slice(message.indexOf(':') + 1).trim();
  return TOKEN_ERROR_KINDS.has(kind) ? (kind as TokenErrorKind) : 'invalid_format';
}

/** Thrown for a capability set, filter or query that is malformed or too large. */
export class CapabilityError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_CAPABILITY';

  constructor(message: string) {
    super(message);
    this.name = 'CapabilityError';
    Object.setPrototypeOf(this, new.target.prototype);
  }
}

/** Thrown when a channel operation fails for another reason than authorization. */
export class ChannelError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_CHANNEL';

  constructor(detail?: string) {
    super(detail ?? 'channel error');
    this.name = 'ChannelError';
    Object.setPrototypeOf(this, new.target.prototype);
  }
}

/** Thrown when a publisher refuses a subscription because this node is not authorized. */
export class ChannelAuthError extends ChannelError {
  override readonly code: NetmeshErrorCode = 'ERR_NETMESH_CHANNEL_UNAUTHORIZED';

  constructor(detail?: string) {
    super(detail ?? 'channel: unauthorized');
    this.name = 'ChannelAuthError';
    Object.setPrototypeOf(this, new.target.prototype);
  }
}

/** Thrown for a wrong option or argument, before anything was done. */
export class InvalidArgumentError extends TypeError {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_INVALID_ARGUMENT';

  constructor(message: string) {
    super(message);
    this.name = 'InvalidArgumentError';
  }
}

/** Thrown for an event that its stream can never carry; nothing of the call was sent. */
export class EventTooLargeError extends RangeError {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_TOO_LARGE';

  constructor(message: string) {
    super(message);
    this.name = 'EventTooLargeError';
  }
}

/** Thrown when a handshake or the socket fails, or a call does not fit the node's state. */
export class ConnectionError extends Error {
  readonly code: NetmeshErrorCode;

  constructor(message: string, code: NetmeshErrorCode = 'ERR_NETMESH_CONNECTION') {
    super(message);
    this.name = 'ConnectionError';
    this.code = code;
  }
}

/** Thrown by every method of a node that has been shut down. */
export class ShutDownError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_SHUT_DOWN';

  constructor(message = 'MeshNode has been shut down') {
    super(message);
    this.name = 'ShutDownError';
  }
}

/** Thrown by logs; every message starts with `redex:`. The `code` tells the kinds apart. */
export class RedexError extends Error {
  readonly code: NetmeshErrorCode;

  constructor(detail?: string, code: NetmeshErrorCode = 'ERR_NETMESH_REDEX') {
    super(detail ?? 'redex error');
    this.name = 'RedexError';
    this.code = code;
    Object.setPrototypeOf(this, new.target.prototype);
  }
}

/** Thrown when an adapter or model cannot do what is asked, or its fold has stopped. */
export class CortexError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_CORTEX';

  constructor(detail?: string, options?: { cause?: unknown }) {
    super(detail ?? 'cortex adapter error', options);
    this.name = 'CortexError';
    Object.setPrototypeOf(this, new.target.prototype);
  }
}

/** Thrown for a bundle of snapshots that is none, or is cut off. */
export class NetDbError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_NETDB';

  constructor(detail?: string) {
    super(detail ?? 'netdb error');
    this.name = 'NetDbError';
    Object.setPrototypeOf(this, new.target.prototype);
  }
}

/** Thrown when an operation of an event bus fails. */
export class BusError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_BUS';

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'BusError';
  }
}

/** What went wrong at the backend of an event bus. */
export type AdapterErrorKind =
  'transient' | 'fatal' | 'backpressure' | 'connection' | 'shutdown' | 'serialization';

/** The failure of an event bus's backend. Those of kind `transient` and `backpressure` may pass. */
export class AdapterError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_ADAPTER';
  readonly kind: AdapterErrorKind;

  constructor(kind: AdapterErrorKind, detail = '', options?: { cause?: unknown }) {
    super(adapterErrorText(kind, detail), options);
    this.name = 'AdapterError';
    this.kind = kind;
  }

  /** Whether the same call may succeed later. */
  get retryable(): boolean {
    return this.kind === 'transient' || this.kind === 'backpressure';
  }
}

function adapterErrorText(kind: AdapterErrorKind, detail: string): string {
  if (kind === 'backpressure') return 'backend backpressure';
  if (kind === 'shutdown') return 'adapter is shut down';
  return `${kind} error: ${detail}`;
}

/** Thrown when the native addon is missing or cannot be loaded on this platform. */
export class AddonError extends Error {
  readonly code: NetmeshErrorCode = 'ERR_NETMESH_ADDON';

  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'AddonError';
  }
}

/** The message of anything that was thrown: a string itself, an object's `message`, else nothing. */
export function extractMessage(error: unknown): string {
  if (typeof error === 'string') return error;
  if (typeof error !== 'object' || error === null) return '';
  const { message } = error as { message?: unknown };
  return typeof message === 'string' ? message : '';
}

/**
 * The typed error that a message's prefix stands for, `cortex:` or `netdb:`. What has its class already,
 * or no such prefix, is returned as it is.
 */
export function classifyError(error: unknown): unknown {
  const message = extractMessage(error);
  if (message.startsWith('cortex:')) {
    return error instanceof CortexError ? error : new CortexError(message, { cause: error });
  }
  if (message.startsWith('netdb:')) {
    return error instanceof NetDbError ? error : new NetDbError(message);
  }
  return error;
}
