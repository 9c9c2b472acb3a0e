import { throughputScenario } from '../lib/scenario.mjs';

export default throughputScenario({
  id: 'p3',
  title: 'reliable stream, 100 B events in batches of 64',
  eventBytes: 100,
  batchLength: 64,
  bars: [
    { against: 'tls', bar: 0.7, goal: 1.3 },
    { against: 'secret-stream', bar: 4 },
  ],
});
