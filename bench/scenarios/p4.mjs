import { measureRoundTrip } from '../lib/round-trip.mjs';

const EVENT_BYTES = 64;

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  id: 'p4',
  title: 'round trip, 64 B, one in flight',
  // Both ways to receive in netmesh, and both styles of TLS, are the same with one event in flight.
  peers: ['netmesh', 'tls', 'secret-stream', 'zeromq', 'nats', 'libp2p'],
  metrics: [
    { key: 'p50Us', label: 'p50', unit: 'µs', better: 'lower' },
    { key: 'p99Us', label: 'p99', unit: 'µs', better: 'lower' },
  ],
  bars: [
    { metric: 'p50Us', against: 'tls', bar: 1.3, goal: 1 },
    { metric: 'p99Us', against: 'tls', bar: 1 },
  ],
  async begin({ warmupMs, measureMs }) {
    const options = { eventBytes: EVENT_BYTES, warmupMs, measureMs };
    return {
      measure: async (peer, shared) => ({ ...(await measureRoundTrip(peer, shared, options)) }),
      end: async () => {},
    };
  },
};
