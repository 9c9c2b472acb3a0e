import { randomBytes } from 'node:crypto';

import { BackpressureError, MeshNode } from 'netmesh';

async function main(): Promise<void> {
  // Every member of a mesh knows its pre-shared key. Nodes usually live on different machines.
  const psk = randomBytes(32).toString('hex');
  const alice = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk });
  const bob = await MeshNode.create({ bindAddr: '127.0.0.1:0', psk });
  await Promise.all([alice.start(), bob.start()]);

  // Alice needs to know Bob's address, public key and node id. Bob need not know Alice.
  await alice.connect(bob.localAddr(), bob.publicKey(), bob.nodeId());
  for (const { security, aead } of alice.peers()) console.log(`connected: ${security}, ${aead}`);

  // A reliable stream delivers every event exactly once and in order.
  const colours = alice.openStream(bob.nodeId(), { streamId: 1n, reliability: 'reliable' });
  await alice.sendWithRetry(colours, [Buffer.from('red'), Buffer.from('green')]);
  await alice.sendWithRetry(colours, [Buffer.from('blue')]);
  alice.closeStream(bob.nodeId(), 1n);

  // Ends when Alice has closed the stream. `bob.messages()` would yield those of all streams.
  for await (const { data } of bob.readStream(alice.nodeId(), 1n)) {
    console.log(`bob got ${data.toString()}`);
  }

  // `sendOnStream` never waits: it takes all events, or none and says so.
  const small = alice.openStream(bob.nodeId(), { streamId: 2n, windowBytes: 4096 });
  try {
    await alice.sendOnStream(small, [Buffer.alloc(3000), Buffer.alloc(3000)]);
  } catch (error) {
    if (!(error instanceof BackpressureError)) throw error;
    console.log(error.message);
  }

  // Delivers what is under way, says goodbye, closes the sockets.
  await Promise.all([alice.shutdown(), bob.shutdown()]);
}

main().catch((error: unknown) => {
  console.error(error);
  process.exitCode = 1;
});
