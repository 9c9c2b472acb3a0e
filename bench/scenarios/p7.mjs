import { WorkerProcess } from '../lib/process.mjs';

const WORKER_MODULE = new URL('../lib/bus.mjs', import.meta.url).href;

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  id: 'p7',
  title: 'event bus, 27 B payloads',
  peers: ['netmesh'],
  metrics: [
    { key: 'singles', label: '`emitBuffer`', unit: 'events/s', better: 'higher' },
    { key: 'batches', label: '`emitBufferBatch` of 1000', unit: 'events/s', better: 'higher' },
    { key: 'objects', label: '`emit` of an object', unit: 'events/s', better: 'higher' },
    { key: 'p50Us', label: 'emit → iterator at 100 k/s, p50', unit: 'µs', better: 'lower' },
    { key: 'p99Us', label: 'emit → iterator at 100 k/s, p99', unit: 'µs', better: 'lower' },
  ],
  bars: [
    { metric: 'singles', bar: 5e6, goal: 1e7 },
    { metric: 'batches', bar: 1e7, goal: 2e7 },
    { metric: 'p50Us', bar: 20 },
    { metric: 'p99Us', bar: 200 },
  ],
  async begin({ warmupMs, measureMs }) {
    return {
      async measure() {
        const worker = await WorkerProcess.start(WORKER_MODULE, 'bus', {});
        try {
          const rates = await worker.call('rates', { warmupMs, measureMs: measureMs / 3 });
          const latencies = await worker.call('latencies', { perSecond: 100_000, ms: measureMs });
          return { ...rates, ...latencies };
        } finally {
          await worker.stop();
        }
      },
      end: async () => {},
    };
  },
};
