'use strict';
// Worker threads with a node each: two that talk to each other, and one that ends in the middle.

const { Worker, isMainThread, parentPort, workerData } = require('node:worker_threads');
const { startNode } = require('./common.cjs');

const SCRIPT = require.resolve('./workers.cjs');

const COUNT = 2000;

async function main() {
  const workers = ['caller', 'callee'].map((role) => new Worker(SCRIPT, { workerData: role }));
  const [caller, callee] = workers;
  const next = (worker) => new Promise((resolve) => worker.once('message', resolve));
  const address = await next(callee);
  caller.postMessage(address);
  const results = await Promise.all([next(caller), next(callee)]);
  const codes = await Promise.all(
    workers.map((worker) => new Promise((resolve) => worker.once('exit', resolve))),
  );

  const doomed = new Worker(SCRIPT, { workerData: 'doomed' });
  await next(doomed);
  const terminated = await doomed.terminate();
  const exiting = new Worker(SCRIPT, { workerData: 'exiting' });
  const exited = await new Promise((resolve) => exiting.once('exit', resolve));

  // The main thread's own copy of the addon is untouched by all this.
  const node = await startNode();
  await node.shutdown();
  console.log(JSON.stringify({ results, codes, terminated, exited }));
}

async function worker() {
  const node = await startNode();
  if (workerData === 'callee') {
    const caller = new Promise((resolve) => node.once('peer:up', resolve));
    parentPort.postMessage({
      addr: node.localAddr(),
      publicKey: node.publicKey(),
      nodeId: node.nodeId(),
    });
    const { nodeId } = await caller;
    const back = node.openStream(nodeId, { streamId: 2n, reliability: 'reliable' });
    let count = 0;
    for await (const { data } of node.messages()) {
      await node.sendBlocking(back, [data]);
      if (++count === COUNT) break;
    }
    await new Promise((resolve) => node.once('peer:down', resolve));
    parentPort.postMessage(count);
    await node.shutdown();
  } else if (workerData === 'caller') {
    const { addr, publicKey, nodeId } = await new Promise((resolve) =>
      parentPort.once('message', resolve),
    );
    await node.connect(addr, publicKey, nodeId);
    const stream = node.openStream(nodeId, { streamId: 1n, reliability: 'reliable' });
    const sending = node.sendBlocking(
      stream,
      Array.from({ length: COUNT }, (_, index) => Buffer.from(String(index))),
    );
    let expected = 0;
    for await (const { data } of node.messages()) {
      if (data.toString() !== String(expected)) throw new Error(`got ${data}, not ${expected}`);
      if (++expected === COUNT) break;
    }
    await sending;
    parentPort.postMessage(expected);
    await node.shutdown();
  } else {
    // Neither of these shuts down.
    const other = await startNode();
    await node.connect(other.localAddr(), other.publicKey(), other.nodeId());
    const stream = node.openStream(other.nodeId(), { streamId: 1n, reliability: 'reliable' });
    const pump = async () => {
      for (;;) await node.sendBlocking(stream, [Buffer.alloc(1000)]);
    };
    void pump();
    let count = 0;
    for await (const { data } of other.messages()) {
      count += data.length;
      if (count === 100_000 && workerData === 'exiting') process.exit(5);
      if (count === 100_000) parentPort.postMessage('busy');
    }
  }
}

void (isMainThread ? main() : worker());
