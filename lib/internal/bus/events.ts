// Events as JavaScript sees them, made from the columns that the addon fills.

import type { NativeMerged, NativeShardPage, NativeStorePage } from '../../../types/native';
import type { PollResponseData, StoredEvent } from '../../types';

const STORE_COLUMNS = 6;
const MERGED_COLUMNS = 7;
const ASCII = 0;
const UTF8 = 1;

/** `Buffer` with the methods that read a range without making a view of it first. */
interface SlicingBuffer extends Buffer {
  latin1Slice(start: number, end: number): string;
  utf8Slice(start: number, end: number): string;
}

/** Has the members of an event of net-mesh as its own, and what netmesh adds behind them. */
class PolledEvent implements StoredEvent {
  readonly #bytes: Buffer;
  readonly #start: number;
  readonly #end: number;
  readonly #emittedAtMs: number | undefined;
  readonly #dedupId: string | undefined;

  constructor(
    readonly id: string,
    readonly raw: string,
    readonly insertionTs: number,
    readonly shardId: number,
    bytes: Buffer,
    range: readonly [start: number, end: number],
    emittedAtMs?: number,
    dedupId?: string,
  ) {
    this.#bytes = bytes;
    [this.#start, this.#end] = range;
    this.#emittedAtMs = emittedAtMs;
    this.#dedupId = dedupId;
  }

  get rawBytes(): Buffer {
    return this.#bytes.subarray(this.#start, this.#end);
  }

  get emittedAtMs(): number | undefined {
    return this.#emittedAtMs;
  }

  get dedupId(): string | undefined {
    return this.#dedupId;
  }
}

function textOf(bytes: Buffer, start: number, end: number, kind: number | undefined): string {
  if (kind === ASCII) return (bytes as SlicingBuffer).latin1Slice(start, end);
  return kind === UTF8 ? (bytes as SlicingBuffer).utf8Slice(start, end) : '';
}

/** The answer to a poll of the bus's own store. */
export function fromStore(page: NativeStorePage): PollResponseData {
  const { columns, nextId, hasMore, expired, failedShards } = page;
  const bytes = Buffer.from(page.data);
  const events = new Array<StoredEvent>(columns.length / STORE_COLUMNS);
  let start = 0;
  for (let index = 0, at = 0; index < events.length; index++, at += STORE_COLUMNS) {
    const end = columns[at] ?? 0;
    events[index] = new PolledEvent(
      String(columns[at + 1]),
      textOf(bytes, start, end, columns[at + 5]),
      columns[at + 3] ?? 0,
      columns[at + 2] ?? 0,
      bytes,
      [start, end],
      columns[at + 4],
    );
    start = end;
  }
  return {
    events,
    nextId,
    hasMore,
    ...(failedShards.length > 0 && { failedShards }),
    ...(expired > 0 && { expired }),
  };
}

/** A shard's page with the ids that go with its entries. */
export interface FetchedPage extends NativeShardPage {
  entries: readonly Buffer[];
  dedupIds?: ReadonlyArray<string | undefined>;
}

/** The answer to a poll of a backend. */
export function fromMerged(merged: NativeMerged, pages: readonly FetchedPage[]): PollResponseData {
  const { columns, nextId, hasMore, failedShards } = merged;
  const events: StoredEvent[] = [];
  for (let at = 0; at < columns.length; at += MERGED_COLUMNS) {
    const page = pages[columns[at] ?? 0];
    const index = columns[at + 1] ?? 0;
    const entry = page?.entries[index];
    if (page === undefined || entry === undefined) continue;
    const start = columns[at + 2] ?? 0;
    const end = start + (columns[at + 3] ?? 0);
    events.push(
      new PolledEvent(
        page.ids[index] ?? '',
        textOf(entry, start, end, columns[at + 6]),
        columns[at + 4] ?? 0,
        columns[at + 5] ?? 0,
        entry,
        [start, end],
        undefined,
        page.dedupIds?.[index],
      ),
    );
  }
  return { events, nextId, hasMore, ...(failedShards.length > 0 && { failedShards }) };
}
