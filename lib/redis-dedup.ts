/**
 * `RedisStreamDedup`: filters repeated deliveries on the consumer's side.
 *
 * @packageDocumentation
 */

import { InvalidArgumentError } from './core/errors';
import { describe } from './internal/validate';

const DEFAULT_CAPACITY = 4096;
const MAX_CAPACITY = 16_777_216;

/**
 * An exact window over the ids seen last. A new id pushes out the oldest one when the window is full;
 * seeing an id again does not make it younger. Choose the capacity as events per second × seconds
 * within which a delivery may be repeated.
 *
 * @example
 * ```typescript
 * const dedup = new RedisStreamDedup(600_000);
 * if (!dedup.isDuplicate(entry.message.dedup_id)) handle(entry);
 * ```
 */
export class RedisStreamDedup {
  readonly #capacity: number;
  readonly #seen = new Set<string>();
  /** Ids in the order in which they came; a ring once it is full. */
  readonly #order: string[] = [];
  #oldest = 0;

  /** `capacity`: ids to remember. Default: 4096; 0 counts as 1, and 16 777 216 is the most. */
  constructor(capacity: number = DEFAULT_CAPACITY) {
    if (typeof capacity !== 'number') {
      throw new InvalidArgumentError(`capacity must be a number; got ${describe(capacity)}`);
    }
    this.#capacity = Math.min(Math.max(capacity >>> 0, 1), MAX_CAPACITY);
  }

  /** True when the id was seen before; else it is remembered. */
  isDuplicate(dedupId: string): boolean {
    if (typeof dedupId !== 'string') {
      throw new InvalidArgumentError(`dedupId must be a string; got ${describe(dedupId)}`);
    }
    if (this.#seen.has(dedupId)) return true;
    if (this.#order.length < this.#capacity) {
      this.#order.push(dedupId);
    } else {
      this.#seen.delete(this.#order[this.#oldest] ?? '');
      this.#order[this.#oldest] = dedupId;
      this.#oldest = (this.#oldest + 1) % this.#capacity;
    }
    this.#seen.add(dedupId);
    return false;
  }

  /** Ids remembered now. */
  get len(): number {
    return this.#seen.size;
  }

  /** Ids remembered at most. */
  get capacity(): number {
    return this.#capacity;
  }

  get isEmpty(): boolean {
    return this.#seen.size === 0;
  }

  /** Forgets everything. */
  clear(): void {
    this.#seen.clear();
    this.#order.length = 0;
    this.#oldest = 0;
  }
}
