// `node bench/bus-soak.mjs [events]`: emits very many events into a bounded bus that is read at the same
// time, and prints the resident memory along the way.

import { setImmediate as turn } from 'node:timers/promises';

import { NetNode } from '../dist/index.js';

const total = Number(process.argv[2] ?? 100e6);
const BATCH = 1000;
const SAMPLES = 20;

const bus = await NetNode.create({ shards: 2, retention: { maxEvents: 200_000, maxBytes: 16e6 } });
const batch = Array.from({ length: BATCH }, () => Buffer.from('{"token":"hello","index":0}'));
const stream = bus.subscribe({ limit: 5000 });
let read = 0;
const reading = (async () => {
  for await (const { raw } of stream) read += raw.length > 0 ? 1 : 0;
})();

const mebibytes = () => Math.round(process.memoryUsage.rss() / 2 ** 20);
const samples = [];
const begin = performance.now();
for (let emitted = 0; emitted < total; emitted += BATCH) {
  bus.emitBufferBatch(batch);
  if (emitted % 50_000 === 0) await turn();
  if (emitted % (total / SAMPLES) === 0) {
    samples.push(mebibytes());
    console.log(`${(emitted / 1e6).toFixed(0)} M events, ${samples.at(-1)} MiB resident`);
  }
}
const seconds = (performance.now() - begin) / 1000;
await turn();
stream.stop();
await reading;
const { eventsStored, bytesStored } = bus.stats();
console.log(
  `${total / 1e6} M events in ${seconds.toFixed(1)} s; ${(read / 1e6).toFixed(1)} M read, ` +
    `${(stream.expired / 1e6).toFixed(1)} M expired before; stored ${eventsStored}, ${bytesStored} bytes; ` +
    `resident ${samples[1]} MiB after the first part, ${mebibytes()} MiB at the end`,
);
await bus.shutdown();
