'use strict';

const { MeshNode } = require('../../../dist/index.js');

const psk = '42'.repeat(32);

/** A started node on a port of the system's choice. */
async function startNode(config = {}) {
  const node = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk, ...config });
  await node.start();
  return node;
}

async function connectedPair() {
  const [a, b] = await Promise.all([startNode(), startNode()]);
  await a.connect(b.localAddr(), b.publicKey(), b.nodeId());
  return [a, b];
}

module.exports = { MeshNode, psk, startNode, connectedPair };
