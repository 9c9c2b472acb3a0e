'use strict';
// Worker threads with a bus each, on memory or Redis: some end properly, some
// are terminated or exit in the middle of emitting.

const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { NetNode } = require('../../../dist/index.js');

const SCRIPT = require.resolve('./bus_workers.cjs');
const COUNT = 5000;
const redis = process.argv[2];

const transport = (prefix) =>
  redis === undefined ? undefined : { type: 'redis', url: redis, prefix };

async function emitAll(bus) {
  for (let n = 0; n < COUNT; n += 100) {
    bus.emitBatch(Array.from({ length: 100 }, (_, index) => ({ n: n + index })));
    await new Promise((resolve) => setImmediate(resolve));
  }
  await bus.flush();
}

async function readAll(bus) {
  const seen = new Set();
  for await (const { n } of bus.subscribeTyped()) {
    seen.add(n);
    if (seen.size === COUNT) return seen.size;
  }
}

async function worker() {
  const { role, prefix } = workerData;
  const bus = await NetNode.create({
    shards: 2,
    scaling: { maxShards: 4 },
    transport: transport(prefix),
  });
  if (role === 'whole') {
    const [count] = await Promise.all([readAll(bus), emitAll(bus)]);
    await bus.shutdown();
    parentPort.postMessage(count);
    return;
  }
  // Somebody waits, events are under way, and the environment goes.
  const stream = bus.subscribe({ from: 'latest', filter: '{"path":"no","value":1}' });
  const iterator = stream[Symbol.asyncIterator]();
  void iterator.next();
  for (let n = 0; n < COUNT; n++) bus.emit({ n });
  void bus.flush();
  if (role === 'exiting') process.exit(7);
  parentPort.postMessage('ready');
  setInterval(() => bus.emit({ more: true }), 1);
}

const start = (role, prefix) =>
  new Worker(SCRIPT, { workerData: { role, prefix }, argv: process.argv.slice(2) });
const once = (emitter, event) => new Promise((resolve) => emitter.once(event, resolve));

async function main() {
  const whole = [1, 2, 3].map((n) => start('whole', `whole${n}`));
  const counts = await Promise.all(whole.map((each) => once(each, 'message')));
  const doomed = [1, 2, 3].map((n) => start('doomed', `doomed${n}`));
  await Promise.all(doomed.map((each) => once(each, 'message')));
  const terminated = await Promise.all(doomed.map((each) => each.terminate()));
  const exited = await Promise.all(
    [1, 2, 3].map((n) => once(start('exiting', `exiting${n}`), 'exit')),
  );
  // The main thread's own copy of the addon is untouched by all this.
  const bus = await NetNode.create({ transport: transport('main') });
  const [count] = await Promise.all([readAll(bus), emitAll(bus)]);
  await bus.shutdown();
  console.log(JSON.stringify({ counts, terminated, exited, count }));
}

(isMainThread ? main() : worker()).catch((error) => {
  console.error(error);
  process.exitCode = 1;
});
