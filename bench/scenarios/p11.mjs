import { measureHandshakes, measureMemory } from '../lib/handshakes.mjs';

/** Nodes that accept, so that one dialling node can shake hands more than once. */
const ACCEPTORS = 16;
const WARMUP_HANDSHAKES = 256;
const TIMED_HANDSHAKES = 2048;
const IDLE_PEERS = 1000;

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  id: 'p11',
  title: 'handshakes; memory of idle peers',
  peers: ['netmesh', 'tls'],
  metrics: [
    {
      key: 'perSecond',
      label: 'handshakes, accepting process on one core',
      unit: '/s',
      better: 'higher',
    },
    {
      key: 'perAcceptorCpuSecond',
      label: 'handshakes per second of the acceptor’s processor time',
      unit: '/s',
      better: 'higher',
    },
    {
      key: 'kibPerPeer',
      label: `memory per idle peer at ${IDLE_PEERS} peers`,
      unit: 'KiB',
      better: 'lower',
    },
  ],
  bars: [
    { metric: 'perSecond', bar: 3000, goal: 6000 },
    { metric: 'kibPerPeer', bar: 32, goal: 16 },
  ],
  async begin() {
    return {
      async measure(peer, shared) {
        const rate = await measureHandshakes(peer, shared, {
          acceptors: ACCEPTORS,
          warmup: WARMUP_HANDSHAKES,
          dials: TIMED_HANDSHAKES,
        });
        const memory = await measureMemory(peer, shared, { peers: IDLE_PEERS });
        return { ...rate, ...memory };
      },
      end: async () => {},
    };
  },
};
