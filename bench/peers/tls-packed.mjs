import { LENGTH_BYTES, putFrame } from '../lib/frames.mjs';
import { tlsPeer } from '../lib/tls.mjs';

/** One write to the socket: four full TLS records. */
const BLOCK_BYTES = 64 * 1024;

/**
 * TLS tuned as far as `node:tls` goes, for comparison: events are copied into recycled blocks that
 * run across batches, and the receiver reads them where they lie, without a `Buffer` for each.
 */
export default tlsPeer({
  id: 'tls-packed',
  label: 'TLS 1.3, packed blocks, events read in place',
  views: false,

  createWriter(socket) {
    const writer = new BlockWriter(socket);
    return (events) => writer.write(events);
  },
});

/**
 * Copies events into blocks and hands over whole blocks: one write, one pass of encryption and no
 * gathering inside Node for many events. What is left over goes out at the end of the turn.
 */
class BlockWriter {
  #socket;
  /** @type {Buffer[]} blocks that the socket has finished with */
  #idle = [];
  /** @type {Buffer} */
  #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #used = 0;
  #flushing = false;

  /** @param {import('node:tls').TLSSocket} socket */
  constructor(socket) {
    this.#socket = socket;
  }

  /**
   * @param {Buffer[]} events
   * @returns {Promise<void> | undefined}
   */
  write(events) {
    for (const event of events) {
      if (this.#used + LENGTH_BYTES + event.length > BLOCK_BYTES) this.#flush();
      this.#used = putFrame(this.#block, this.#used, event);
    }
    if (!this.#flushing) {
      this.#flushing = true;
      setImmediate(() => {
        this.#flushing = false;
        this.#flush();
      });
    }
    if (!this.#socket.writableNeedDrain) return undefined;
    return new Promise((resolve) => this.#socket.once('drain', resolve));
  }

  #flush() {
    if (this.#used === 0) return;
    const block = this.#block;
    this.#socket.write(block.subarray(0, this.#used), () => this.#idle.push(block));
    this.#block = this.#idle.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
    this.#used = 0;
  }
}
