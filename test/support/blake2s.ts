// BLAKE2s of RFC 7693 with a key, which OpenSSL does not offer, and what Noise builds on it.

const IV = [
  0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a, 0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19,
];

const SIGMA = [
  [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15],
  [14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3],
  [11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4],
  [7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8],
  [9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13],
  [2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9],
  [12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11],
  [13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10],
  [6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5],
  [10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0],
];

const BLOCK_BYTES = 64;
const HASH_BYTES = 32;

function rotr(value: number, bits: number): number {
  return (value >>> bits) | (value << (32 - bits));
}

function compress(h: Uint32Array, block: Buffer, counter: number, last: boolean): void {
  const m = Array.from({ length: 16 }, (_, i) => block.readUInt32LE(i * 4));
  const v = new Uint32Array(16);
  v.set(h);
  v.set(IV, 8);
  v[12]! ^= counter >>> 0;
  v[13]! ^= Math.floor(counter / 2 ** 32);
  if (last) v[14]! ^= 0xffffffff;
  const word = (i: number): number => v[i] ?? 0;
  const mix = (a: number, b: number, c: number, d: number, x: number, y: number): void => {
    v[a] = word(a) + word(b) + x;
    v[d] = rotr(word(d) ^ word(a), 16);
    v[c] = word(c) + word(d);
    v[b] = rotr(word(b) ^ word(c), 12);
    v[a] = word(a) + word(b) + y;
    v[d] = rotr(word(d) ^ word(a), 8);
    v[c] = word(c) + word(d);
    v[b] = rotr(word(b) ^ word(c), 7);
  };
  for (const s of SIGMA) {
    mix(0, 4, 8, 12, m[s[0]!]!, m[s[1]!]!);
    mix(1, 5, 9, 13, m[s[2]!]!, m[s[3]!]!);
    mix(2, 6, 10, 14, m[s[4]!]!, m[s[5]!]!);
    mix(3, 7, 11, 15, m[s[6]!]!, m[s[7]!]!);
    mix(0, 5, 10, 15, m[s[8]!]!, m[s[9]!]!);
    mix(1, 6, 11, 12, m[s[10]!]!, m[s[11]!]!);
    mix(2, 7, 8, 13, m[s[12]!]!, m[s[13]!]!);
    mix(3, 4, 9, 14, m[s[14]!]!, m[s[15]!]!);
  }
  for (let i = 0; i < 8; i++) h[i]! ^= v[i]! ^ v[i + 8]!;
}

/** 32 bytes of BLAKE2s, keyed when `key` is not empty. */
export function blake2s(data: Uint8Array, key: Uint8Array = new Uint8Array(0)): Buffer {
  const h = new Uint32Array(IV);
  h[0]! ^= 0x01010000 ^ (key.length << 8) ^ HASH_BYTES;
  const keyBlock = Buffer.alloc(key.length > 0 ? BLOCK_BYTES : 0);
  keyBlock.set(key);
  const input = Buffer.concat([keyBlock, data]);
  const blocks = Math.max(1, Math.ceil(input.length / BLOCK_BYTES));
  for (let i = 0; i < blocks; i++) {
    const last = i === blocks - 1;
    const block = Buffer.alloc(BLOCK_BYTES);
    input.copy(block, 0, i * BLOCK_BYTES);
    compress(h, block, last ? input.length : (i + 1) * BLOCK_BYTES, last);
  }
  const out = Buffer.alloc(HASH_BYTES);
  h.forEach((word, i) => out.writeUInt32LE(word, i * 4));
  return out;
}

/** HMAC (RFC 2104) over unkeyed BLAKE2s, as Noise wants it. */
export function hmac(key: Uint8Array, ...data: Uint8Array[]): Buffer {
  const pad = (byte: number): Buffer => {
    const block = Buffer.alloc(BLOCK_BYTES, byte);
    key.forEach((value, i) => (block[i]! ^= value));
    return block;
  };
  const inner = blake2s(Buffer.concat([pad(0x36), ...data]));
  return blake2s(Buffer.concat([pad(0x5c), inner]));
}

/** The HKDF of the Noise specification, §4.3. */
export function hkdf(chainingKey: Uint8Array, input: Uint8Array, outputs: 2 | 3): Buffer[] {
  const secret = hmac(chainingKey, input);
  const first = hmac(secret, Buffer.from([1]));
  const second = hmac(secret, first, Buffer.from([2]));
  return outputs === 2 ? [first, second] : [first, second, hmac(secret, second, Buffer.from([3]))];
}
