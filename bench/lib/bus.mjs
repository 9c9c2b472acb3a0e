import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';

const SDK = new URL('../../dist/index.js', import.meta.url);
const PAYLOAD = { token: 'hello', index: 0 };
const BATCH = 1000;
/** Emissions between two looks at the clock. */
const PER_LOOK = 1000;

/**
 * Role in a process of its own: a bus on memory, as a user has it.
 */
export async function bus() {
  const { NetNode } = await import(SDK.href);
  const node = await NetNode.create({ shards: 2 });
  const bytes = Buffer.from(JSON.stringify(PAYLOAD));
  const batch = Array.from({ length: BATCH }, () => bytes);

  /** Each emits `PER_LOOK` events. */
  const ways = {
    singles: () => {
      for (let i = 0; i < PER_LOOK; i++) node.emitBuffer(bytes);
    },
    batches: () => node.emitBufferBatch(batch),
    objects: () => {
      for (let i = 0; i < PER_LOOK; i++) node.emit(PAYLOAD);
    },
  };

  /**
   * @param {() => void} emit
   * @param {number} ms
   */
  const rate = (emit, ms) => {
    const begin = performance.now();
    let looks = 0;
    for (;;) {
      emit();
      looks++;
      const elapsed = performance.now() - begin;
      if (elapsed >= ms) return (looks * PER_LOOK * 1000) / elapsed;
    }
  };

  return {
    /** @param {{ warmupMs: number, measureMs: number }} times */
    rates: ({ warmupMs, measureMs }) =>
      Object.fromEntries(
        Object.entries(ways).map(([name, emit]) => {
          rate(emit, warmupMs / 3);
          return [name, rate(emit, measureMs)];
        }),
      ),

    /**
     * Events that carry the time of their emission, to a stream of the same bus.
     *
     * @param {{ perSecond: number, ms: number }} options
     */
    async latencies({ perSecond, ms }) {
      /** @type {number[]} */
      const samples = [];
      const stream = node.subscribe({ from: 'latest' });
      const reading = (async () => {
        for await (const { raw } of stream) samples.push(performance.now() - Number(raw));
      })();
      const begin = performance.now();
      let emitted = 0;
      while (performance.now() - begin < ms) {
        // What is due by now, a few at a time, with turns of the loop in between.
        const due = ((performance.now() - begin) * perSecond) / 1000;
        for (let i = 0; i < 4 && emitted < due; i++, emitted++)
          node.emitRaw(String(performance.now()));
        await turn();
      }
      await turn();
      stream.stop();
      await reading;
      samples.sort((a, b) => a - b);
      const at = (/** @type {number} */ share) =>
        (samples[Math.floor(samples.length * share)] ?? 0) * 1000;
      return { p50Us: at(0.5), p99Us: at(0.99) };
    },
  };
}
