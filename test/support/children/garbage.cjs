'use strict';
// Drops nodes without shutting them down, and waits for the garbage collector to close them.

const { readdirSync } = require('node:fs');
const { MeshNode, psk } = require('./common.cjs');

const descriptors = () => readdirSync('/proc/self/fd').length;

(async () => {
  await (await MeshNode.create({ bindAddr: '127.0.0.1:0', psk })).shutdown();
  const before = descriptors();
  for (let i = 0; i < 50; i++) await MeshNode.create({ bindAddr: '127.0.0.1:0', psk });
  const most = descriptors();
  for (let i = 0; i < 200 && descriptors() > before; i++) {
    globalThis.gc();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  console.log(JSON.stringify({ before, most, after: descriptors() }));
})();
