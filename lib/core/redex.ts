import type { NativeRedex, NativeRedexFile, NativeRedexTail } from '../../types/native';
import { addon } from '../internal/native';
import { redexError } from '../internal/native_errors';
import { parseFileConfig, payloadProblem, redexU64 } from '../internal/redex_config';
import { RedexMailbox } from '../internal/redex_mailbox';
import { eventAt, eventCount, TailReader } from '../internal/redex_tail';
import { describe } from '../internal/validate';
import { RedexError } from './errors';

/** One event of a log. */
export interface RedexEventJs {
  /** Its place in the log, from 0. */
  seq: bigint;
  /** The payload: a view of a block that it shares with neighbours. Copy what is kept for long. */
  payload: Buffer;
  /** The low 28 bits of the payload's XXH3, as stored. */
  checksum: number;
  /** The payload lies in the index record, as another writer may have chosen for 8 bytes. */
  isInline: boolean;
}

/** How a log is replicated over a mesh. */
export interface ReplicationConfigJs {
  factor?: number;
  heartbeatMs?: bigint;
  placement?: string;
  pinnedNodes?: bigint[];
  leaderPinned?: bigint;
  onUnderCapacity?: string;
  replicationBudgetFraction?: number;
}

/** What can be chosen when a log is opened. `null` is as good as nothing. */
export interface RedexFileConfigJs {
  /** Kept in the manager's directory. Default: false, in memory. */
  persistent?: boolean | null;
  /** Syncs in the background after so many events. Not together with `fsyncIntervalMs`. */
  fsyncEveryN?: bigint | number | null;
  /** Syncs in the background when so long has passed since something was appended. */
  fsyncIntervalMs?: number | null;
  /** Keeps the newest so many events. */
  retentionMaxEvents?: bigint | number | null;
  /** Keeps the newest events that fit; each counts its payload and 20 bytes. */
  retentionMaxBytes?: bigint | number | null;
  /** Keeps events of up to this age. */
  retentionMaxAgeMs?: bigint | number | null;
  /** Needs replication to be enabled on the manager. */
  replication?: ReplicationConfigJs | null;
}

/** A log's state at one instant. */
export interface RedexFileStatsJs {
  /** Retained events. */
  events: bigint;
  /** The oldest of them; `nextSeq` when there is none. */
  firstSeq: bigint;
  /** What the next event gets. */
  nextSeq: bigint;
  /** Payloads of the retained events. */
  payloadBytes: bigint;
  /** Events before this one are on disk. 0 in memory. */
  syncedSeq: bigint;
  /** Events withheld because their checksum does not fit. */
  corruptReads: bigint;
  /** Syncs in the background that failed. */
  failedSyncs: bigint;
  /** Times that the files were rewritten without what was evicted. */
  compactions: bigint;
}

/** Shows that a constructor was called from here. */
const INTERNAL = Symbol('netmesh.internal');
/** As `Array.isArray`, which makes `any` of the elements. */
const isArray: (value: unknown) => boolean = Array.isArray;
/** Longer batches are handed to the addon as an array. */
const MAX_ARGUMENTS = 256;
/** Read from the addon at a time. */
const MAX_RANGE_EVENTS = 1 << 20;
const MAX_RANGE_BYTES = 64 << 20;

/**
 * The addon's manager of a {@link Redex}.
 *
 * @internal
 */
export let nativeRedexOf: (redex: Redex) => NativeRedex;

/** Opens logs by channel name: in memory, or in a directory that is its own. */
export class Redex {
  readonly #native: NativeRedex;
  readonly #mailbox = new RedexMailbox();

  static {
    nativeRedexOf = (redex) => redex.#native;
  }

  /**
   * @param persistentDir - Where persistent logs live. Created when the first one is opened.
   */
  constructor(persistentDir?: string | null) {
    if (persistentDir !== undefined && persistentDir !== null) {
      const bad = typeof persistentDir !== 'string' || persistentDir === '';
      if (bad || persistentDir.includes('\0')) {
        throw new RedexError(
          `redex: config: persistentDir must be a path; got ${describe(persistentDir)}`,
        );
      }
    }
    this.#native = new (addon().NativeRedex)(persistentDir ?? undefined, this.#mailbox.onReady);
  }

  /**
   * Opens a log. A name that is open already gives the same log, whatever `config` says. Opening a
   * persistent one reads and checks all of it, which takes about a second per GiB.
   *
   * @throws RedexError for a bad name or configuration, when another process has the log open, and
   *   when the disk fails.
   */
  openFile(channelName: string, config?: RedexFileConfigJs | null): RedexFile {
    if (typeof channelName !== 'string') {
      throw new RedexError(
        `redex: invalid channel name: expected a string, got ${describe(channelName)}`,
      );
    }
    const options = parseFileConfig(config);
    if (config?.replication !== undefined && config.replication !== null) {
      throw new RedexError(
        'redex: open_file: channel error: RedexFileConfig::replication requires ' +
          'Redex::enable_replication(mesh)',
      );
    }
    try {
      return new RedexFile(INTERNAL, this.#native.openFile(channelName, options), this.#mailbox);
    } catch (error) {
      throw redexError('open_file', error);
    }
  }

  /** Names of the open logs, sorted. */
  openFiles(): string[] {
    return this.#native.names();
  }

  /** Logs that replicate; 0 when replication is not enabled. */
  replicationRuntimeCount(): number {
    return 0;
  }

  /** The metrics of replication; empty when it is not enabled. */
  replicationPrometheusText(): string {
    return '';
  }
}

/** A log. Handles of one name share everything. */
export class RedexFile {
  readonly #native: NativeRedexFile;
  readonly #mailbox: RedexMailbox;

  /** @internal */
  constructor(token: symbol, native: NativeRedexFile, mailbox: RedexMailbox) {
    if (token !== INTERNAL) throw new TypeError('RedexFile objects come from Redex.openFile');
    this.#native = native;
    this.#mailbox = mailbox;
  }

  /**
   * Appends one event and returns its sequence number. A persistent log has handed the bytes to the
   * operating system by then.
   *
   * @throws RedexError when the log is closed or cannot take it; nothing was appended then.
   */
  append(payload: Uint8Array): bigint {
    try {
      return this.#native.append(payload);
    } catch (error) {
      throw appendError('append', payloadProblem(payload, 'payload'), error);
    }
  }

  /** Appends all events or none. The first sequence number, or null for an empty list. */
  appendBatch(payloads: readonly Uint8Array[]): bigint | null {
    try {
      const asArguments = payloads.length <= MAX_ARGUMENTS && isArray(payloads);
      const first = asArguments
        ? this.#native.appendEach(...payloads)
        : this.#native.appendBatch(payloads);
      return payloads.length === 0 ? null : first;
    } catch (error) {
      let problem: string | undefined;
      if (!Array.isArray(payloads)) {
        problem = `payloads must be an array of Buffer or Uint8Array; got ${describe(payloads)}`;
      } else {
        const list: readonly unknown[] = payloads;
        for (let i = 0; i < list.length && problem === undefined; i += 1) {
          problem = payloadProblem(list[i], `payloads[${i}]`);
        }
      }
      throw appendError('append_batch', problem, error);
    }
  }

  /**
   * Appends, and resolves with the sequence number when the event is on disk. Calls made while a
   * sync runs share the next one.
   */
  async appendDurable(payload: Uint8Array): Promise<bigint> {
    const seq = this.append(payload);
    await this.sync();
    return seq;
  }

  /** Retained events from `start` up to `end`, excluded. Works on a closed log. */
  readRange(start: bigint, end: bigint): RedexEventJs[] {
    let from = redexU64(start, 'start');
    const until = redexU64(end, 'end');
    const events: RedexEventJs[] = [];
    while (from < until) {
      const block = this.#native.readRange(from, until, MAX_RANGE_EVENTS, MAX_RANGE_BYTES);
      const count = eventCount(block);
      for (let i = 0; i < count; i += 1) events.push(eventAt(block, i));
      from = block.next;
    }
    return events;
  }

  /** How many events are retained. */
  len(): bigint {
    return this.#native.len();
  }

  /** Where the log stands. */
  stats(): RedexFileStatsJs {
    return this.#native.stats();
  }

  /** Gives back the space of evicted events now. The limits hold without it. */
  sweepRetention(): void {
    this.#native.sweepRetention();
  }

  /** True once {@link RedexFile.close} was called. */
  get closed(): boolean {
    return this.#native.closed;
  }

  /** Follows the log: what it retains from `fromSeq` on, then every event that is appended. */
  tail(fromSeq?: bigint | null): Promise<RedexTailIter> {
    try {
      return Promise.resolve(this.openTail(fromSeq ?? 0n));
    } catch (error) {
      return Promise.reject(error);
    }
  }

  /** @internal */
  openTail(fromSeq: bigint): RedexTailIter {
    const native = this.#native.tail(redexU64(fromSeq, 'from_seq'));
    return new RedexTailIter(INTERNAL, native, this.#mailbox);
  }

  /** Resolves when everything appended so far is on disk. At once for a log in memory. */
  sync(): Promise<void> {
    return this.#mailbox.request('sync', this.#native, this.#native.sync());
  }

  /**
   * Refuses appends and ends tails, both before it returns; resolves when all is on disk. The log can
   * still be read. Opening the name again opens it anew.
   */
  close(): Promise<void> {
    return this.#mailbox.request('close', this.#native, this.#native.close());
  }
}

/** A log being followed. */
export class RedexTailIter {
  /** @internal */
  readonly reader: TailReader;

  /** @internal */
  constructor(token: symbol, native: NativeRedexTail, mailbox: RedexMailbox) {
    if (token !== INTERNAL) throw new TypeError('RedexTailIter objects come from RedexFile.tail');
    this.reader = new TailReader(native, mailbox);
  }

  /**
   * The next event; null when the log or the tail was closed.
   *
   * @throws RedexError once when retention has taken what would have come next.
   */
  next(): Promise<RedexEventJs | null> {
    return this.reader.next();
  }

  /** Stops. A waiting `next()` and all later ones get null. */
  close(): void {
    this.reader.close();
  }
}

function appendError(context: string, problem: string | undefined, error: unknown): unknown {
  if (problem !== undefined) return new RedexError(`redex: ${context}: ${problem}`);
  return redexError(context, error);
}
