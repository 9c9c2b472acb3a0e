/**
 * Event-sourced state, and the logs under it.
 *
 * @packageDocumentation
 */

export { CortexError, NetDbError, RedexError } from './core/errors';
export { WriteToken } from './core/write_token';
export { MemoriesOrderBy, TaskStatus, TasksOrderBy } from './internal/cortex_types';
export type {
  AdapterOptions,
  CortexSnapshot,
  FoldProgress,
  Memory,
  MemoryFilter,
  NetDbBundle,
  NetDbOpenConfig,
  SnapshotAndWatch,
  Task,
  TaskFilter,
  TimeFilter,
} from './internal/cortex_types';
export { MemoriesAdapter } from './memories';
export { Model, defineModel, event, rowsOf } from './model';
export type {
  EventInfo,
  EventType,
  IndexFunction,
  IndexValue,
  ModelClass,
  ModelCodec,
  ModelDefinition,
  ModelKey,
  ModelQuery,
  ModelRows,
  RowType,
} from './model';
export { NetDb } from './netdb';
export { TasksAdapter } from './tasks';
export { Redex, RedexFile } from './redex';
export type {
  RedexEvent,
  RedexFileConfig,
  RedexFileStats,
  RedexOptions,
  RedexTailOptions,
} from './redex';
