import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { performance } from 'node:perf_hooks';
import { setImmediate as turn } from 'node:timers/promises';

import { loadPeer } from './peer.mjs';
import { percentile } from './statistics.mjs';

const EVENT_BYTES = 256;
const BATCH = 64;
/** Events between two looks at the clock. */
const PER_LOOK = 256;
/** No measurement writes more than 1 GiB, however fast the log. */
const MAX_EVENTS = 2 ** 30 / EVENT_BYTES;
const LATENCIES_PER_SECOND = 10_000;

/**
 * Role in a process of its own: logs of one peer in a temporary folder.
 *
 * @param {{ peerId: string }} options
 */
export async function logs({ peerId }) {
  const peer = await loadPeer(peerId);
  const offered = peer.logs;
  if (offered === undefined) throw new Error(`${peerId} keeps no logs`);

  /**
   * A log in a folder of its own, which is gone afterwards.
   *
   * @template T
   * @param {(folder: string) => Promise<T>} use
   */
  async function inFolder(use) {
    const folder = await mkdtemp(join(tmpdir(), 'netmesh-bench-log-'));
    try {
      return await use(folder);
    } finally {
      await rm(folder, { recursive: true });
    }
  }

  /**
   * Events per second.
   *
   * @param {{ batched: boolean, memory?: boolean, warmupMs: number, measureMs: number }} options
   */
  const rate = ({ batched, memory, warmupMs, measureMs }) =>
    inFolder(async (folder) => {
      const store = await offered.open(folder, memory);
      // Every event is another one, so that nothing is kept once for many.
      const ring = Array.from({ length: PER_LOOK }, (_, index) => Buffer.alloc(EVENT_BYTES, index));
      const batches = Array.from({ length: PER_LOOK / BATCH }, (_, index) =>
        ring.slice(index * BATCH, (index + 1) * BATCH),
      );
      let appended = 0;
      const round = async () => {
        if (batched) {
          for (const batch of batches) {
            const pending = store.appendBatch(batch);
            if (pending instanceof Promise) await pending;
          }
        } else {
          for (const event of ring) {
            const pending = store.append(event);
            if (pending instanceof Promise) await pending;
          }
        }
        appended += PER_LOOK;
      };
      /** @param {number} ms */
      const during = async (ms, limit = MAX_EVENTS) => {
        const before = appended;
        const begin = performance.now();
        for (;;) {
          await round();
          const elapsed = performance.now() - begin;
          if (elapsed >= ms || appended >= limit) return ((appended - before) * 1000) / elapsed;
        }
      };
      await during(warmupMs, MAX_EVENTS / 4);
      const perSecond = await during(measureMs);
      const count = await store.count();
      if (count !== appended) throw new Error(`${count} events in a log of ${appended}`);
      const last = /** @type {Uint8Array} */ (await store.read(appended - 1));
      if (!ring[PER_LOOK - 1].equals(last)) throw new Error('the last event is another one');
      await store.close();
      return perSecond;
    });

  /**
   * From before an append to the iterator of a tail, in microseconds.
   *
   * @param {{ ms: number }} options
   */
  const latencies = ({ ms }) =>
    inFolder(async (folder) => {
      const store = await offered.open(folder);
      if (store.follow === undefined) return {};
      const event = Buffer.alloc(EVENT_BYTES);
      /** @type {number[]} */
      const samples = [];
      const stop = await store.follow((bytes) => {
        const sent = new DataView(bytes.buffer, bytes.byteOffset).getFloat64(0, true);
        samples.push((performance.now() - sent) * 1000);
      });
      const begin = performance.now();
      let appended = 0;
      while (performance.now() - begin < ms) {
        if (appended < ((performance.now() - begin) * LATENCIES_PER_SECOND) / 1000) {
          event.writeDoubleLE(performance.now());
          store.append(event);
          appended++;
        }
        await turn();
      }
      const deadline = performance.now() + 1000;
      while (samples.length < appended && performance.now() < deadline) await turn();
      await stop();
      await store.close();
      if (samples.length !== appended)
        throw new Error(`${samples.length} of ${appended} events came`);
      samples.sort((a, b) => a - b);
      return { tailP50Us: percentile(samples, 0.5), tailP99Us: percentile(samples, 0.99) };
    });

  /** Milliseconds to open a log of 1 GiB again, every checksum verified. */
  const reopening = () =>
    inFolder(async (folder) => {
      const batch = Array.from({ length: 1024 }, (_, index) => Buffer.alloc(EVENT_BYTES, index));
      const store = await offered.open(folder);
      for (let events = 0; events < MAX_EVENTS; events += batch.length) {
        await store.appendBatch(batch);
      }
      await store.close();
      const begin = performance.now();
      const again = await offered.open(folder);
      const took = performance.now() - begin;
      const count = await again.count();
      await again.close();
      if (count !== MAX_EVENTS) throw new Error(`${count} events in a log of ${MAX_EVENTS}`);
      return took;
    });

  return { rate, latencies, reopening };
}
