'use strict';

// A node with a fixed identity and port that prints what it receives, and is killed from outside.
// Arguments: port (0: any), seed byte.

const { startNode } = require('./common.cjs');

async function main() {
  const [port, seed] = process.argv.slice(2).map(Number);
  const node = await startNode({
    bindAddr: `127.0.0.1:${port}`,
    identitySeed: Buffer.alloc(32, seed),
    heartbeatIntervalMs: 200,
  });
  process.stdout.write(`ready ${node.localAddr()} ${node.publicKey()} ${node.nodeId()}\n`);
  for await (const { data } of node.messages()) process.stdout.write(`got ${data.toString()}\n`);
}

void main();
