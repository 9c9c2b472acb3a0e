import type { NativeMemories, NativeMemoryFilter } from '../../types/native';
import { AdapterCore } from '../internal/cortex_adapter';
import { memoryFilter } from '../internal/cortex_filters';
import { decodeMemories } from '../internal/cortex_rows';
import type { Memory, MemoryFilter } from '../internal/cortex_types';
import { addon } from '../internal/native';
import { explain } from '../internal/native_errors';
import {
  Adapter,
  type OpenArguments,
  SnapshotAndWatchIter,
  WatchIter,
  openCore,
  promised,
} from './adapter';
import { InvalidArgumentError } from './errors';
import type { Redex } from './redex';

type Core = AdapterCore<Memory, NativeMemoryFilter, NativeMemories>;

const INTERNAL = Symbol('netmesh.internal');

/** The changes of one filter's result, see {@link MemoriesAdapter.watchMemories}. */
export class MemoryWatchIter extends WatchIter<Memory> {}

/** A result and what becomes of it, see {@link MemoriesAdapter.snapshotAndWatchMemories}. */
export class MemoriesSnapshotAndWatch extends SnapshotAndWatchIter<Memory> {}

/**
 * Memories, folded from the log `cortex/memories` on a thread of its own. Writing calls return the log's
 * sequence number at once; `waitForSeq` tells when the state has it.
 */
export class MemoriesAdapter extends Adapter<Memory, NativeMemoryFilter, NativeMemories> {
  /** @internal */
  constructor(token: symbol, core: Core, originHash: bigint) {
    if (token !== INTERNAL) throw new InvalidArgumentError('use MemoriesAdapter.open');
    super(core, originHash);
  }

  /** Opens the log and resolves when everything in it is folded. */
  static open(
    redex: Redex,
    originHash: bigint | number,
    persistent?: boolean | null,
  ): Promise<MemoriesAdapter> {
    return open('MemoriesAdapter open failed', { redex, originHash, persistent, snapshot: null });
  }

  /** Starts from a snapshot and folds what the log has after it. */
  static openFromSnapshot(
    redex: Redex,
    originHash: bigint | number,
    stateBytes: Uint8Array,
    lastSeq?: bigint | null,
    persistent?: boolean | null,
  ): Promise<MemoriesAdapter> {
    const snapshot = { stateBytes, lastSeq };
    return open('MemoriesAdapter open_from_snapshot failed', {
      redex,
      originHash,
      persistent,
      snapshot,
    });
  }

  /** Stores a memory; one of this id keeps its age and its pin. */
  store(
    id: bigint | number,
    content: string,
    tags: readonly string[],
    source: string,
    nowNs: bigint | number,
  ): bigint {
    try {
      return this.core.native.store(id as bigint, content, tags, source, nowNs as bigint);
    } catch (error) {
      throw explain(error, { id, nowNs }, { content, source }, { tags });
    }
  }

  /** Replaces all tags, if there is such a memory. */
  retag(id: bigint | number, tags: readonly string[], nowNs: bigint | number): bigint {
    try {
      return this.core.native.retag(id as bigint, tags, nowNs as bigint);
    } catch (error) {
      throw explain(error, { id, nowNs }, {}, { tags });
    }
  }

  /** Pins the memory, if there is such a one. */
  pin(id: bigint | number, nowNs: bigint | number): bigint {
    try {
      return this.core.native.pin(id as bigint, nowNs as bigint);
    } catch (error) {
      throw explain(error, { id, nowNs });
    }
  }

  /** Unpins the memory, if there is such a one. */
  unpin(id: bigint | number, nowNs: bigint | number): bigint {
    try {
      return this.core.native.unpin(id as bigint, nowNs as bigint);
    } catch (error) {
      throw explain(error, { id, nowNs });
    }
  }

  /** Removes the memory, if there is such a one. */
  delete(id: bigint | number): bigint {
    try {
      return this.core.native.delete(id as bigint);
    } catch (error) {
      throw explain(error, { id });
    }
  }

  /** The rows that match, in order. */
  listMemories(filter?: MemoryFilter | null): Memory[] {
    return this.core.list(memoryFilter(filter));
  }

  /** Follows the rows that match, beginning with those of now. */
  watchMemories(filter?: MemoryFilter | null): Promise<MemoryWatchIter> {
    return promised(() =>
      Promise.resolve(new MemoryWatchIter(this.core.watch(memoryFilter(filter)))),
    );
  }

  /** The rows that match and, without a gap between, what becomes of them. */
  snapshotAndWatchMemories(filter?: MemoryFilter | null): Promise<MemoriesSnapshotAndWatch> {
    return promised(() => {
      const { block, watch } = this.core.snapshotAndWatch(memoryFilter(filter));
      return Promise.resolve(new MemoriesSnapshotAndWatch(watch, () => decodeMemories(block)));
    });
  }
}

async function open(context: string, from: OpenArguments): Promise<MemoriesAdapter> {
  const core: Core = new AdapterCore(
    (onReady) => new (addon().NativeMemories)(onReady),
    decodeMemories,
  );
  return new MemoriesAdapter(INTERNAL, core, await openCore(core, context, from));
}
