// Async iteration by hand: async generators cost several promises per item, and items are messages.

import './async_dispose';
import { onAbort, rejected } from './abort';

/** An async iterator that can be closed. Several readers of one source share its items. */
export interface ClosableIterator<T> extends AsyncIterableIterator<T> {
  /** The next item, or the end. Waits when there is none. */
  next(): Promise<IteratorResult<T, undefined>>;
  /** Stops reading: what was not read stays for other readers. */
  return(): Promise<IteratorResult<T, undefined>>;
  [Symbol.asyncIterator](): ClosableIterator<T>;
  [Symbol.asyncDispose](): Promise<void>;
}

interface Waiter<T> {
  readonly reader: Reader<T>;
  readonly resolve: (result: IteratorResult<T, undefined>) => void;
  readonly reject: (error: unknown) => void;
}

/** Where readers take items from, and the line in which they wait while there are none. */
export class Supply<T> {
  /** Takes the next item, or undefined when there is none now. */
  readonly take: () => T | undefined;
  /** Called when items or the end have come, for a consumer that is not a reader. */
  onReady: (() => void) | undefined;
  #waiting: Array<Waiter<T>> = [];
  #ended = false;
  #failure: Error | undefined;

  constructor(take: () => T | undefined) {
    this.take = take;
  }

  /** True when nothing will be added; items may still be there. */
  get ended(): boolean {
    return this.#ended;
  }

  /** Why it ended, when it was not the regular end. */
  get failure(): Error | undefined {
    return this.#failure;
  }

  get waiting(): boolean {
    return this.#waiting.length > 0;
  }

  /** Items may have come: hands them to those who wait, first come first served. */
  wake(): void {
    while (this.#waiting.length > 0) {
      const value = this.take();
      if (value === undefined) return;
      this.#waiting.shift()?.resolve({ value, done: false });
    }
    this.onReady?.();
  }

  /** Nothing more will come. Readers first get what is left, then the end, or once the failure. */
  end(failure?: Error): void {
    if (this.#ended) return;
    this.wake();
    this.#ended = true;
    this.#failure = failure;
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const waiter of waiting) waiter.reader.settleAtEnd(waiter.resolve, waiter.reject);
    this.onReady?.();
  }

  wait(reader: Reader<T>): Promise<IteratorResult<T, undefined>> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ reader, resolve, reject });
    });
  }

  /** Takes a reader's waiters out of the line. */
  leave(reader: Reader<T>): Array<Waiter<T>> {
    const left = this.#waiting.filter((waiter) => waiter.reader === reader);
    if (left.length > 0) this.#waiting = this.#waiting.filter((each) => each.reader !== reader);
    return left;
  }
}

/** One iterator over a supply. It holds no items of its own. */
export class Reader<T> implements ClosableIterator<T> {
  readonly #supply: Supply<T>;
  readonly #signal: AbortSignal | undefined;
  readonly #release: (reader: Reader<T>) => void;
  #stopListening: () => void;
  #closed = false;
  /** The signal fired while nobody waited: the next `next()` says so. */
  #abortPending = false;

  /** `release` is called once, with this reader, when it takes no more: perhaps while it is made. */
  constructor(
    supply: Supply<T>,
    signal: AbortSignal | undefined,
    release: (reader: Reader<T>) => void,
  ) {
    this.#supply = supply;
    this.#signal = signal;
    this.#release = release;
    this.#stopListening = () => undefined;
    if (signal?.aborted === true) {
      this.#abort();
    } else {
      this.#stopListening = onAbort(signal, () => {
        this.#abort();
      });
    }
  }

  next(): Promise<IteratorResult<T, undefined>> {
    if (!this.#closed) {
      const value = this.#supply.take();
      if (value !== undefined) return Promise.resolve({ value, done: false });
      if (!this.#supply.ended) return this.#supply.wait(this);
      return new Promise((resolve, reject) => {
        this.settleAtEnd(resolve, reject);
      });
    }
    if (this.#abortPending && this.#signal !== undefined) {
      this.#abortPending = false;
      return rejected(this.#signal.reason);
    }
    return Promise.resolve({ value: undefined, done: true });
  }

  return(): Promise<IteratorResult<T, undefined>> {
    this.#abortPending = false;
    this.#close();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** The supply ended: the first to ask hears of a failure, the others of the end. */
  settleAtEnd(
    resolve: (result: IteratorResult<T, undefined>) => void,
    reject: (error: unknown) => void,
  ): void {
    const failure = this.#closed ? undefined : this.#supply.failure;
    this.#close();
    if (failure === undefined) resolve({ value: undefined, done: true });
    else reject(failure);
  }

  #abort(): void {
    if (this.#closed) return;
    const waiters = this.#supply.leave(this);
    this.#close();
    this.#abortPending = waiters.length === 0;
    for (const waiter of waiters) waiter.reject(this.#signal?.reason);
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#stopListening();
    for (const waiter of this.#supply.leave(this)) {
      waiter.resolve({ value: undefined, done: true });
    }
    this.#release(this);
  }
}
