import '../internal/async_dispose';
import type { NativeSnapshot } from '../../types/native';
import type { CortexSnapshot, NetDbBundle, NetDbOpenConfig } from '../internal/cortex_types';
import { addon } from '../internal/native';
import { classifyArguments } from '../internal/native_errors';
import * as validate from '../internal/validate';
import { CortexError, InvalidArgumentError } from './errors';
import { MemoriesAdapter } from './memories_adapter';
import { Redex } from './redex';
import { TasksAdapter } from './tasks_adapter';

const INTERNAL = Symbol('netmesh.internal');

interface Restored {
  readonly tasks: NativeSnapshot | null;
  readonly memories: NativeSnapshot | null;
}

const NOTHING: Restored = { tasks: null, memories: null };

function nativeSnapshot(snapshot: CortexSnapshot | undefined): NativeSnapshot | null {
  if (snapshot === undefined) return null;
  return { stateBytes: snapshot.stateBytes, lastSeq: snapshot.lastSeq ?? null };
}

/** Runs a step of opening or closing; its errors name the step instead of the adapter. */
async function step<T>(name: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run();
  } catch (error) {
    if (!(error instanceof CortexError)) throw error;
    const detail = error.message.replace(/^cortex: \w+ (open|open_from_snapshot) failed: /, '');
    throw new CortexError(`cortex: NetDb ${name}: ${detail}`);
  }
}

/** Tasks and memories of one origin over logs of their own. */
export class NetDb {
  readonly #tasks: TasksAdapter | null;
  readonly #memories: MemoriesAdapter | null;

  private constructor(token: symbol, tasks: TasksAdapter | null, memories: MemoriesAdapter | null) {
    if (token !== INTERNAL) throw new InvalidArgumentError('use NetDb.open');
    this.#tasks = tasks;
    this.#memories = memories;
  }

  /** Opens the models that are asked for, each caught up with its log. */
  static open(config: NetDbOpenConfig): Promise<NetDb> {
    return NetDb.#open(config, NOTHING, 'open');
  }

  /**
   * Opens the models that are asked for from a bundle of {@link NetDb.snapshot}. One that the bundle
   * does not have is opened as by {@link NetDb.open}.
   *
   * @throws `NetDbError` for what is no bundle.
   */
  static async openFromSnapshot(config: NetDbOpenConfig, bundle: NetDbBundle): Promise<NetDb> {
    validate.object(bundle, 'bundle');
    const bytes = validate.bytes(bundle.stateBytes, 'bundle.stateBytes');
    let restored: Restored;
    try {
      restored = addon().decodeBundle(bytes);
    } catch (error) {
      throw classifyArguments(error);
    }
    return NetDb.#open(config, restored, 'restore');
  }

  static async #open(config: NetDbOpenConfig, restored: Restored, verb: string): Promise<NetDb> {
    validate.object(config, 'config');
    const origin = validate.u64OrInteger(config.originHash, 'originHash');
    const flag = (name: 'persistent' | 'withTasks' | 'withMemories'): boolean =>
      validate.boolean(config[name] ?? false, name);
    const persistent = flag('persistent');
    const withTasks = flag('withTasks');
    const withMemories = flag('withMemories');
    const directory = config.persistentDir ?? undefined;
    if (directory !== undefined) validate.string(directory, 'persistentDir');

    const redex = new Redex(directory);
    const open = async <A>(
      Adapter: {
        open: (r: Redex, o: bigint, p: boolean) => Promise<A>;
        openFromSnapshot: (
          r: Redex,
          o: bigint,
          bytes: Uint8Array,
          lastSeq: bigint | null,
          p: boolean,
        ) => Promise<A>;
      },
      name: 'tasks' | 'memories',
    ): Promise<A> => {
      const entry = restored[name];
      return entry === null
        ? step(`open ${name}`, () => Adapter.open(redex, origin, persistent))
        : step(`${verb} ${name}`, () =>
            Adapter.openFromSnapshot(redex, origin, entry.stateBytes, entry.lastSeq, persistent),
          );
    };
    const tasks = withTasks ? await open(TasksAdapter, 'tasks') : null;
    try {
      const memories = withMemories ? await open(MemoriesAdapter, 'memories') : null;
      return new NetDb(INTERNAL, tasks, memories);
    } catch (error) {
      tasks?.close();
      throw error;
    }
  }

  /** Null when it was not asked for. */
  get tasks(): TasksAdapter | null {
    return this.#tasks;
  }

  /** Null when it was not asked for. */
  get memories(): MemoriesAdapter | null {
    return this.#memories;
  }

  /** The state of the models: of each as it is, one after the other. */
  snapshot(): NetDbBundle {
    const stateBytes = addon().encodeBundle(
      nativeSnapshot(this.#tasks?.snapshot()),
      nativeSnapshot(this.#memories?.snapshot()),
    );
    return { stateBytes };
  }

  /** Closes the adapters. Idempotent. */
  close(): void {
    this.#tasks?.close();
    this.#memories?.close();
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }
}
