// Where the addon's news about logs goes: syncs that are done, tails that have something again.

import { redexError } from './native_errors';

/** An object of the addon that can keep the process alive for what waits. */
interface KeepsAlive {
  ref(): void;
  unref(): void;
}

interface Request {
  readonly context: string;
  readonly handle: KeepsAlive;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

/** One per manager. Holds nothing but what waits. */
export class RedexMailbox {
  readonly #requests = new Map<number, Request>();
  readonly #tails = new Map<number, () => void>();
  #waiting = 0;

  /** What the addon calls. */
  readonly onReady = (
    requests: number[],
    errors: Array<Error | undefined>,
    tails: number[],
  ): void => {
    requests.forEach((id, index) => {
      const request = this.#requests.get(id);
      if (request === undefined) return;
      this.#requests.delete(id);
      this.release(request.handle);
      const error = errors[index];
      if (error === undefined) request.resolve();
      else request.reject(redexError(request.context, error));
    });
    for (const id of tails) this.#tails.get(id)?.();
  };

  /** Settles when the request is done. */
  request(context: string, handle: KeepsAlive, id: number): Promise<void> {
    this.hold(handle);
    return new Promise((resolve, reject) => {
      this.#requests.set(id, { context, handle, resolve, reject });
    });
  }

  /** Calls `onReady` whenever the tail has something again, until `undefined` is passed. */
  listen(tail: number, onReady: (() => void) | undefined): void {
    if (onReady === undefined) this.#tails.delete(tail);
    else this.#tails.set(tail, onReady);
  }

  /** Something waits, and the process with it. */
  hold(handle: KeepsAlive): void {
    this.#waiting += 1;
    if (this.#waiting === 1) handle.ref();
  }

  /** It waits no more. */
  release(handle: KeepsAlive): void {
    this.#waiting -= 1;
    if (this.#waiting === 0) handle.unref();
  }
}
