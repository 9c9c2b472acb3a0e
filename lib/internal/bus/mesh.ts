// A second bus at the other end of an encrypted session (spec 40 §13): over reliable streams of the
// mesh when that is netmesh as well, else over the single-peer protocol of net-mesh 0.19.

import { createHash } from 'node:crypto';

import type { NativeBatch } from '../../../types/native';
import { AdapterError } from '../../core/errors';
import { addon } from '../native';
import type { Adapter } from './adapter';
import type { Receive } from './backends';
import type { MeshConfig } from './config';
import type { FetchedPage } from './events';
import { LegacyBusLink } from './mesh_legacy';
import { ModernBusLink } from './mesh_modern';

/** As the base protocol: attempts of five seconds each. */
const ATTEMPTS = 3;
const ATTEMPT_MS = 5000;
/** Of an attempt, the time for a peer that speaks the mesh protocol. */
const MODERN_SHARE = 0.5;
const PAUSE_MS = 100;

/** A connection between two buses. */
export interface BusLink {
  /** Resolves when the peer has the batch, as far as the protocol tells. */
  send(batch: NativeBatch): Promise<void>;
  isAlive(): boolean;
  close(): Promise<void>;
}

/**
 * The identities of the two ends. Both follow from what both ends know, so that the initiator knows
 * whom it asks for; what proves the responder is its secret key.
 */
export function seedOf(config: MeshConfig, initiator: boolean): Uint8Array {
  return createHash('sha256')
    .update(`netmesh bus ${initiator ? 'initiator' : 'responder'} 1`)
    .update(config.psk)
    .update(config.publicKey)
    .digest();
}

export function idOf(config: MeshConfig, initiator: boolean): bigint {
  return addon().nodeIdOfSeed(seedOf(config, initiator));
}

export class MeshAdapter implements Adapter {
  readonly name = 'net';
  readonly #config: MeshConfig;
  readonly #receive: Receive;
  readonly #stop = new AbortController();
  #link: BusLink | undefined;

  constructor(config: MeshConfig, receive: Receive) {
    this.#config = config;
    this.#receive = receive;
  }

  async init(): Promise<void> {
    for (let attempt = 1; attempt <= ATTEMPTS; attempt++) {
      this.#link = await (this.#config.initiator ? this.#initiate() : this.#respond());
      if (this.#stop.signal.aborted) {
        await this.#link?.close();
        throw new AdapterError('shutdown');
      }
      if (this.#link) return;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS * attempt));
    }
    throw new AdapterError('connection', 'handshake timeout');
  }

  async onBatch(batch: NativeBatch): Promise<void> {
    if (!this.#link) throw new AdapterError('shutdown');
    await this.#link.send(batch);
  }

  /** What the peer sends is stored by the bus. */
  pollShard(): Promise<FetchedPage> {
    return Promise.reject(new AdapterError('fatal', 'there is nothing to fetch'));
  }

  latest(): Promise<undefined> {
    return Promise.resolve(undefined);
  }

  watch(): () => void {
    return () => undefined;
  }

  isHealthy(): Promise<boolean> {
    return Promise.resolve(this.#link?.isAlive() === true);
  }

  flush(): Promise<void> {
    return Promise.resolve();
  }

  async shutdown(): Promise<void> {
    this.#stop.abort();
    const link = this.#link;
    this.#link = undefined;
    await link?.close();
  }

  /** The mesh first; an old peer does not answer that. */
  async #initiate(): Promise<BusLink | undefined> {
    const { signal } = this.#stop;
    const modernMs = this.#config.allowLegacy ? ATTEMPT_MS * MODERN_SHARE : ATTEMPT_MS;
    const modern = await ModernBusLink.connect(this.#config, this.#receive, modernMs, signal);
    if (modern || !this.#config.allowLegacy || signal.aborted) return modern;
    const waitMs = ATTEMPT_MS - modernMs;
    const legacy = await LegacyBusLink.open(this.#config, this.#receive, waitMs, signal);
    return legacy === 'modern' ? undefined : legacy;
  }

  /** Whoever comes first shows which protocol it is. */
  async #respond(): Promise<BusLink | undefined> {
    const { signal } = this.#stop;
    const legacy = await LegacyBusLink.open(this.#config, this.#receive, ATTEMPT_MS, signal);
    if (legacy !== 'modern') return legacy;
    return ModernBusLink.accept(this.#config, this.#receive, ATTEMPT_MS, signal);
  }
}
