import { WorkerProcess } from '../lib/process.mjs';
import { bytesToWarm, warmMemory } from '../lib/warm-memory.mjs';

const WORKER_MODULE = new URL('../lib/logs.mjs', import.meta.url).href;

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  id: 'p8',
  title: 'log, 256 B appends',
  peers: ['netmesh', 'lmdb', 'lmdb-queued', 'better-sqlite3', 'classic-level'],
  metrics: [
    { key: 'singles', label: 'on disk, one by one', unit: 'events/s', better: 'higher' },
    { key: 'batches', label: 'on disk, batches of 64', unit: 'events/s', better: 'higher' },
    { key: 'memorySingles', label: 'in memory, one by one', unit: 'events/s', better: 'higher' },
    { key: 'memoryBatches', label: 'in memory, batches of 64', unit: 'events/s', better: 'higher' },
    { key: 'tailP50Us', label: 'append → iterator, p50', unit: 'µs', better: 'lower' },
    { key: 'tailP99Us', label: 'append → iterator, p99', unit: 'µs', better: 'lower' },
    { key: 'reopenMs', label: 'opening 1 GiB again', unit: 'ms', better: 'lower' },
  ],
  bars: [
    { metric: 'singles', against: 'lmdb', bar: 1, goal: 2 },
    { metric: 'batches', against: 'lmdb', bar: 1, goal: 2 },
    { metric: 'singles', against: 'better-sqlite3', bar: 3, goal: 10 },
    { metric: 'batches', against: 'better-sqlite3', bar: 3, goal: 10 },
    { metric: 'tailP50Us', bar: 30 },
    { metric: 'reopenMs', bar: 1000 },
  ],
  async begin({ warmupMs, measureMs }) {
    const touched = bytesToWarm();
    return {
      circumstances:
        `before each rate another process touched and freed ${Math.round(touched / 2 ** 20)} MiB ` +
        'of memory, for every peer alike',
      async measure({ id, logs }) {
        const worker = await WorkerProcess.start(WORKER_MODULE, 'logs', { peerId: id });
        const times = { warmupMs: warmupMs / 4, measureMs: measureMs / 2 };
        /** @param {{ batched: boolean, memory?: boolean }} kind */
        const rate = async (kind) => {
          await warmMemory(touched);
          return worker.call('rate', { ...times, ...kind });
        };
        try {
          const reading = {
            singles: await rate({ batched: false }),
            batches: await rate({ batched: true }),
          };
          if (logs?.memory !== true) return reading;
          return {
            ...reading,
            memorySingles: await rate({ memory: true, batched: false }),
            memoryBatches: await rate({ memory: true, batched: true }),
            ...(await worker.call('latencies', { ms: measureMs })),
            reopenMs: await worker.call('reopening'),
          };
        } finally {
          await worker.stop();
        }
      },
      end: async () => {},
    };
  },
};
