'use strict';
// Connects and shuts down node pairs, and prints what the process holds along the way.

const { readdirSync } = require('node:fs');
const { connectedPair } = require('./common.cjs');

const CYCLES = Number(process.argv[2]);
const SAMPLES = 5;

function sample(cycle) {
  for (let i = 0; i < 3; i++) globalThis.gc();
  return {
    cycle,
    rss: process.memoryUsage().rss,
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
  };
}

async function cycle() {
  const [a, b] = await connectedPair();
  const stream = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
  await a.sendOnStream(stream, [Buffer.from('hello')]);
  for await (const { data } of b.messages()) {
    if (data.toString() === 'hello') break;
  }
  await Promise.all([a.shutdown(), b.shutdown()]);
}

(async () => {
  // The allocator and the compiler settle first.
  for (let i = 0; i < CYCLES / 10; i++) await cycle();
  const samples = [sample(0)];
  for (let i = 1; i <= CYCLES; i++) {
    await cycle();
    if (i % (CYCLES / SAMPLES) === 0) samples.push(sample(i));
  }
  console.log(JSON.stringify(samples));
})();
