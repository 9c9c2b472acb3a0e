/**
 * Identities and permission tokens.
 *
 * @packageDocumentation
 */

import './internal/dispose';
import { inspect } from 'node:util';
import { isUint8Array } from 'node:util/types';

import { IdentityError, TokenError } from './core/errors';
import * as core from './core/identity';
import { addon } from './internal/native';
import { calling } from './internal/native_errors';
import { describe } from './internal/validate';

export { IdentityError, TokenError } from './core/errors';
export type { TokenErrorKind } from './core/errors';

/** What a token lets its subject do on a channel. */
export type TokenScope = 'publish' | 'subscribe' | 'admin' | 'delegate';

/** In the order in which {@link Token.scope} lists them. */
const SCOPES: readonly TokenScope[] = ['publish', 'subscribe', 'admin', 'delegate'];
const U32_MAX = 0xffff_ffff;
const U8_MAX = 255;
/** The latest date that JavaScript knows. */
const LAST_MS = 8_640_000_000_000_000n;
const MAX_SKEW_SECONDS = 300;
/** Shows that a constructor was called from here. */
const INTERNAL = Symbol('netmesh.internal');

/** Options of {@link Identity.issueToken}. */
export interface IssueTokenOptions {
  /** Entity id of whoever is let, 32 bytes. */
  subject: Uint8Array;
  /** What it is let do; `delegate` lets it hand the token on. */
  scope: readonly TokenScope[];
  /** The channel's name. */
  channel: string;
  /** Lifetime from now, in whole seconds, 1…4294967295. */
  ttlSeconds: number;
  /** How many times the token may be handed on, 0…255. Default: 0. */
  delegationDepth?: number;
}

function bytesOf(value: unknown, what: string): Uint8Array {
  if (!isUint8Array(value)) {
    throw new IdentityError(`${what} must be a Buffer or Uint8Array, got ${describe(value)}`);
  }
  return value;
}

/** `what` of 32 bytes. */
function key32(value: unknown, what: string): Uint8Array {
  if (!isUint8Array(value))
    throw new IdentityError(`${what} must be 32 bytes, got ${describe(value)}`);
  if (value.length !== 32) throw new IdentityError(`${what} must be 32 bytes, got ${value.length}`);
  return value;
}

function integer(value: unknown, name: string, max: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > max) {
    throw new IdentityError(`${name} must be an integer in [0, ${max}]; got ${describe(value)}`);
  }
  return value;
}

function channelName(value: unknown): string {
  if (typeof value !== 'string') {
    throw new IdentityError(`invalid channel name: expected a string, got ${describe(value)}`);
  }
  return value;
}

/** The words of a scope; `expected` ends the message about a word that is none. */
function scopeWords(value: unknown, expected = ''): TokenScope[] {
  if (!Array.isArray(value)) {
    throw new IdentityError(`scope must be an array of scopes; got ${describe(value)}`);
  }
  return value.map((word: unknown) => {
    if (!SCOPES.includes(word as TokenScope)) {
      const shown = typeof word === 'string' ? JSON.stringify(word) : describe(word);
      throw new IdentityError(`unknown scope ${shown}${expected}`);
    }
    return word as TokenScope;
  });
}

const EXPECTED_SCOPES = '; expected publish | subscribe | admin | delegate';

/** The bytes of a token, or of something that should be one. */
function tokenBytes(token: unknown): Uint8Array {
  if (token instanceof Token) return token.bytes;
  if (isUint8Array(token)) return token;
  throw new TokenError('invalid_format', 'token: invalid_format');
}

/** A Buffer over the same memory. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes)
    ? bytes
    : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function dateOf(seconds: bigint): Date {
  const ms = seconds * 1000n;
  return new Date(Number(ms > LAST_MS ? LAST_MS : ms));
}

/**
 * A permission: its issuer lets its subject do something on one channel for some time. 169 bytes,
 * signed; whoever holds it may read it.
 */
export class Token {
  /** The bytes that it was made from, not a copy. */
  readonly bytes: Buffer;
  /** Entity id of who signed it. */
  readonly issuer: Buffer;
  /** Entity id of who is let. */
  readonly subject: Buffer;
  /** What it lets the subject do. */
  readonly scope: ReadonlySet<TokenScope>;
  /** Stands for the channel: {@link channelHash} of its name. */
  readonly channelHash: bigint;
  /** From when on it counts. */
  readonly notBefore: Date;
  /** When it counts no more. A time beyond the last date of JavaScript is that date. */
  readonly notAfter: Date;
  /** How many times it may still be handed on. */
  readonly delegationDepth: number;
  /** Tells tokens apart. */
  readonly nonce: bigint;

  private constructor(bytes: Buffer, info: core.TokenInfo) {
    this.bytes = bytes;
    this.issuer = info.issuer;
    this.subject = info.subject;
    this.scope = new Set(info.scope as TokenScope[]);
    this.channelHash = info.channelHash;
    this.notBefore = dateOf(info.notBefore);
    this.notAfter = dateOf(info.notAfter);
    this.delegationDepth = info.delegationDepth;
    this.nonce = info.nonce;
  }

  /**
   * Reads a token of 169 bytes. Neither its signature nor its time is judged: {@link Token.verify}
   * and {@link Token.isExpired} do.
   *
   * @throws {@link TokenError} of kind `invalid_format`.
   */
  static parse(bytes: Uint8Array): Token {
    const buffer = asBuffer(tokenBytes(bytes));
    return new Token(
      buffer,
      calling(() => core.parseToken(buffer)),
    );
  }

  /** Whether the issuer signed it. Says nothing about time, nor about who the issuer is. */
  verify(): boolean {
    return calling(() => core.verifyToken(this.bytes));
  }

  /** Whether its time is over, by this machine's clock. */
  isExpired(): boolean {
    return calling(() => core.tokenIsExpired(this.bytes));
  }

  /** The bytes to hand out: the same object as {@link Token.bytes}. */
  toBuffer(): Buffer {
    return this.bytes;
  }
}

/**
 * An entity: an Ed25519 key that names a node, signs and issues tokens. It has a token cache of its
 * own, which no node shares.
 *
 * {@link Identity.dispose} wipes the secret from memory; without it the secret goes when the object
 * is collected. Neither `inspect` nor any error shows it.
 *
 * @example
 * ```typescript
 * const issuer = Identity.fromSeed(seed);
 * const token = issuer.issueToken({
 *   subject: grantee.entityId,
 *   scope: ['subscribe'],
 *   channel: 'sensors/temp',
 *   ttlSeconds: 300,
 * });
 * ```
 */
export class Identity {
  readonly #inner: core.Identity;

  private constructor(inner: core.Identity, internal: symbol) {
    if (internal !== INTERNAL) throw new TypeError('use Identity.generate() or fromSeed()');
    this.#inner = inner;
  }

  /** A fresh identity. */
  static generate(): Identity {
    return new Identity(
      calling(() => core.Identity.generate()),
      INTERNAL,
    );
  }

  /**
   * The identity of a 32-byte seed: always the same. The seed given is not wiped.
   *
   * @throws {@link IdentityError} for another length.
   */
  static fromSeed(seed: Uint8Array): Identity {
    const checked = key32(seed, 'seed');
    return new Identity(
      calling(() => core.Identity.fromSeed(checked)),
      INTERNAL,
    );
  }

  /** The same as {@link Identity.fromSeed}. */
  static fromBytes(bytes: Uint8Array): Identity {
    return Identity.fromSeed(bytes);
  }

  /** Wraps an identity of `netmesh/core`; both are the same one then. */
  static fromNapi(inner: core.Identity): Identity {
    if (!(inner instanceof core.Identity)) {
      throw new IdentityError(`expected an Identity of netmesh/core, got ${describe(inner)}`);
    }
    return new Identity(inner, INTERNAL);
  }

  /** The identity of `netmesh/core` inside. */
  toNapi(): core.Identity {
    return this.#inner;
  }

  /** The seed, 32 secret bytes, a copy. The token cache is not part of it. */
  toBytes(): Buffer {
    return calling(() => this.#inner.toBytes());
  }

  /** The public key, 32 bytes; a new copy each time, so compare with `equals`. */
  get entityId(): Buffer {
    return this.#inner.entityId;
  }

  /** The number for headers. */
  get originHash(): bigint {
    return this.#inner.originHash;
  }

  /** The id of a node with this identity. */
  get nodeId(): bigint {
    return this.#inner.nodeId;
  }

  /** How many tokens are in the cache. */
  get tokenCacheLen(): number {
    return this.#inner.tokenCacheLen;
  }

  /** Whether {@link Identity.dispose} was called. */
  get disposed(): boolean {
    return this.#inner.disposed;
  }

  /** Signs a message with Ed25519: 64 bytes. */
  sign(message: Uint8Array): Buffer {
    const checked = bytesOf(message, 'message');
    return calling(() => this.#inner.sign(checked));
  }

  /**
   * Issues a token that is valid from now on.
   *
   * @throws {@link IdentityError} for a malformed subject, scope, channel or number, before anything
   * happens; {@link TokenError} with the message `token: zero_ttl` for a lifetime of 0.
   */
  issueToken(options: IssueTokenOptions): Token {
    const given: unknown = options;
    if (typeof given !== 'object' || given === null) {
      throw new IdentityError(`options must be an object; got ${describe(given)}`);
    }
    const scope = scopeWords(options.scope);
    const subject = key32(options.subject, 'entity_id');
    const channel = channelName(options.channel);
    const ttl = integer(options.ttlSeconds, 'ttlSeconds', U32_MAX);
    const depth = integer(options.delegationDepth ?? 0, 'delegationDepth', U8_MAX);
    return Token.parse(calling(() => this.#inner.issueToken(subject, scope, channel, ttl, depth)));
  }

  /**
   * Keeps a token in this identity's cache. Its signature must be right; it may be expired, or not
   * valid yet. At most 32 tokens for one subject and channel are kept, 65 536 such pairs in all;
   * expired ones make room.
   *
   * @throws {@link TokenError} `invalid_format` or `invalid_signature`.
   */
  installToken(token: Token | Uint8Array): void {
    const bytes = tokenBytes(token);
    calling(() => {
      this.#inner.installToken(bytes);
    });
  }

  /** A kept token for this subject and channel, a valid one if there is; null when there is none. */
  lookupToken(subject: Uint8Array, channel: string): Token | null {
    const entity = key32(subject, 'entity_id');
    const name = channelName(channel);
    const bytes = calling(() => this.#inner.lookupToken(entity, name));
    return bytes === null ? null : Token.parse(bytes);
  }

  /** Drops the tokens whose time is over from the cache; returns how many. */
  evictExpiredTokens(): number {
    return calling(() => this.#inner.evictExpiredTokens());
  }

  /**
   * Wipes the secret from memory. The identity still says who it is and keeps its tokens; signing
   * throws from then on. Idempotent.
   */
  dispose(): void {
    this.#inner.dispose();
  }

  /** For `using`. */
  [Symbol.dispose](): void {
    this.dispose();
  }

  /** Public parts only. */
  [inspect.custom](): string {
    return inspect(this.#inner);
  }
}

/**
 * The hash that stands for a channel in tokens: XXH3-64 of its name.
 *
 * @throws {@link IdentityError} for an invalid name.
 */
export function channelHash(channel: string): bigint {
  const name = channelName(channel);
  return calling(() => core.channelHash(name));
}

/**
 * Hands a token on: a new one for `newSubject`, signed by the subject of `parent`, that lets it do no
 * more and for no longer. It can be handed on in turn only if `restrictedScope` has `delegate`.
 *
 * @throws {@link TokenError}: `invalid_signature`, `not_yet_valid`, `expired`,
 * `delegation_exhausted`, `delegation_not_allowed`, `not_authorized`, checked in this order.
 */
export function delegateToken(
  signer: Identity,
  parent: Token | Uint8Array,
  newSubject: Uint8Array,
  restrictedScope: readonly TokenScope[],
): Token {
  if (!(signer instanceof Identity)) {
    throw new IdentityError(`signer must be an Identity; got ${describe(signer)}`);
  }
  const scope = scopeWords(restrictedScope, EXPECTED_SCOPES);
  const subject = key32(newSubject, 'entity_id');
  const bytes = tokenBytes(parent);
  return Token.parse(calling(() => core.delegateToken(signer.toNapi(), bytes, subject, scope)));
}

/** What {@link TokenChain.verify} is asked. */
export interface TokenChainQuestion {
  /** All of it must be allowed; an empty scope never is. */
  scope: readonly TokenScope[];
  /** The channel's name. */
  channel: string;
  /** Entity id of who shows the chain. */
  presenter: Uint8Array;
  /** Entity ids that are trusted to issue. */
  roots: readonly Uint8Array[];
  /** Per issuer: tokens of a lower generation are revoked. */
  revocations?: ReadonlyArray<{ issuer: Uint8Array; generation: number }>;
  /** Tolerated difference of clocks, 0…300. Default: 0. */
  skewSeconds?: number;
}

/**
 * A token with the delegations that led to it, root first: a credential that leads back to somebody
 * whom the verifier trusts. At most 8 links.
 */
export class TokenChain {
  /** `count ‖ count × 169` bytes. */
  readonly bytes: Buffer;
  /** The links, root first. */
  readonly tokens: readonly Token[];

  private constructor(bytes: Buffer, tokens: readonly Token[]) {
    this.bytes = bytes;
    this.tokens = tokens;
  }

  /** A chain of 1 to 8 tokens. Whether they fit together is for {@link TokenChain.verify} to say. */
  static of(tokens: ReadonlyArray<Token | Uint8Array>): TokenChain {
    if (!Array.isArray(tokens)) throw new TokenError('invalid_format', 'token: invalid_format');
    const links = tokens.map(tokenBytes);
    return TokenChain.parse(calling(() => addon().encodeTokenChain(links)));
  }

  /**
   * Reads a chain, or a single token.
   *
   * @throws {@link TokenError} of kind `invalid_format`.
   */
  static parse(bytes: Uint8Array): TokenChain {
    const given = tokenBytes(bytes);
    const links = calling(() => addon().parseTokenChain(given));
    return new TokenChain(
      calling(() => addon().encodeTokenChain(links)),
      links.map((link) => Token.parse(link)),
    );
  }

  /** Hands the right on: this chain and one link more, signed by its last subject. */
  delegate(
    signer: Identity,
    newSubject: Uint8Array,
    restrictedScope: readonly TokenScope[],
  ): TokenChain {
    const last = this.tokens[this.tokens.length - 1] as Token;
    return TokenChain.of([
      ...this.tokens,
      delegateToken(signer, last, newSubject, restrictedScope),
    ]);
  }

  /**
   * Returns when the chain lets the presenter do what is asked, now.
   *
   * @throws {@link TokenError} with the reason; {@link IdentityError} for a malformed question.
   */
  verify(question: TokenChainQuestion): void {
    const given: unknown = question;
    if (typeof given !== 'object' || given === null) {
      throw new IdentityError(`question must be an object; got ${describe(given)}`);
    }
    const scope = scopeWords(question.scope, EXPECTED_SCOPES);
    const channel = channelName(question.channel);
    const presenter = key32(question.presenter, 'entity_id');
    const roots = listOf(question.roots, 'roots').map((root) => key32(root, 'entity_id'));
    const revocations = listOf(question.revocations ?? [], 'revocations').map((each) => {
      const { issuer, generation } = Object(each) as { issuer?: unknown; generation?: unknown };
      return [key32(issuer, 'entity_id'), integer(generation, 'generation', U32_MAX)] as const;
    });
    const skew = integer(question.skewSeconds ?? 0, 'skewSeconds', MAX_SKEW_SECONDS);
    calling(() => {
      addon().verifyTokenChain(this.bytes, scope, channel, presenter, roots, revocations, skew);
    });
  }
}

function listOf(value: unknown, name: string): unknown[] {
  if (!Array.isArray(value)) {
    throw new IdentityError(`${name} must be an array; got ${describe(value)}`);
  }
  return value;
}
