import { throughputScenario } from '../lib/scenario.mjs';

export default throughputScenario({
  id: 'p2',
  title: 'reliable stream, 8000 B events',
  eventBytes: 8000,
  batchLength: 16,
  bars: [
    { against: 'tls', bar: 1, goal: 1.5 },
    { against: 'secret-stream', bar: 4 },
  ],
});
