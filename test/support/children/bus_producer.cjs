'use strict';
// Emits the numbers up to a total, each exactly once over all of its lives: it goes on after what an
// earlier process had journaled.

const { NetNode } = require('../../../dist/index.js');

const [transport, producerNoncePath, total] = process.argv.slice(2);
const CHUNK = 200;

(async () => {
  const bus = await NetNode.create({
    shards: 1,
    bufferCapacity: 65_536,
    backpressure: 'fail_producer',
    transport: JSON.parse(transport),
    producerNoncePath,
  });
  let n = Number(bus.producer().nextSequences[0]);
  console.log(`started at ${n}`);
  while (n < Number(total)) {
    for (let i = 0; i < CHUNK && n < Number(total); i++) bus.emit({ n: n++ });
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await bus.shutdown();
  console.log('done');
})().catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
