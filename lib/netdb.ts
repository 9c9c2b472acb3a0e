import './internal/async_dispose';
import { NetDb as CoreNetDb } from './core/netdb';
import type { NetDbBundle, NetDbOpenConfig } from './internal/cortex_types';
import { InvalidArgumentError } from './core/errors';
import { MemoriesAdapter } from './memories';
import { TasksAdapter } from './tasks';

const INTERNAL = Symbol('netmesh.internal');

/**
 * Tasks and memories of one origin, over logs of their own.
 *
 * ```ts
 * const db = await NetDb.open({ originHash: 0xABCDEF01n, withTasks: true });
 * const seq = db.tasks!.create(1n, 'write docs', 100n);
 * ```
 */
export class NetDb {
  /** The same in `netmesh/core`. */
  readonly napi: CoreNetDb;

  private constructor(token: symbol, inner: CoreNetDb) {
    if (token !== INTERNAL) throw new InvalidArgumentError('use NetDb.open');
    this.napi = inner;
  }

  /** Opens the models that are asked for, each caught up with its log. */
  static async open(config: NetDbOpenConfig): Promise<NetDb> {
    return new NetDb(INTERNAL, await CoreNetDb.open(config));
  }

  /**
   * Opens the models that are asked for from a bundle of {@link NetDb.snapshot}.
   *
   * @throws `NetDbError` for what is no bundle, with nothing opened.
   */
  static async openFromSnapshot(config: NetDbOpenConfig, bundle: NetDbBundle): Promise<NetDb> {
    return new NetDb(INTERNAL, await CoreNetDb.openFromSnapshot(config, bundle));
  }

  /** Null when it was not asked for. */
  get tasks(): TasksAdapter | null {
    const { tasks } = this.napi;
    return tasks === null ? null : new TasksAdapter(tasks);
  }

  /** Null when it was not asked for. */
  get memories(): MemoriesAdapter | null {
    const { memories } = this.napi;
    return memories === null ? null : new MemoriesAdapter(memories);
  }

  /** The state of the models, to be restored from later. */
  snapshot(): NetDbBundle {
    return this.napi.snapshot();
  }

  /** Closes the adapters. Idempotent. */
  close(): void {
    this.napi.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.napi[Symbol.asyncDispose]();
  }
}
