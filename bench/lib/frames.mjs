/** Bytes of the length in front of every event of a peer that carries a byte stream. */
export const LENGTH_BYTES = 4;

/**
 * Writes one framed event.
 *
 * @param {Buffer} target
 * @param {number} at
 * @param {Uint8Array} event
 * @returns {number} where the next frame begins
 */
export function putFrame(target, at, event) {
  const length = event.length;
  target[at] = length;
  target[at + 1] = length >>> 8;
  target[at + 2] = length >>> 16;
  target[at + 3] = length >>> 24;
  target.set(event, at + LENGTH_BYTES);
  return at + LENGTH_BYTES + length;
}

/**
 * Cuts a byte stream into events. Whole frames are handed on where they lie in the chunk; only a
 * frame that crosses a chunk's end is put together in a buffer of its own.
 */
export class FrameParser {
  #onEvent;
  /** The frame that crosses the end of the last chunk, from its length on. */
  #partial = Buffer.allocUnsafeSlow(64 * 1024);
  #partialBytes = 0;

  /** @param {(bytes: Uint8Array, offset: number, length: number) => void} onEvent */
  constructor(onEvent) {
    this.#onEvent = onEvent;
  }

  /** @param {Uint8Array} chunk */
  push(chunk) {
    const end = chunk.length;
    let at = this.#partialBytes === 0 ? 0 : this.#complete(chunk);
    while (end - at >= LENGTH_BYTES) {
      const length = lengthAt(chunk, at);
      const next = at + LENGTH_BYTES + length;
      if (next > end) break;
      this.#onEvent(chunk, at + LENGTH_BYTES, length);
      at = next;
    }
    if (at < end) this.#keep(chunk, at, end);
  }

  /**
   * Finishes the frame under way with the beginning of `chunk`.
   *
   * @param {Uint8Array} chunk
   * @returns {number} where the next frame begins; the chunk's length when this one is not complete
   */
  #complete(chunk) {
    let at = 0;
    if (this.#partialBytes < LENGTH_BYTES) {
      at = Math.min(LENGTH_BYTES - this.#partialBytes, chunk.length);
      this.#keep(chunk, 0, at);
      if (this.#partialBytes < LENGTH_BYTES) return at;
    }
    const length = lengthAt(this.#partial, 0);
    const missing = LENGTH_BYTES + length - this.#partialBytes;
    const taken = Math.min(missing, chunk.length - at);
    this.#keep(chunk, at, at + taken);
    if (taken === missing) {
      this.#partialBytes = 0;
      this.#onEvent(this.#partial, LENGTH_BYTES, length);
    }
    return at + taken;
  }

  /**
   * @param {Uint8Array} chunk
   * @param {number} from
   * @param {number} to
   */
  #keep(chunk, from, to) {
    const bytes = this.#partialBytes + to - from;
    if (bytes > this.#partial.length) {
      const larger = Buffer.allocUnsafeSlow(bytes * 2);
      larger.set(this.#partial.subarray(0, this.#partialBytes));
      this.#partial = larger;
    }
    this.#partial.set(chunk.subarray(from, to), this.#partialBytes);
    this.#partialBytes = bytes;
  }
}

/**
 * @param {Uint8Array} bytes
 * @param {number} at
 */
function lengthAt(bytes, at) {
  return bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24);
}
