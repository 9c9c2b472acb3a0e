// The plain types of tasks, memories and their queries; exported by `netmesh/cortex`.

/** Whether a task is done. */
export enum TaskStatus {
  Pending = 'Pending',
  Completed = 'Completed',
}

/** Order of tasks. Tasks of the same time come in ascending order of their ids. */
export enum TasksOrderBy {
  IdAsc = 'IdAsc',
  IdDesc = 'IdDesc',
  CreatedAsc = 'CreatedAsc',
  CreatedDesc = 'CreatedDesc',
  UpdatedAsc = 'UpdatedAsc',
  UpdatedDesc = 'UpdatedDesc',
}

/** Order of memories. Memories of the same time come in ascending order of their ids. */
export enum MemoriesOrderBy {
  IdAsc = 'IdAsc',
  IdDesc = 'IdDesc',
  CreatedAsc = 'CreatedAsc',
  CreatedDesc = 'CreatedDesc',
  UpdatedAsc = 'UpdatedAsc',
  UpdatedDesc = 'UpdatedDesc',
}

/** A task. Times are what the callers passed, by convention nanoseconds since the Unix epoch. */
export interface Task {
  id: bigint;
  title: string;
  status: TaskStatus;
  createdNs: bigint;
  updatedNs: bigint;
}

/** A memory. Times are what the callers passed, by convention nanoseconds since the Unix epoch. */
export interface Memory {
  id: bigint;
  content: string;
  /** In the order in which they were given. */
  tags: string[];
  source: string;
  createdNs: bigint;
  updatedNs: bigint;
  pinned: boolean;
}

/** Bounds of time, both ends included. Undefined or null: no condition. */
export interface TimeFilter {
  createdAfterNs?: bigint | null;
  createdBeforeNs?: bigint | null;
  updatedAfterNs?: bigint | null;
  updatedBeforeNs?: bigint | null;
}

/** Conditions on tasks, all of which hold. Undefined or null: no condition. */
export interface TaskFilter extends TimeFilter {
  status?: TaskStatus | null;
  /** Part of the title, whatever its case. */
  titleContains?: string | null;
  /** Default: `IdAsc`. */
  orderBy?: TasksOrderBy | null;
  /** At most so many, the first in order. */
  limit?: number | null;
}

/** Conditions on memories, all of which hold. Undefined or null: no condition. */
export interface MemoryFilter extends TimeFilter {
  source?: string | null;
  /** Part of the content, whatever its case. */
  contentContains?: string | null;
  /** A tag that it has. */
  tag?: string | null;
  /** Tags of which it has at least one; none: no condition. */
  anyTag?: string[] | null;
  /** Tags all of which it has. */
  allTags?: string[] | null;
  pinned?: boolean | null;
  /** Default: `IdAsc`. */
  orderBy?: MemoriesOrderBy | null;
  /** At most so many, the first in order. */
  limit?: number | null;
}

/** The state of one model, to be kept and restored from. */
export interface CortexSnapshot {
  stateBytes: Buffer;
  /** The last event that it contains; undefined when there is none. */
  lastSeq?: bigint;
}

/** The state of a `NetDb`. */
export interface NetDbBundle {
  stateBytes: Buffer;
}

/** How far the fold of an adapter has come. */
export interface FoldProgress {
  /** The last event consumed, whether applied or skipped; undefined when there is none. */
  foldedThrough?: bigint;
  /** The last event up to which nothing was skipped; undefined when there is none. */
  appliedThrough?: bigint;
  /** Events skipped: payloads that are no events of the model, and gaps in the log. */
  errors: bigint;
}

/** Options of `TasksAdapter.open` and its kin. */
export interface AdapterOptions {
  /** Keep the log on disk; the `Redex` needs a `persistentDir`. Default: false. */
  persistent?: boolean | null;
}

/** Options of `NetDb.open`. */
export interface NetDbOpenConfig {
  /** Where persistent logs live. */
  persistentDir?: string | null;
  /** Who writes: stamped on every event. */
  originHash: bigint | number;
  /** Keep the logs on disk. Default: false. */
  persistent?: boolean | null;
  /** Open tasks. Default: false. */
  withTasks?: boolean | null;
  /** Open memories. Default: false. */
  withMemories?: boolean | null;
}

/** A result, and what becomes of it from that instant on. */
export interface SnapshotAndWatch<T> {
  readonly snapshot: T[];
  readonly updates: AsyncIterable<T[]>;
}
