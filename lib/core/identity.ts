/**
 * The low-level surface of identities and tokens: bytes in, bytes out.
 *
 * @packageDocumentation
 */

import '../internal/dispose';
import { inspect } from 'node:util';

import type { NativeIdentity, NativeTokenInfo } from '../../types/native';
import { addon } from '../internal/native';

/** What is in a token's bytes. Times are Unix seconds. */
export type TokenInfo = NativeTokenInfo;

/** Shows that a constructor was called from here. */
const INTERNAL = Symbol('netmesh.internal');

/**
 * An Ed25519 identity with a token cache. Its errors are plain: `identity: <detail>` and
 * `token: <kind>`. `Identity` of `netmesh/identity` has classes for them.
 */
export class Identity {
  readonly #native: NativeIdentity;

  private constructor(native: NativeIdentity, internal: symbol) {
    if (internal !== INTERNAL) throw new TypeError('use Identity.generate() or fromSeed()');
    this.#native = native;
  }

  /** A fresh one. */
  static generate(): Identity {
    const native = addon();
    return new Identity(new native.NativeIdentity(), INTERNAL);
  }

  /** Of a 32-byte seed. */
  static fromSeed(seed: Uint8Array): Identity {
    const native = addon();
    // The addon takes undefined for a fresh identity, which nobody asked for here.
    const given: Uint8Array = seed ?? (null as never);
    return new Identity(new native.NativeIdentity(given), INTERNAL);
  }

  /** The same as {@link Identity.fromSeed}. */
  static fromBytes(bytes: Uint8Array): Identity {
    return Identity.fromSeed(bytes);
  }

  /** The seed: a secret. */
  toBytes(): Buffer {
    return this.#native.toBytes();
  }
  /** 32 bytes, a copy. */
  get entityId(): Buffer {
    return this.#native.entityId;
  }
  get originHash(): bigint {
    return this.#native.originHash;
  }
  get nodeId(): bigint {
    return this.#native.nodeId;
  }
  /** Tokens in the cache. */
  get tokenCacheLen(): number {
    return this.#native.tokenCacheLen;
  }
  /** Whether the secret was wiped. */
  get disposed(): boolean {
    return this.#native.disposed;
  }
  /** An Ed25519 signature, 64 bytes. */
  sign(message: Uint8Array): Buffer {
    return this.#native.sign(message);
  }
  /** The bytes of a new token. */
  issueToken(
    subject: Uint8Array,
    scope: readonly string[],
    channel: string,
    ttlSeconds: number,
    delegationDepth: number,
  ): Buffer {
    return this.#native.issueToken(subject, scope, channel, ttlSeconds, delegationDepth);
  }
  /** Verifies the signature and keeps the token. */
  installToken(token: Uint8Array): void {
    this.#native.installToken(token);
  }
  /** A kept token for exactly this channel. */
  lookupToken(subject: Uint8Array, channel: string): Buffer | null {
    return this.#native.lookupToken(subject, channel);
  }
  /** Drops expired tokens from the cache; returns how many. */
  evictExpiredTokens(): number {
    return this.#native.evictExpiredTokens();
  }
  /** Wipes the secret; the identity still knows who it is. */
  dispose(): void {
    this.#native.dispose();
  }
  [Symbol.dispose](): void {
    this.dispose();
  }
  /** Public parts only. */
  [inspect.custom](): string {
    return `Identity { entityId: ${this.entityId.toString('hex')}, nodeId: ${this.nodeId}n }`;
  }

  /** @internal */
  static delegate(
    signer: Identity,
    parent: Uint8Array,
    newSubject: Uint8Array,
    scope: readonly string[],
  ): Buffer {
    return signer.#native.delegateToken(parent, newSubject, scope);
  }
}

/** What is in a token; judges nothing but its length. */
export function parseToken(token: Uint8Array): TokenInfo {
  return addon().parseToken(token);
}

/** Whether the issuer signed it. */
export function verifyToken(token: Uint8Array): boolean {
  return addon().verifyToken(token);
}

/** Whether its time is over, by the clock alone. */
export function tokenIsExpired(token: Uint8Array): boolean {
  return addon().tokenIsExpired(token);
}

/** Hands a token on to another entity, signed by its subject. */
export function delegateToken(
  signer: Identity,
  parent: Uint8Array,
  newSubject: Uint8Array,
  scope: readonly string[],
): Buffer {
  return Identity.delegate(signer, parent, newSubject, scope);
}

/** The hash that stands for a channel in tokens. */
export function channelHash(channel: string): bigint {
  return addon().channelHash(channel);
}
