import { measureFlows, requireLinks } from '../lib/bulk.mjs';
import { loadPeer } from '../lib/peer.mjs';

const LINK = { delay: '10ms', rate: '100mbit', queue: '256k' };
/** Payload that the line has room for in packets of 1500 bytes with TCP's 52 bytes of headers. */
const LINE_MEGABYTES = 12.5 * (1448 / 1500);
const LOSSES = [1, 5, 20];
/** A slow start over 20 ms must be over, and random losses must even out. */
const LEAST_WARMUP_MS = 1500;
const MEASURE_FACTOR = 3;
/** The flow that others must leave room for. */
const NEIGHBOUR = 'tcp-cubic';

const GOALS = { 1: 0.97, 5: 0.9, 20: 0.6 };

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  id: 'p12',
  title: 'bulk, 100 Mbit/s, 20 ms',
  peers: ['netmesh', 'netmesh-cubic', 'netmesh-bbr', 'tcp-cubic', 'tcp-bbr'],
  metrics: [
    ...LOSSES.map((loss) => ({
      key: `loss${loss}`,
      label: `${loss} % loss`,
      unit: 'MB/s',
      better: /** @type {const} */ ('higher'),
    })),
    { key: 'jain', label: 'two flows, Jain index', unit: '', better: 'higher' },
    { key: 'shareBesideCubic', label: 'share beside TCP CUBIC', unit: '', better: 'higher' },
    {
      key: 'neighbourShare',
      label: 'what it leaves to TCP CUBIC',
      unit: '',
      better: 'higher',
    },
  ],
  bars: [
    { metric: 'loss1', against: 'tcp-bbr', bar: 0.9 },
    { metric: 'loss5', against: 'tcp-bbr', bar: 0.9 },
    { metric: 'loss20', against: 'tcp-bbr', bar: 3 },
    ...LOSSES.map((loss) => ({
      metric: `loss${loss}`,
      goal: GOALS[/** @type {1 | 5 | 20} */ (loss)] * LINE_MEGABYTES,
    })),
    ...LOSSES.map((loss) => ({
      metric: `loss${loss}`,
      subject: 'netmesh-cubic',
      against: 'tcp-cubic',
      bar: 1,
    })),
    { metric: 'jain', bar: 0.9 },
    { metric: 'shareBesideCubic', bar: 0.3 },
    { metric: 'neighbourShare', bar: 0.3 },
  ],
  async begin({ warmupMs, measureMs }) {
    const reason = requireLinks();
    if (reason !== null) throw new Error(reason);
    const neighbour = { peer: await loadPeer(NEIGHBOUR), shared: null };
    const times = {
      warmupMs: Math.max(warmupMs, LEAST_WARMUP_MS),
      measureMs: measureMs * MEASURE_FACTOR,
    };
    let seed = 0;
    return {
      async measure(peer, shared) {
        seed++;
        /** @type {Record<string, number>} */
        const reading = {};
        for (const loss of LOSSES) {
          const conditions = { ...LINK, loss: `${loss}%` };
          const [speed] = await measureFlows([{ peer, shared }], { conditions, seed, ...times });
          reading[`loss${loss}`] = speed;
        }
        // Queues must fill and drain a few times before shares mean something.
        const shared2 = {
          conditions: LINK,
          seed,
          warmupMs: 2 * times.warmupMs,
          measureMs: 2 * times.measureMs,
        };
        const pair = await measureFlows(
          [
            { peer, shared },
            { peer, shared },
          ],
          shared2,
        );
        reading.jain = jainIndex(pair);
        const [own, other] = await measureFlows([{ peer, shared }, neighbour], shared2);
        reading.shareBesideCubic = own / (own + other);
        reading.neighbourShare = other / (own + other);
        return reading;
      },
      end: async () => {},
    };
  },
};

/**
 * 1 when all get the same, 1 / n when one gets everything (Jain, Chiu, Hawe 1984).
 *
 * @param {number[]} values
 */
function jainIndex(values) {
  const sum = values.reduce((total, value) => total + value, 0);
  const squares = values.reduce((total, value) => total + value * value, 0);
  return (sum * sum) / (values.length * squares);
}
