// Two netmesh buses: batches over a reliable stream, each confirmed when the other bus has stored it.

import type { NativeBatch } from '../../../types/native';
import { AdapterError } from '../../core/errors';
import { MeshNode } from '../../mesh';
import type { MeshNodeConfig, MeshStream } from '../../types';
import { NOISE_SECRET } from '../config';
import type { Receive } from './backends';
import type { MeshConfig } from './config';
import { type BusLink, idOf, seedOf } from './mesh';
import { type Run, SeenRuns, batchMessage, parseMessage, storedMessage } from './mesh_messages';

const STREAM_ID = 0x6275_7331n;
/** Batches are cut into messages of about this size; an event alone may be larger. */
const MESSAGE_BYTES = 1024 * 1024;
const WINDOW_BYTES = 0x7fff_ffff;
const RECONNECT_MS = 250;
const HANDSHAKE_MS = 1000;
const DRAIN_MS = 1000;

/** A message whose confirmation is awaited. */
interface Sent {
  resolve: () => void;
  reject: (error: Error) => void;
}

const nameOf = ({ nonce, shard, sequence, count }: Run): string =>
  `${nonce}:${shard}:${sequence}:${count}`;

export class ModernBusLink implements BusLink {
  readonly #node: MeshNode;
  readonly #peer: bigint;
  readonly #receive: Receive;
  readonly #seen = new SeenRuns();
  readonly #sent = new Map<string, Sent>();
  #stream: MeshStream | undefined;
  #up = false;
  #closed = false;

  private constructor(node: MeshNode, peer: bigint, receive: Receive) {
    this.#node = node;
    this.#peer = peer;
    this.#receive = receive;
    node.on('peer:up', ({ nodeId }) => {
      if (nodeId === peer) this.#connected();
    });
    node.on('peer:down', ({ nodeId }) => {
      if (nodeId === peer) this.#disconnected();
    });
    void this.#read();
  }

  static async #open(config: MeshConfig, receive: Receive): Promise<ModernBusLink> {
    const options: MeshNodeConfig & { [NOISE_SECRET]?: Uint8Array } = {
      bindAddr: config.bindAddr,
      psk: Buffer.from(config.psk).toString('hex'),
      identitySeed: seedOf(config, config.initiator),
      heartbeatIntervalMs: config.heartbeatIntervalMs,
      sessionTimeoutMs: config.sessionTimeoutMs,
      handshakeTimeoutMs: HANDSHAKE_MS,
      legacyPeers: 'deny',
      ...(!config.initiator && { [NOISE_SECRET]: Uint8Array.from(config.secretKey) }),
    };
    let node: MeshNode;
    try {
      node = await MeshNode.create(options);
    } catch (error) {
      throw new AdapterError('connection', (error as Error).message, { cause: error });
    }
    await node.start();
    return new ModernBusLink(node, idOf(config, !config.initiator), receive);
  }

  /** Undefined when nobody answers in time. */
  static async connect(
    config: MeshConfig,
    receive: Receive,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ModernBusLink | undefined> {
    const link = await ModernBusLink.#open(config, receive);
    const connect = async (ms: number): Promise<void> => {
      const key = Buffer.from(config.publicKey).toString('hex');
      await link.#node.connect(config.peerAddr, key, link.#peer, { timeoutMs: ms, signal });
    };
    try {
      await connect(timeoutMs);
    } catch {
      await link.close();
      return undefined;
    }
    link.#connected();
    void link.#stayConnected(connect);
    return link;
  }

  /** Waits for the initiator that has just shown itself. */
  static async accept(
    config: MeshConfig,
    receive: Receive,
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<ModernBusLink | undefined> {
    const link = await ModernBusLink.#open(config, receive);
    const deadline = Date.now() + timeoutMs;
    while (!link.#up && Date.now() < deadline && !signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
    if (link.#up) return link;
    await link.close();
    return undefined;
  }

  async send(batch: NativeBatch): Promise<void> {
    const nonce = BigInt(`0x${batch.idPrefix.slice(0, batch.idPrefix.indexOf(':'))}`);
    const data = Buffer.from(batch.data);
    const confirmed: Array<Promise<void>> = [];
    let first = 0;
    let start = 0;
    while (first < batch.ends.length) {
      let last = first + 1;
      while (last < batch.ends.length && (batch.ends[last] ?? 0) - start <= MESSAGE_BYTES) last++;
      const run: Run = {
        shard: batch.shard,
        nonce,
        sequence: batch.sequenceStart + BigInt(first),
        count: last - first,
      };
      const end = batch.ends[last - 1] ?? start;
      const ends = batch.ends.subarray(first, last).map((each) => each - start);
      confirmed.push(this.#sendRun(run, batchMessage(run, ends, data.subarray(start, end))));
      first = last;
      start = end;
    }
    await Promise.all(confirmed);
  }

  isAlive(): boolean {
    return this.#up;
  }

  async close(): Promise<void> {
    this.#closed = true;
    this.#disconnected();
    await this.#node.shutdown({ drainMs: DRAIN_MS });
  }

  #connected(): void {
    if (this.#closed) return;
    this.#up = true;
    try {
      this.#stream = this.#node.openStream(this.#peer, {
        streamId: STREAM_ID,
        reliability: 'reliable',
        windowBytes: WINDOW_BYTES,
      });
    } catch {
      // Gone again; what is to be sent fails and is tried again.
      this.#up = false;
    }
  }

  /** What the peer has not confirmed is sent again by whoever waits for it. */
  #disconnected(): void {
    this.#up = false;
    this.#stream = undefined;
    const error = this.#closed
      ? new AdapterError('shutdown')
      : new AdapterError('transient', 'the session with the peer is gone');
    for (const { reject } of [...this.#sent.values()]) reject(error);
    this.#sent.clear();
  }

  async #stayConnected(connect: (ms: number) => Promise<void>): Promise<void> {
    while (!this.#closed) {
      await new Promise((resolve) => setTimeout(resolve, RECONNECT_MS).unref());
      if (this.#closed || this.#up) continue;
      await connect(HANDSHAKE_MS * 2).catch(() => undefined);
    }
  }

  #sendRun(run: Run, message: Buffer): Promise<void> {
    const stream = this.#stream;
    if (!stream) {
      const error = new AdapterError('transient', 'the session with the peer is gone');
      return Promise.reject(this.#closed ? new AdapterError('shutdown') : error);
    }
    const name = nameOf(run);
    return new Promise((resolve, reject) => {
      this.#sent.set(name, { resolve, reject });
      this.#node.sendBlocking(stream, [message]).catch((error: unknown) => {
        this.#sent.delete(name);
        reject(new AdapterError('transient', (error as Error).message, { cause: error }));
      });
    });
  }

  async #read(): Promise<void> {
    try {
      for await (const messages of this.#node.messageBatches()) {
        for (const { peerNodeId, data } of messages) {
          if (peerNodeId === this.#peer) this.#handle(data);
        }
      }
    } catch {
      // The node is being closed.
    }
  }

  #handle(data: Buffer): void {
    const message = parseMessage(data);
    if (!message) return;
    if (message.kind === 'stored') {
      const name = nameOf(message);
      this.#sent.get(name)?.resolve();
      this.#sent.delete(name);
      return;
    }
    const known = this.#seen.note(message);
    if (known < message.count) this.#receive(message.shard, message.events.slice(known));
    const stream = this.#stream;
    if (!stream) return;
    // A confirmation that does not get through is given again when the batch comes again.
    this.#node.sendBlocking(stream, [storedMessage(message)]).catch(() => undefined);
  }
}
