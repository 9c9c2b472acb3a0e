import { measureFolds } from '../lib/folds.mjs';

/** @type {import('../lib/scenario.mjs').Scenario} */
export default {
  id: 'cortex',
  title: 'tasks over a log in memory, 100 000 of them',
  peers: ['netmesh'],
  metrics: [
    { key: 'createsPerSecond', label: '`tasks.create`', unit: '/s', better: 'higher' },
    {
      key: 'visiblePerSecond',
      label: 'the same until they are folded',
      unit: '/s',
      better: 'higher',
    },
    { key: 'newestMicros', label: 'newest 20 of a status', unit: 'µs', better: 'lower' },
    { key: 'rangeMicros', label: 'within a time range, 20 rows', unit: 'µs', better: 'lower' },
    { key: 'searchMicros', label: 'search in all titles', unit: 'µs', better: 'lower' },
    { key: 'ownWriteMicros', label: 'create, then `waitForSeq`', unit: 'µs', better: 'lower' },
    { key: 'snapshotMegabytes', label: 'snapshot', unit: 'MB/s', better: 'higher' },
    {
      key: 'modelPerSecond',
      label: 'events of a `defineModel` model',
      unit: '/s',
      better: 'higher',
    },
  ],
  bars: [
    { metric: 'createsPerSecond', bar: 500_000 },
    { metric: 'newestMicros', bar: 50 },
    { metric: 'rangeMicros', bar: 50 },
    { metric: 'snapshotMegabytes', bar: 300 },
  ],
  async begin() {
    return { measure: measureFolds, end: async () => {} };
  },
};
