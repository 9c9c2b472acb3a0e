'use strict';
// Ways for a process to end, by the first argument.

const { MeshNode, psk, startNode, connectedPair } = require('./common.cjs');

/** Keeps a stream busy in both directions. */
async function traffic(a, b) {
  const stream = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
  let count = 0;
  (async () => {
    for await (const { data } of b.messages()) count += data.length;
  })();
  (async () => {
    for (;;) await a.sendBlocking(stream, [Buffer.alloc(1000), Buffer.alloc(1000)]);
  })().catch(() => {});
  while (count < 100_000) await new Promise((resolve) => setImmediate(resolve));
}

const ways = {
  /** A node that was never started holds nothing up. */
  async bound() {
    await MeshNode.create({ bindAddr: '127.0.0.1:0', psk });
  },
  async unref() {
    const [a, b] = await connectedPair();
    a.unref();
    b.unref();
  },
  async 'shut-down'() {
    const [a, b] = await connectedPair();
    await Promise.all([a.shutdown(), b.shutdown()]);
  },
  async 'keeps-running'() {
    const node = await startNode();
    console.log('started', node.unref() === node, node.ref() === node);
  },
  async 'pending-connect'() {
    const node = await MeshNode.create({
      bindAddr: '127.0.0.1:0',
      psk,
      handshakeTimeoutMs: 300,
      handshakeRetries: 1,
    });
    const error = await node.connect('127.0.0.1:9', '11'.repeat(32), 1n).catch((e) => e);
    console.log(error.message);
  },
  async 'exit-in-traffic'() {
    await traffic(...(await connectedPair()));
    process.exit(7);
  },
  async 'throw-in-traffic'() {
    await traffic(...(await connectedPair()));
    setImmediate(() => {
      throw new Error('on purpose');
    });
  },
  async 'exit-in-handshake'() {
    const node = await startNode();
    void node.connect('127.0.0.1:9', '11'.repeat(32), 1n);
    process.exit(8);
  },
  async 'exit-in-shutdown'() {
    const [a, b] = await connectedPair();
    a.blockPeer(b.localAddr());
    const stream = a.openStream(b.nodeId(), { streamId: 1n, reliability: 'reliable' });
    await a.sendOnStream(stream, [Buffer.alloc(1000)]);
    void a.shutdown();
    process.exit(9);
  },
  /** Nothing but the shutdown is left to wait for. */
  async 'await-shutdown'() {
    const node = await startNode();
    node.unref();
    await node.shutdown();
    console.log('shut down');
  },
  async 'throwing-listener'() {
    const [a, b] = await Promise.all([startNode(), startNode()]);
    b.on('peer:up', () => {
      throw new Error('on purpose');
    });
    process.once('uncaughtException', async (error) => {
      console.log(error.message);
      await connecting;
      const stream = a.openStream(b.nodeId(), { streamId: 1n });
      await a.sendOnStream(stream, [Buffer.from('x')]);
      for await (const { data } of b.messages()) {
        console.log(data.toString());
        break;
      }
      await Promise.all([a.shutdown(), b.shutdown()]);
    });
    const connecting = a.connect(b.localAddr(), b.publicKey(), b.nodeId());
  },
};

ways[process.argv[2]]();
