// The base protocol (net-mesh 0.19) as the specification says it, on nothing but node:crypto:
// Noise NKpsk0, session keys, packets. Written for tests, apart from everything in native/.

import {
  createCipheriv,
  createDecipheriv,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  type KeyObject,
} from 'node:crypto';

import { blake2s, hkdf } from './blake2s';

export const FLAG = { reliable: 0x01, handshake: 0x10, heartbeat: 0x20 } as const;
export const SUBPROTOCOL_GRANT = 0x0b00;
export const CONTROL_STREAM = 2n ** 64n - 1n;

export const HEADER_BYTES = 64;
export const ROUTING_HEADER_BYTES = 18;
const TAG_BYTES = 16;
const MAX_PAYLOAD_BYTES = 8112;
const MAX_EVENTS = 2028;

export class LegacyError extends Error {}

// --- keys ---

const PKCS8 = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI = Buffer.from('302a300506032b656e032100', 'hex');

/** An X25519 key pair from 32 secret bytes. */
export class KeyPair {
  readonly publicKey: Buffer;
  readonly #private: KeyObject;

  constructor(secret: Uint8Array) {
    this.#private = createPrivateKey({
      key: Buffer.concat([PKCS8, secret]),
      format: 'der',
      type: 'pkcs8',
    });
    const spki = createPublicKey(this.#private).export({ format: 'der', type: 'spki' });
    this.publicKey = spki.subarray(SPKI.length);
  }

  agree(publicKey: Uint8Array): Buffer {
    return diffieHellman({
      privateKey: this.#private,
      publicKey: createPublicKey({
        key: Buffer.concat([SPKI, publicKey]),
        format: 'der',
        type: 'spki',
      }),
    });
  }
}

function seal(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, plaintext: Uint8Array): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(aad, { plaintextLength: plaintext.length });
  return Buffer.concat([cipher.update(plaintext), cipher.final(), cipher.getAuthTag()]);
}

function open(key: Uint8Array, nonce: Uint8Array, aad: Uint8Array, sealed: Uint8Array): Buffer {
  if (sealed.length < TAG_BYTES) throw new LegacyError('too short for a tag');
  const text = sealed.subarray(0, -TAG_BYTES);
  const cipher = createDecipheriv('chacha20-poly1305', key, nonce, { authTagLength: TAG_BYTES });
  cipher.setAuthTag(sealed.subarray(-TAG_BYTES));
  cipher.setAAD(aad, { plaintextLength: text.length });
  try {
    return Buffer.concat([cipher.update(text), cipher.final()]);
  } catch {
    throw new LegacyError('decrypt error');
  }
}

export function u64le(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(value);
  return bytes;
}

function counterNonce(prefix: Uint8Array, counter: bigint): Buffer {
  return Buffer.concat([prefix, u64le(counter)]);
}

const LOW32 = 0xffff_ffffn;

// --- Noise NKpsk0 ---

export const PROTOCOL_NAME = 'Noise_NKpsk0_25519_ChaChaPoly_BLAKE2s';

export function prologue(initiator: bigint, responder: bigint): Buffer {
  return Buffer.concat([
    Buffer.from('net-handshake-v1'),
    u64le(initiator & LOW32),
    u64le(responder & LOW32),
  ]);
}

/** The symmetric state of the Noise specification, §5.2, with the cipher state inside it. */
class Symmetric {
  h: Buffer;
  #ck: Buffer;
  #k: Buffer | undefined;
  #n = 0n;

  constructor(prologueBytes: Uint8Array, responderStatic: Uint8Array) {
    this.h = blake2s(Buffer.from(PROTOCOL_NAME));
    this.#ck = this.h;
    this.mixHash(prologueBytes);
    this.mixHash(responderStatic);
  }

  mixHash(data: Uint8Array): void {
    this.h = blake2s(Buffer.concat([this.h, data]));
  }

  mixKey(input: Uint8Array): void {
    [this.#ck, this.#k] = hkdf(this.#ck, input, 2) as [Buffer, Buffer];
    this.#n = 0n;
  }

  mixKeyAndHash(input: Uint8Array): void {
    const [ck, hash, k] = hkdf(this.#ck, input, 3) as [Buffer, Buffer, Buffer];
    this.#ck = ck;
    this.mixHash(hash);
    this.#k = k;
    this.#n = 0n;
  }

  encrypt(plaintext: Uint8Array): Buffer {
    const sealed = seal(this.#k!, this.#nonce(), this.h, plaintext);
    this.mixHash(sealed);
    return sealed;
  }

  decrypt(sealed: Uint8Array): Buffer {
    const plaintext = open(this.#k!, this.#nonce(), this.h, sealed);
    this.mixHash(sealed);
    return plaintext;
  }

  #nonce(): Buffer {
    return counterNonce(Buffer.alloc(4), this.#n++);
  }
}

export interface HandshakeKeys {
  psk: Uint8Array;
  initiatorId: bigint;
  responderId: bigint;
  /** `undefined` for the empty prologue of the single-peer transport. */
  emptyPrologue?: boolean;
}

function begin(keys: HandshakeKeys, responderStatic: Uint8Array): Symmetric {
  const bytes = keys.emptyPrologue ? Buffer.alloc(0) : prologue(keys.initiatorId, keys.responderId);
  return new Symmetric(bytes, responderStatic);
}

export class Initiator {
  readonly message1: Buffer;
  readonly #symmetric: Symmetric;
  readonly #ephemeral: KeyPair;

  constructor(
    keys: HandshakeKeys,
    responderStatic: Uint8Array,
    ephemeral: KeyPair,
    payload: Uint8Array,
  ) {
    const symmetric = begin(keys, responderStatic);
    symmetric.mixKeyAndHash(keys.psk);
    symmetric.mixHash(ephemeral.publicKey);
    symmetric.mixKey(ephemeral.publicKey);
    symmetric.mixKey(ephemeral.agree(responderStatic));
    this.message1 = Buffer.concat([ephemeral.publicKey, symmetric.encrypt(payload)]);
    this.#symmetric = symmetric;
    this.#ephemeral = ephemeral;
  }

  /** The handshake hash; the payload is ignored, as 0.19 does. */
  readMessage2(message: Buffer): Buffer {
    const remote = message.subarray(0, 32);
    this.#symmetric.mixHash(remote);
    this.#symmetric.mixKey(remote);
    this.#symmetric.mixKey(this.#ephemeral.agree(remote));
    this.#symmetric.decrypt(message.subarray(32));
    return this.#symmetric.h;
  }
}

export interface Response {
  message2: Buffer;
  /** The handshake hash. */
  h: Buffer;
  /** What the initiator put into message 1. */
  payload: Buffer;
}

export function respond(
  keys: HandshakeKeys,
  own: KeyPair,
  ephemeral: KeyPair,
  message1: Buffer,
): Response {
  const symmetric = begin(keys, own.publicKey);
  symmetric.mixKeyAndHash(keys.psk);
  const remote = message1.subarray(0, 32);
  symmetric.mixHash(remote);
  symmetric.mixKey(remote);
  symmetric.mixKey(own.agree(remote));
  const payload = symmetric.decrypt(message1.subarray(32));
  symmetric.mixHash(ephemeral.publicKey);
  symmetric.mixKey(ephemeral.publicKey);
  symmetric.mixKey(ephemeral.agree(remote));
  const message2 = Buffer.concat([ephemeral.publicKey, symmetric.encrypt(Buffer.alloc(0))]);
  return { message2, h: symmetric.h, payload };
}

// --- packets ---

export interface Header {
  flags: number;
  priority: number;
  hopTtl: number;
  hopCount: number;
  fragFlags: number;
  subprotocol: number;
  channelHash: number;
  noncePrefix: Buffer;
  counter: bigint;
  sessionId: bigint;
  streamId: bigint;
  sequence: bigint;
  subnetId: number;
  originHash: number;
  fragmentId: number;
  fragmentOffset: number;
  payloadLength: number;
  eventCount: number;
}

export function writeHeader(fields: Partial<Header>): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt16LE(0x4e45, 0);
  bytes[2] = 1;
  bytes[3] = fields.flags ?? 0;
  bytes.writeUInt16LE(fields.subprotocol ?? 0, 8);
  bytes.writeUInt16LE(fields.channelHash ?? 0, 10);
  (fields.noncePrefix ?? Buffer.alloc(4)).copy(bytes, 12);
  bytes.writeBigUInt64LE(fields.counter ?? 0n, 16);
  bytes.writeBigUInt64LE(fields.sessionId ?? 0n, 24);
  bytes.writeBigUInt64LE(fields.streamId ?? 0n, 32);
  bytes.writeBigUInt64LE(fields.sequence ?? 0n, 40);
  bytes.writeUInt16LE(fields.payloadLength ?? 0, 60);
  bytes.writeUInt16LE(fields.eventCount ?? 0, 62);
  return bytes;
}

/** Throws for what a 0.19 receiver drops. */
export function readHeader(packet: Buffer): Header {
  if (packet.length < HEADER_BYTES) throw new LegacyError('too short');
  if (packet.readUInt16LE(0) !== 0x4e45 || packet[2] !== 1)
    throw new LegacyError('magic or version');
  const header: Header = {
    flags: packet[3]!,
    priority: packet[4]!,
    hopTtl: packet[5]!,
    hopCount: packet[6]!,
    fragFlags: packet[7]!,
    subprotocol: packet.readUInt16LE(8),
    channelHash: packet.readUInt16LE(10),
    noncePrefix: packet.subarray(12, 16),
    counter: packet.readBigUInt64LE(16),
    sessionId: packet.readBigUInt64LE(24),
    streamId: packet.readBigUInt64LE(32),
    sequence: packet.readBigUInt64LE(40),
    subnetId: packet.readUInt32LE(48),
    originHash: packet.readUInt32LE(52),
    fragmentId: packet.readUInt16LE(56),
    fragmentOffset: packet.readUInt16LE(58),
    payloadLength: packet.readUInt16LE(60),
    eventCount: packet.readUInt16LE(62),
  };
  if (header.payloadLength > MAX_PAYLOAD_BYTES) throw new LegacyError('payload length');
  if (header.eventCount > MAX_EVENTS) throw new LegacyError('event count');
  const rest = packet.length - HEADER_BYTES;
  const isHandshake = (header.flags & FLAG.handshake) !== 0;
  const isHeartbeat = (header.flags & FLAG.heartbeat) !== 0;
  if (isHeartbeat && rest !== TAG_BYTES) throw new LegacyError('heartbeat length');
  if (!isHandshake && !isHeartbeat && rest !== header.payloadLength + TAG_BYTES) {
    throw new LegacyError('packet length');
  }
  return header;
}

/** What is authenticated: the header without the nonce, and with no hops counted. */
export function aad(header: Buffer): Buffer {
  return Buffer.concat([
    header.subarray(0, 6),
    Buffer.alloc(1),
    header.subarray(7, 12),
    header.subarray(24, 64),
  ]);
}

export function writeFrames(events: readonly Uint8Array[]): Buffer {
  return Buffer.concat(
    events.flatMap((event) => {
      const length = Buffer.alloc(4);
      length.writeUInt32LE(event.length);
      return [length, event];
    }),
  );
}

export function readFrames(plaintext: Buffer, count: number): Buffer[] {
  const events: Buffer[] = [];
  for (let at = 0; events.length < count && at + 4 <= plaintext.length;) {
    const length = plaintext.readUInt32LE(at);
    if (at + 4 + length > plaintext.length) break;
    events.push(plaintext.subarray(at + 4, at + 4 + length));
    at += 4 + length;
  }
  return events;
}

export function handshakePacket(message: Buffer): Buffer {
  return Buffer.concat([
    writeHeader({ flags: FLAG.handshake, payloadLength: message.length }),
    message,
  ]);
}

export function routingHeader(ttl: number, source: bigint, destination: bigint): Buffer {
  const bytes = Buffer.alloc(ROUTING_HEADER_BYTES);
  bytes.writeUInt16LE(0x5452, 0);
  bytes[2] = ttl;
  bytes.writeUInt32LE(Number(source & LOW32), 6);
  bytes.writeBigUInt64LE(destination, 10);
  return bytes;
}

// --- sessions ---

const KDF_LABEL = Buffer.from('net-kdf-v1');

function sessionKey(h: Buffer, label: string): Buffer {
  return blake2s(Buffer.from(label), blake2s(KDF_LABEL, h));
}

/** Forward jumps of the counter that a 0.19 receiver still takes. */
const MAX_JUMP = 1024n;

/** Keys and counters of one session. */
export class LegacySession {
  readonly id: bigint;
  readonly noncePrefix: Buffer;
  readonly sendKey: Buffer;
  readonly receiveKey: Buffer;
  counter = 0n;
  #nextReceived = 0n;
  readonly #received = new Set<bigint>();

  constructor(h: Buffer, initiator: boolean) {
    this.id = h.readBigUInt64LE(0);
    this.noncePrefix = Buffer.alloc(4);
    this.noncePrefix.writeUInt32LE(Number((this.id & LOW32) ^ (this.id >> 32n)));
    const i2r = sessionKey(h, 'initiator-tx');
    const r2i = sessionKey(h, 'initiator-rx');
    [this.sendKey, this.receiveKey] = initiator ? [i2r, r2i] : [r2i, i2r];
  }

  seal(fields: Partial<Header>, events: readonly Uint8Array[] = []): Buffer {
    const plaintext = writeFrames(events);
    const counter = this.counter++;
    const header = writeHeader({
      ...fields,
      noncePrefix: this.noncePrefix,
      counter,
      sessionId: this.id,
      payloadLength: plaintext.length,
      eventCount: events.length,
    });
    const nonce = counterNonce(this.noncePrefix, counter);
    return Buffer.concat([header, seal(this.sendKey, nonce, aad(header), plaintext)]);
  }

  open(packet: Buffer, header: Header): Buffer[] {
    const { counter } = header;
    if (counter >= this.#nextReceived && counter - this.#nextReceived > MAX_JUMP) {
      throw new LegacyError('counter too far ahead');
    }
    if (this.#nextReceived - counter > MAX_JUMP || this.#received.has(counter)) {
      throw new LegacyError('replay');
    }
    const nonce = counterNonce(this.noncePrefix, counter);
    const bytes = packet.subarray(0, HEADER_BYTES);
    const plaintext = open(this.receiveKey, nonce, aad(bytes), packet.subarray(HEADER_BYTES));
    this.#received.add(counter);
    if (counter >= this.#nextReceived) this.#nextReceived = counter + 1n;
    return readFrames(plaintext, header.eventCount);
  }
}
