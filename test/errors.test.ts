import {
  BackpressureError,
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
} from 'netmesh';
import * as core from 'netmesh/core';
import * as errors from 'netmesh/errors';
import { classify, classifyWithPrefix } from '../lib/internal/native_errors';

test.each([
  [BackpressureError, 'stream would block (queue full)'],
  [NotConnectedError, 'stream not connected'],
  [ChannelError, 'channel error'],
  [ChannelAuthError, 'channel: unauthorized'],
  [RedexError, 'redex error'],
  [CortexError, 'cortex adapter error'],
  [NetDbError, 'netdb error'],
])('%p has its documented default message and keeps a detail verbatim', (Class, message) => {
  const error = new Class();
  expect(error).toBeInstanceOf(Error);
  expect(error).toBeInstanceOf(Class);
  expect(error.name).toBe(Class.name);
  expect(error.message).toBe(message);
  expect(new Class('stream would block: detail').message).toBe('stream would block: detail');
});

test('an authorization failure is a channel error', () => {
  expect(new ChannelAuthError()).toBeInstanceOf(ChannelError);
  expect(new ChannelError()).not.toBeInstanceOf(ChannelAuthError);
});

test('every class has a code of the table, under its own name', () => {
  const samples: Array<Error & { code: errors.NetmeshErrorCode }> = [
    new BackpressureError(),
    new NotConnectedError(),
    new ChannelError(),
    new ChannelAuthError(),
    new CortexError(),
    new NetDbError(),
    new ConnectionError('x'),
    new EventTooLargeError('x'),
    new InvalidArgumentError('x'),
    new ShutDownError(),
    new RedexError(),
    new core.AddonError('x'),
    new IdentityError('x'),
    new TokenError('expired'),
    new core.CapabilityError('x'),
  ];
  for (const error of samples) {
    expect(errors.ERROR_TABLE[error.code].name).toBe(error.name);
    expect(error.name).toBe(error.constructor.name);
  }
  expect(new Set(samples.map(({ code }) => code)).size).toBe(samples.length);
});

test('the classes are the same wherever they are imported from', () => {
  expect(core.BackpressureError).toBe(BackpressureError);
  expect(errors.NotConnectedError).toBe(NotConnectedError);
});

describe('errors of the addon', () => {
  const native = (message: string, code?: string): Error =>
    Object.assign(new Error(message), { code });

  test.each([
    ['stream would block: stream queue full', undefined, BackpressureError],
    ['stream not connected: peer session gone', undefined, NotConnectedError],
    ['event too large', 'ERR_NETMESH_TOO_LARGE', EventTooLargeError],
    ['wrong', 'ERR_NETMESH_INVALID_ARGUMENT', InvalidArgumentError],
    ['MeshNode has been shut down', 'ERR_NETMESH_SHUT_DOWN', ShutDownError],
    ['channel: unauthorized', 'ERR_NETMESH_CHANNEL_UNAUTHORIZED', ChannelAuthError],
    ['channel: unknown channel', 'ERR_NETMESH_CHANNEL', ChannelError],
  ])('%s becomes its class and keeps its message', (message, code, Class) => {
    const error = classify(native(message, code));
    expect(error).toBeInstanceOf(Class);
    expect((error as Error).message).toBe(message);
  });

  test('of no known kind are passed on, the same object', () => {
    const error = native('stream transport error: send failed: No route to host');
    expect(classify(error)).toBe(error);
    expect(classify('text')).toBe('text');
  });

  test('get the prefix of their call once', () => {
    const inner = native('connection error: handshake timeout', 'ERR_NETMESH_CONNECTION');
    const outer = classifyWithPrefix('connect failed: ', inner) as ConnectionError;
    expect(outer).toBeInstanceOf(ConnectionError);
    expect(outer.message).toBe('connect failed: connection error: handshake timeout');
    expect((classifyWithPrefix('connect failed: ', outer) as Error).message).toBe(outer.message);
  });

  test('about a wrong argument need no prefix', () => {
    const error = native('public key must be 32 bytes', 'ERR_NETMESH_INVALID_ARGUMENT');
    expect((classifyWithPrefix('connect failed: ', error) as Error).message).toBe(
      'public key must be 32 bytes',
    );
  });
});

test('errors from elsewhere are classified by the prefix of their message', () => {
  const foreign = new Error('cortex: create failed: adapter closed');
  const classified = errors.classifyError(foreign);
  expect(classified).toBeInstanceOf(CortexError);
  expect(classified).toMatchObject({ message: foreign.message, cause: foreign });
  expect(errors.classifyError(classified)).toBe(classified);
  expect(errors.classifyError('netdb: decode')).toBeInstanceOf(NetDbError);
  for (const other of [new Error('redex: append: file closed'), undefined, 5, { message: 5 }]) {
    expect(errors.classifyError(other)).toBe(other);
  }
  expect(errors.extractMessage('text')).toBe('text');
  expect(errors.extractMessage(foreign)).toBe(foreign.message);
  expect(errors.extractMessage({ message: 5 })).toBe('');
  expect(errors.extractMessage(null)).toBe('');
});
