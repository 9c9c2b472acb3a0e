import { MemoriesAdapter as CoreMemoriesAdapter } from './core/memories_adapter';
import type { AdapterOptions, CortexSnapshot, Memory, MemoryFilter } from './internal/cortex_types';
import { managerOf } from './internal/managers';
import { adapterOptions, RowAdapter } from './internal/row_adapter';
import * as validate from './internal/validate';
import type { Redex } from './redex';

/**
 * Memories over a log. Writing calls append an event and return its sequence number at once;
 * `waitForSeq` tells when queries see it.
 *
 * ```ts
 * const memories = await MemoriesAdapter.open(new Redex(), 0xABCDEF01n);
 * await memories.waitForSeq(memories.store(1n, 'likes tea', ['taste'], 'alice', 100n));
 * const tastes = memories.listMemories({ tag: 'taste' });
 * ```
 */
export class MemoriesAdapter extends RowAdapter<Memory, MemoryFilter, CoreMemoriesAdapter> {
  /** Opens the log `cortex/memories` of a manager and folds what it holds. */
  static async open(
    redex: Redex,
    originHash: bigint | number,
    opts?: AdapterOptions | null,
  ): Promise<MemoriesAdapter> {
    const { persistent } = adapterOptions(opts);
    return new MemoriesAdapter(
      await CoreMemoriesAdapter.open(managerOf(redex), originHash, persistent),
    );
  }

  /** Starts from a snapshot and folds what the log has after it. */
  static async openFromSnapshot(
    redex: Redex,
    originHash: bigint | number,
    snapshot: CortexSnapshot,
    opts?: AdapterOptions | null,
  ): Promise<MemoriesAdapter> {
    const { stateBytes, lastSeq } = validate.object(snapshot, 'snapshot');
    const { persistent } = adapterOptions(opts);
    return new MemoriesAdapter(
      await CoreMemoriesAdapter.openFromSnapshot(
        managerOf(redex),
        originHash,
        stateBytes,
        lastSeq,
        persistent,
      ),
    );
  }

  /** Stores a memory; one of this id keeps its age and its pin. */
  store(
    id: bigint | number,
    content: string,
    tags: readonly string[],
    source: string,
    nowNs: bigint | number,
  ): bigint {
    return this.napi.store(id, content, tags, source, nowNs);
  }

  /** Replaces all tags, if there is such a memory. */
  retag(id: bigint | number, tags: readonly string[], nowNs: bigint | number): bigint {
    return this.napi.retag(id, tags, nowNs);
  }

  /** Pins the memory, if there is such a one. */
  pin(id: bigint | number, nowNs: bigint | number): bigint {
    return this.napi.pin(id, nowNs);
  }

  /** Unpins the memory, if there is such a one. */
  unpin(id: bigint | number, nowNs: bigint | number): bigint {
    return this.napi.unpin(id, nowNs);
  }

  /** The memories that match, in order. */
  listMemories(filter?: MemoryFilter | null): Memory[] {
    return this.napi.listMemories(filter);
  }

  protected override openWatch(
    filter?: MemoryFilter | null,
  ): ReturnType<CoreMemoriesAdapter['watchMemories']> {
    return this.napi.watchMemories(filter);
  }

  protected override openSnapshotAndWatch(
    filter?: MemoryFilter | null,
  ): ReturnType<CoreMemoriesAdapter['snapshotAndWatchMemories']> {
    return this.napi.snapshotAndWatchMemories(filter);
  }
}
