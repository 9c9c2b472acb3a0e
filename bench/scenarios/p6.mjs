import { measurePublishing } from '../lib/publishing.mjs';

const EVENT_BYTES = 1024;
const BATCH_LENGTH = 64;
const WIDTHS = [1, 8, 32];

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  id: 'p6',
  title: 'publish 1 KiB to subscribers',
  peers: ['netmesh', 'netmesh-messages', 'nats'],
  metrics: WIDTHS.map((width) => ({
    key: `width${width}`,
    label: width === 1 ? '1 subscriber' : `${width} subscribers, all together`,
    unit: 'payloads/s',
    better: 'higher',
  })),
  bars: WIDTHS.map((width) => ({ metric: `width${width}`, against: 'nats', bar: 1, goal: 2 })),
  async begin({ warmupMs, measureMs }) {
    return {
      async measure(peer, shared) {
        /** @type {Record<string, number>} */
        const reading = {};
        for (const width of WIDTHS) {
          reading[`width${width}`] = await measurePublishing(peer, shared, {
            width,
            eventBytes: EVENT_BYTES,
            batchLength: BATCH_LENGTH,
            warmupMs,
            measureMs,
          });
        }
        return reading;
      },
      end: async () => {},
    };
  },
};
