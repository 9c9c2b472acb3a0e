// The events of a tail, taken from the addon block by block.

import type { NativeRedexEvents, NativeRedexTail } from '../../types/native';
import { RedexError } from '../core/errors';
import type { RedexEventJs } from '../core/redex';
import type { RedexMailbox } from './redex_mailbox';

const WORDS = 5;
const INLINE_BIT = 0x8000_0000;
const CHECKSUM_MASK = 0x0fff_ffff;
/** Per block. Events that are kept keep their block, so it is not large. */
const MAX_EVENTS = 1024;
const MAX_BYTES = 64 * 1024;

const CAUGHT_UP = 1;
const ENDED = 2;
const LAGGED = 3;

/** Event number `index` of a block. */
export function eventAt({ data, meta }: NativeRedexEvents, index: number): RedexEventJs {
  const at = index * WORDS;
  const word = meta[at + 4] as number;
  const high = meta[at + 1] as number;
  const low = meta[at] as number;
  return {
    seq: high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low),
    payload: Buffer.from(data, meta[at + 2], meta[at + 3]),
    checksum: word & CHECKSUM_MASK,
    isInline: word >>> 0 >= INLINE_BIT,
  };
}

export function eventCount({ meta }: NativeRedexEvents): number {
  return meta.length / WORDS;
}

interface Waiter {
  readonly resolve: (event: RedexEventJs | null) => void;
  readonly reject: (error: unknown) => void;
}

/** A tail as JavaScript reads it: an event, or nothing now, or the end. */
export class TailReader {
  readonly #native: NativeRedexTail;
  readonly #mailbox: RedexMailbox;
  #block: NativeRedexEvents | undefined;
  #index = 0;
  #count = 0;
  /** As of the last take. */
  #state = 0;
  #closed = false;
  #waiters: Waiter[] = [];

  constructor(native: NativeRedexTail, mailbox: RedexMailbox) {
    this.#native = native;
    this.#mailbox = mailbox;
    mailbox.listen(native.id, () => {
      this.#state = 0;
      this.#serve();
    });
  }

  /** The next event, null at the end, or a rejection when the tail has lagged. */
  next(): Promise<RedexEventJs | null> {
    if (this.#waiters.length === 0) {
      try {
        const event = this.#pull();
        if (event !== undefined) return Promise.resolve(event);
      } catch (error) {
        return Promise.reject(error);
      }
    }
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      if (this.#waiters.length === 1) this.#mailbox.hold(this.#native);
    });
  }

  /** Waiting reads and all later ones get the end. */
  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#block = undefined;
    this.#mailbox.listen(this.#native.id, undefined);
    this.#native.close();
    this.#serve();
  }

  /** Rejects waiting reads with a signal's reason and closes; whether somebody waited. */
  abort(reason: unknown): boolean {
    const waiters = this.#leave();
    for (const waiter of waiters) waiter.reject(reason);
    this.close();
    return waiters.length > 0;
  }

  /** An event, null at the end, undefined when there is none now. */
  #pull(): RedexEventJs | null | undefined {
    for (;;) {
      if (this.#closed) return null;
      if (this.#block !== undefined) {
        const event = eventAt(this.#block, this.#index);
        this.#index += 1;
        if (this.#index === this.#count) this.#block = undefined;
        return event;
      }
      if (this.#state === CAUGHT_UP) return undefined;
      if (this.#state === ENDED) {
        this.close();
        return null;
      }
      if (this.#state === LAGGED) {
        this.close();
        throw new RedexError(
          'redex: tail: tail subscriber lagged; stream disconnected',
          'ERR_NETMESH_REDEX_LAGGED',
        );
      }
      const taken = this.#native.take(MAX_EVENTS, MAX_BYTES);
      if (typeof taken === 'number') {
        this.#state = taken;
      } else {
        this.#state = taken.state;
        this.#block = taken;
        this.#index = 0;
        this.#count = eventCount(taken);
      }
    }
  }

  #serve(): void {
    while (this.#waiters.length > 0) {
      let event: RedexEventJs | null | undefined;
      try {
        event = this.#pull();
      } catch (error) {
        const first = this.#waiters.shift();
        const rest = this.#leave(1);
        first?.reject(error);
        for (const waiter of rest) waiter.resolve(null);
        return;
      }
      if (event === undefined) return;
      const waiter = this.#waiters.shift();
      if (this.#waiters.length === 0) this.#mailbox.release(this.#native);
      waiter?.resolve(event);
    }
  }

  /** Takes everybody out of the line; `already` were taken before. */
  #leave(already = 0): Waiter[] {
    const waiters = this.#waiters;
    this.#waiters = [];
    if (waiters.length + already > 0) this.#mailbox.release(this.#native);
    return waiters;
  }
}
