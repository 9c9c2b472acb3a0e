// What two netmesh buses say to each other: batches, and that a batch is stored.
//
//   batch  u8 1 ‖ u8 0 ‖ u16le shard ‖ u32le count ‖ u64le nonce ‖ u64le sequence ‖ count × u32le end ‖ bytes
//   stored u8 2 ‖ u8 0 ‖ u16le shard ‖ u32le count ‖ u64le nonce ‖ u64le sequence
//
// `nonce` and `sequence` name the first event of the batch as in dedup ids, so that a batch that comes
// twice is stored once.

const BATCH = 1;
const STORED = 2;
const HEAD_BYTES = 24;
const END_BYTES = 4;
/** Producers and shards whose last sequence is remembered. */
const MAX_SOURCES = 65_536;

/** Names a run of events of one shard. */
export interface Run {
  shard: number;
  nonce: bigint;
  sequence: bigint;
  count: number;
}

export type BusMessage = ({ kind: 'batch'; events: Buffer[] } & Run) | ({ kind: 'stored' } & Run);

function head(kind: number, { shard, nonce, sequence, count }: Run, extraBytes: number): Buffer {
  const out = Buffer.alloc(HEAD_BYTES + extraBytes);
  out.writeUInt8(kind, 0);
  out.writeUInt16LE(shard, 2);
  out.writeUInt32LE(count, 4);
  out.writeBigUInt64LE(nonce, 8);
  out.writeBigUInt64LE(sequence, 16);
  return out;
}

/** `events` lie one after another in `bytes`, each up to its end. */
export function batchMessage(run: Run, ends: ArrayLike<number>, bytes: Uint8Array): Buffer {
  const tableBytes = run.count * END_BYTES;
  const out = head(BATCH, run, tableBytes + bytes.length);
  for (let index = 0; index < run.count; index++) {
    out.writeUInt32LE(ends[index] ?? 0, HEAD_BYTES + index * END_BYTES);
  }
  out.set(bytes, HEAD_BYTES + tableBytes);
  return out;
}

export function storedMessage(run: Run): Buffer {
  return head(STORED, run, 0);
}

/** Undefined for what is no message of a bus. */
export function parseMessage(message: Buffer): BusMessage | undefined {
  if (message.length < HEAD_BYTES) return undefined;
  const count = message.readUInt32LE(4);
  const run: Run = {
    shard: message.readUInt16LE(2),
    nonce: message.readBigUInt64LE(8),
    sequence: message.readBigUInt64LE(16),
    count,
  };
  const kind = message.readUInt8(0);
  if (kind === STORED) return { kind: 'stored', ...run };
  const begin = HEAD_BYTES + count * END_BYTES;
  if (kind !== BATCH || begin > message.length) return undefined;
  const events: Buffer[] = [];
  let start = begin;
  for (let index = 0; index < count; index++) {
    const end = begin + message.readUInt32LE(HEAD_BYTES + index * END_BYTES);
    if (end < start || end > message.length) return undefined;
    events.push(message.subarray(start, end));
    start = end;
  }
  return start === message.length ? { kind: 'batch', events, ...run } : undefined;
}

/** Which events were stored already, by producer and shard. */
export class SeenRuns {
  /** Behind the last event stored; the source used last comes last. */
  readonly #next = new Map<string, bigint>();

  /** How many events at the front of the run are known. All of it is from now on. */
  note({ shard, nonce, sequence, count }: Run): number {
    const key = `${nonce}:${shard}`;
    const end = sequence + BigInt(count);
    const next = this.#next.get(key) ?? sequence;
    this.#next.delete(key);
    this.#next.set(key, end > next ? end : next);
    if (this.#next.size > MAX_SOURCES) {
      for (const [oldest] of this.#next) {
        this.#next.delete(oldest);
        break;
      }
    }
    if (next <= sequence) return 0;
    return next >= end ? count : Number(next - sequence);
  }
}
