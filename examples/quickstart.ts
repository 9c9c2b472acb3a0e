// Two nodes in one process: the second connects to the first, opens a stream and sends on it.

import { randomBytes } from 'node:crypto';
import { BackpressureError, MeshNode } from 'netmesh';

async function main(): Promise<void> {
  const psk = randomBytes(32).toString('hex');
  const server = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk });
  const client = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk });
  server.on('peer:up', ({ addr, security }) => {
    console.log(`a ${security} peer connected from ${addr.replace(/:\d+$/, '')}`);
  });
  await Promise.all([server.start(), client.start()]);

  // A peer is known by its address, its public key and its node id.
  await client.connect(server.localAddr(), server.publicKey(), server.nodeId());
  const stream = client.openStream(server.nodeId(), { streamId: 7n, reliability: 'reliable' });

  const received = (async () => {
    for await (const { streamId, data } of server.messages()) {
      console.log(`stream ${streamId}: ${data.toString()}`);
      if (data.toString() === 'goodbye') return;
    }
  })();

  try {
    // Sends at once, or throws when the stream's window is full ...
    await client.sendOnStream(stream, [Buffer.from('hello')]);
  } catch (error) {
    if (!(error instanceof BackpressureError)) throw error;
    console.log('too fast: dropped');
  }
  // ... and this one waits until the peer has caught up.
  await client.sendWithRetry(stream, [Buffer.from('world'), Buffer.from('goodbye')]);

  await received;
  await Promise.all([client.shutdown(), server.shutdown()]);
}

void main();
