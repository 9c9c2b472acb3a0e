/** Waits for the one echo in flight. */
export class EchoWaiter {
  /** @type {() => void} */
  #resolve = () => {};

  /** @returns {Promise<void>} settles at the next `arrived()` */
  next() {
    return new Promise((resolve) => (this.#resolve = resolve));
  }

  arrived() {
    this.#resolve();
  }
}
