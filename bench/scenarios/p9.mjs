import { measureCapabilities, NODES } from '../lib/capabilities.mjs';

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  id: 'p9',
  title: `capability queries over ${NODES.toLocaleString('fr')} nodes`,
  peers: ['netmesh'],
  metrics: [
    { key: 'tagMicros', label: '`findNodes`, a tag', unit: 'µs', better: 'lower' },
    { key: 'numericMicros', label: '… a tag and a number', unit: 'µs', better: 'lower' },
    {
      key: 'scopedMicros',
      label: '`findNodesScoped`, a tag in a tenant',
      unit: 'µs',
      better: 'lower',
    },
    {
      key: 'bestMicros',
      label: '`findBestNode` among a quarter of them',
      unit: 'µs',
      better: 'lower',
    },
    {
      key: 'aggregateMicros',
      label: '`capabilityAggregate` over all of them',
      unit: 'µs',
      better: 'lower',
    },
    {
      key: 'updateMicros',
      label: 'an announcement, from its bytes to the index',
      unit: 'µs',
      better: 'lower',
    },
    { key: 'kibPerNode', label: 'memory per node', unit: 'KiB', better: 'lower' },
    { key: 'tagFound', label: 'found by a tag', unit: 'nodes', better: 'lower', shown: 'json' },
    { key: 'numericFound', label: '… and a number', unit: 'nodes', better: 'lower', shown: 'json' },
    {
      key: 'scopedFound',
      label: 'found in a tenant',
      unit: 'nodes',
      better: 'lower',
      shown: 'json',
    },
  ],
  bars: [
    { metric: 'tagMicros', bar: 10, goal: 5 },
    { metric: 'numericMicros', bar: 50, goal: 25 },
    { metric: 'scopedMicros', bar: 50, goal: 25 },
    { metric: 'kibPerNode', bar: 4 },
  ],
  async begin() {
    return { measure: measureCapabilities, end: async () => {} };
  },
};
