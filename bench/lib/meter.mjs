import { performance } from 'node:perf_hooks';

/** Events between two looks at the clock: often enough for slow peers, free for fast ones. */
const EVENTS_PER_LOOK = 64;

/**
 * @typedef {object} Reading
 * @property {number} events
 * @property {number} bytes
 * @property {number} ms        wall time in which they arrived
 * @property {number} cpuMs     processor time of the receiving process in that time, all threads
 * @property {number} misordered  events that were not the one expected next, since the start
 */

/**
 * Counts the events of a receiver: ignores those of the warm-up, then measures for a fixed time.
 * The clock is read as events arrive, so a busy event loop cannot delay the end of the measurement.
 *
 * Every event's first byte is its place in the sender's ring modulo 256, so the meter reads each event
 * and notices one that is lost, repeated or out of order.
 */
export class Meter {
  #expected = 0;
  #events = 0;
  #bytes = 0;
  #misordered = 0;
  #untilLook = EVENTS_PER_LOOK;
  #warmupMs;
  #measureMs;
  #warmAt = 0;
  /** @type {{ at: number, events: number, bytes: number, cpu: NodeJS.CpuUsage } | null} */
  #begin = null;
  #finished = false;
  /** @type {(reading: Reading) => void} */
  #resolve = () => {};

  /** @type {Promise<Reading>} */
  reading = new Promise((resolve) => (this.#resolve = resolve));

  /** @param {{ warmupMs: number, measureMs: number }} times */
  constructor({ warmupMs, measureMs }) {
    this.#warmupMs = warmupMs;
    this.#measureMs = measureMs;
  }

  /**
   * @param {Uint8Array} bytes
   * @param {number} offset
   * @param {number} length
   */
  event(bytes, offset, length) {
    const mark = bytes[offset];
    if (mark !== this.#expected) this.#misordered++;
    this.#expected = (mark + 1) & 255;
    this.#events++;
    this.#bytes += length;
    if (--this.#untilLook === 0) {
      this.#untilLook = EVENTS_PER_LOOK;
      this.#look();
    }
  }

  #look() {
    if (this.#finished) return;
    const now = performance.now();
    if (this.#warmAt === 0) {
      this.#warmAt = now + this.#warmupMs;
    } else if (this.#begin === null) {
      if (now < this.#warmAt) return;
      this.#begin = {
        at: now,
        events: this.#events,
        bytes: this.#bytes,
        cpu: process.cpuUsage(),
      };
    } else if (now - this.#begin.at >= this.#measureMs) {
      this.#finished = true;
      const cpu = process.cpuUsage(this.#begin.cpu);
      this.#resolve({
        events: this.#events - this.#begin.events,
        bytes: this.#bytes - this.#begin.bytes,
        ms: now - this.#begin.at,
        cpuMs: (cpu.user + cpu.system) / 1000,
        misordered: this.#misordered,
      });
    }
  }
}

/** Length of the ring of events; the meter's marks need a multiple of 256. */
const RING_LENGTH = 256;

/**
 * A ring of different events cut into batches, to be sent round and round.
 *
 * @param {number} eventBytes
 * @param {number} batchLength  divides 256
 * @returns {Buffer[][]}
 */
export function batchesOf(eventBytes, batchLength) {
  const events = Array.from({ length: RING_LENGTH }, (_, index) => {
    const event = Buffer.allocUnsafeSlow(eventBytes);
    for (let at = 0; at < eventBytes; at++) event[at] = (index + at * 31) & 255;
    return event;
  });
  return Array.from({ length: RING_LENGTH / batchLength }, (_, index) =>
    events.slice(index * batchLength, (index + 1) * batchLength),
  );
}
