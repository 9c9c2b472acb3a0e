import { throughputScenario } from '../lib/scenario.mjs';

export default throughputScenario({
  id: 'p1',
  title: 'reliable stream, 1 KiB events',
  eventBytes: 1024,
  batchLength: 64,
  bars: [
    { against: 'tls', bar: 1, goal: 1.5 },
    { against: 'secret-stream', bar: 4 },
  ],
});
