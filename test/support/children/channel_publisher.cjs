// Connects to a node, waits for its subscription, publishes numbers and stays until it is killed.

const { startNode } = require('./common.cjs');

async function main() {
  const [addr, publicKey, nodeId, count] = process.argv.slice(2);
  const node = await startNode();
  node.registerChannel({ name: 'child/count', reliable: true });
  await node.connect(addr, publicKey, BigInt(nodeId));
  while (node.subscribers('child/count').length === 0)
    await new Promise((resolve) => setTimeout(resolve, 5));
  for (let i = 0; i < Number(count); i++) await node.publish('child/count', Buffer.from(String(i)));
}

void main();
