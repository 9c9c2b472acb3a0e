// Snapshots of users' models: as those of tasks and memories, `varint(app_seq) varint(length) state`.

import { type ModelKey, isKey } from './model_rows';

const MORE = 0x80;
const MAX_VARINT_BYTES = 10;

function varint(value: bigint): Buffer {
  const bytes: number[] = [];
  let rest = value;
  do {
    const low = Number(rest & 0x7fn);
    rest >>= 7n;
    bytes.push(rest === 0n ? low : low | MORE);
  } while (rest !== 0n);
  return Buffer.from(bytes);
}

export function writeSnapshot(appSeq: bigint, state: Uint8Array): Buffer {
  return Buffer.concat([varint(appSeq), varint(BigInt(state.length)), state]);
}

/** @throws Error for what is no snapshot, or part of one. */
export function readSnapshot(bytes: Uint8Array): { appSeq: bigint; state: Buffer } {
  let at = 0;
  const read = (): bigint => {
    let value = 0n;
    for (let i = 0; i < MAX_VARINT_BYTES; i++) {
      const byte = bytes[at++];
      if (byte === undefined) break;
      value |= BigInt(byte & 0x7f) << BigInt(7 * i);
      if (byte < MORE && value === BigInt.asUintN(64, value)) return value;
    }
    throw new Error(`the ${bytes.length} bytes are no snapshot, or part of one`);
  };
  const appSeq = read();
  const length = read();
  if (length > BigInt(bytes.length - at)) {
    throw new Error(`the ${bytes.length} bytes are no snapshot, or part of one`);
  }
  const state = Buffer.from(bytes.buffer, bytes.byteOffset + at, Number(length));
  return { appSeq, state };
}

/** @throws TypeError for what is no list of keys and rows. */
export function rowsOf(state: unknown): Array<[ModelKey, unknown]> {
  if (!Array.isArray(state)) throw new TypeError('the state is not a list of rows');
  return state.map((entry: unknown) => {
    if (Array.isArray(entry) && entry.length === 2 && isKey(entry[0])) return [entry[0], entry[1]];
    throw new TypeError('the state has something that is no row');
  });
}
