// The adapter of a transport, loaded when it is asked for.

import type { Adapter } from './adapter';
import type { Backend } from './config';

/** Stores events that came from a peer. */
export type Receive = (shard: number, events: readonly Uint8Array[]) => void;

/** Nothing for a bus that stores its events itself. */
export async function createAdapter(
  backend: Backend,
  shards: number,
  receive: Receive,
): Promise<Adapter | undefined> {
  switch (backend.type) {
    case 'memory':
      return undefined;
    case 'redis': {
      const { RedisAdapter } = await import('./redis.js');
      return new RedisAdapter(backend.config, shards);
    }
    case 'jetstream': {
      const { JetStreamAdapter } = await import('./jetstream.js');
      return new JetStreamAdapter(backend.config);
    }
    case 'mesh':
      return new (await import('./mesh.js')).MeshAdapter(backend.config, receive);
  }
}
