// Watches on the capability index of a node, as supplies of events.

import type { NativeNode } from '../../types/native';
import type { CapabilityEvent } from '../types';
import { Supply } from './async_queue';

/** The watches of one node. What nobody reads stays in the addon, merged to one event per node. */
export class CapabilityWatches {
  readonly #native: NativeNode;
  readonly #supplies = new Map<number, Supply<CapabilityEvent>>();

  constructor(native: NativeNode) {
    this.#native = native;
  }

  /** Opens a watch; throws what the addon says. */
  open(filter: object, scope: object | undefined): { supply: Supply<CapabilityEvent>; id: number } {
    const id = this.#native.watchCapabilities(filter, scope);
    let ready = [][Symbol.iterator]() as Iterator<CapabilityEvent, undefined>;
    const supply = new Supply<CapabilityEvent>(() => {
      const next = ready.next();
      if (!next.done || supply.ended) return next.value;
      ready = this.#native.pollWatch(id)[Symbol.iterator]();
      return ready.next().value;
    });
    this.#supplies.set(id, supply);
    return { supply, id };
  }

  close(id: number): void {
    if (this.#supplies.delete(id)) this.#native.unwatchCapabilities(id);
  }

  /** Some have something to report: those that somebody waits for take it. */
  wake(): void {
    for (const supply of this.#supplies.values()) {
      if (supply.waiting) supply.wake();
    }
  }

  /** The node ends: so does every watch. */
  end(): void {
    for (const supply of this.#supplies.values()) supply.end();
    this.#supplies.clear();
  }
}
