// One native node: its life cycle, pending requests, and the loop that drains what it reports.

import { EventEmitter } from 'node:events';

import type {
  NativeControlEvent,
  NativeDrain,
  NativeNode,
  NativeStream,
  NativeUnacknowledged,
} from '../../types/native';
import { NotConnectedError, ShutDownError } from '../core/errors';
import type { MeshNodeEvents, ShutdownReport } from '../types';
import { onAbort, rejected } from './abort';
import type { NodeConfig } from './config';
import { Inbox } from './inbox';
import { CapabilityWatches } from './capability_watch';
import { Channels } from './channels';
import { addon } from './native';
import { classify, classifyWithPrefix } from './native_errors';
import { SendLane } from './retry';

const MIN_PRUNED_LANES = 1024;
const DEFAULT_ACK_TIMEOUT_MS = 5000;
/** Warned about once each; later ones are not new information. */
const MAX_LEGACY_WARNINGS = 1024;

/**
 * Nodes that work for the process even when nobody holds them: started ones, and those with pending
 * requests. All others may be garbage collected, and the addon closes them then.
 */
const busyNodes = new Set<Node>();

interface PendingRequest {
  readonly kind: 'connect' | 'accept';
  readonly settle: (error: Error | undefined, addr: string) => void;
}

/** A native node with its requests as promises and its messages in an {@link Inbox}. */
export class Node {
  /** Options for features that read them later. */
  readonly features: NodeConfig['features'];
  readonly inbox: Inbox;
  /** Listeners run after the drain, each on its own. */
  readonly events = new EventEmitter();

  readonly watches: CapabilityWatches;
  readonly channels: Channels;

  readonly #native: NativeNode;
  readonly #requests = new Map<number, PendingRequest>();
  /** Connected peers. */
  readonly #peers = new Set<bigint>();
  /** Lines of waiting sends by `peer/stream`. */
  readonly #lanes = new Map<string, SendLane>();
  /** How many there were, at least, after those of closed streams were last removed. */
  #prunedLanes = MIN_PRUNED_LANES;
  readonly #legacyWarned = new Set<bigint>();
  #started = false;
  /** The user said `unref()`. */
  #detached = false;
  #holdsProcess = false;
  #ending: Promise<ShutdownReport> | undefined;
  #ended: ((report: ShutdownReport) => void) | undefined;

  /** Wipes the secrets of `config`. Throws what the addon says, with the prefix of spec 10 §15.2. */
  constructor(config: NodeConfig) {
    this.features = config.features;
    const { NativeNode: Native } = addon();
    try {
      this.#native = new Native(config.native, Node.#drainer(new WeakRef(this)));
    } catch (error) {
      throw classifyWithPrefix('MeshNode creation failed: ', error);
    } finally {
      config.native.psk.fill(0);
      config.native.identitySeed?.fill(0);
      config.native.noiseSecret?.fill(0);
    }
    this.#native.unref();
    this.watches = new CapabilityWatches(this.#native);
    this.inbox = new Inbox(
      {
        consume: (entries, count) => {
          this.#native.consume(entries, count);
        },
        connected: (peer) => this.connected(peer),
      },
      config.numShards,
    );
    const ackTimeoutMs = config.native.membershipAckTimeoutMs ?? DEFAULT_ACK_TIMEOUT_MS;
    this.channels = new Channels(this.#native, this.inbox, ackTimeoutMs, () => {
      this.#updateHold();
    });
  }

  /** Made apart from the constructor, whose scope would hold the node as long as the addon lives. */
  static #drainer(self: WeakRef<Node>): () => void {
    return () => {
      const node = self.deref();
      if (node) node.#drain();
    };
  }

  /** The addon's node; throws once the node is shut down. */
  get native(): NativeNode {
    this.assertOpen();
    return this.#native;
  }

  assertOpen(): void {
    if (this.#ending) throw new ShutDownError();
  }

  get ending(): Promise<ShutdownReport> | undefined {
    return this.#ending;
  }

  start(): void {
    const { native } = this;
    if (this.#started || this.#accepting()) return;
    native.start();
    if (!native.started) return;
    this.#started = true;
    this.#updateHold();
  }

  connect(
    addr: string,
    publicKey: Uint8Array,
    peer: bigint,
    options: { routed: boolean; timeoutMs?: number; signal?: AbortSignal },
  ): Promise<void> {
    const { routed, timeoutMs, signal } = options;
    return this.#request('connect', signal, (native) =>
      native.connect(addr, publicKey, peer, routed, timeoutMs),
    ).then(() => undefined);
  }

  /** Resolves to the peer's address. */
  accept(peer: bigint, signal?: AbortSignal): Promise<string> {
    return this.#request('accept', signal, (native) => native.accept(peer));
  }

  /** Whether there is a live session with the peer. */
  connected(peer: bigint): boolean {
    if (this.#peers.has(peer)) return true;
    // The session may be younger than the last drain.
    return (
      this.#ending === undefined &&
      this.#native.peers().some(({ nodeId, alive }) => nodeId === peer && alive)
    );
  }

  /** The line of sends of a stream, one for all handles of the same opening. */
  lane(stream: NativeStream): SendLane {
    const key = `${stream.peerNodeId}/${stream.streamId}`;
    let lane = this.#lanes.get(key);
    if (lane?.stream.epoch === stream.epoch) return lane;
    // Sends that wait on the earlier opening try once more and learn that it is closed.
    lane?.wake();
    lane = new SendLane(stream);
    this.#lanes.set(key, lane);
    if (this.#lanes.size > this.#prunedLanes * 2) this.#pruneLanes();
    return lane;
  }

  closeStream(peer: bigint, streamId: bigint): void {
    this.native.closeStream(peer, streamId);
    this.#lanes.get(`${peer}/${streamId}`)?.wake();
  }

  ref(): void {
    this.assertOpen();
    this.#detached = false;
    this.#updateHold();
  }

  unref(): void {
    this.assertOpen();
    this.#detached = true;
    this.#updateHold();
  }

  /** Settles everything that waits, drains what was sent, and frees the node. Only once. */
  shutdown(drainMs: number): Promise<ShutdownReport> {
    if (this.#ending) return Promise.reject(new ShutDownError('already shut down'));
    this.#ending = new Promise((resolve) => {
      this.#ended = resolve;
    });
    this.#updateHold();
    const error = new ShutDownError();
    for (const { settle } of [...this.#requests.values()]) settle(error, '');
    for (const lane of this.#lanes.values()) lane.fail(error);
    this.#lanes.clear();
    this.inbox.flush();
    this.watches.end();
    this.channels.end();
    this.#native.shutdown(drainMs);
    return this.#ending;
  }

  #close(unacknowledged: NativeUnacknowledged[]): void {
    this.#native.close();
    this.#peers.clear();
    this.inbox.close(new ShutDownError());
    busyNodes.delete(this);
    this.#ended?.({
      unacknowledged: unacknowledged.map(({ peer, ...rest }) => ({ peerNodeId: peer, ...rest })),
    });
  }

  #pruneLanes(): void {
    for (const [key, lane] of this.#lanes) {
      if (!lane.busy && lane.stream.closed) this.#lanes.delete(key);
    }
    this.#prunedLanes = Math.max(this.#lanes.size, MIN_PRUNED_LANES);
  }

  #accepting(): boolean {
    return [...this.#requests.values()].some(({ kind }) => kind === 'accept');
  }

  #request(
    kind: PendingRequest['kind'],
    signal: AbortSignal | undefined,
    begin: (native: NativeNode) => number,
  ): Promise<string> {
    if (signal?.aborted === true) return rejected(signal.reason);
    const prefix = `${kind} failed: `;
    let request: number;
    try {
      request = begin(this.native);
    } catch (error) {
      return rejected(classifyWithPrefix(prefix, error));
    }
    return new Promise((resolve, reject: (reason: unknown) => void) => {
      const fail = reject;
      const forget = (): void => {
        stopListening();
        this.#requests.delete(request);
        this.#updateHold();
      };
      const stopListening = onAbort(signal, () => {
        this.#native.cancel(request);
        forget();
        fail(signal?.reason);
      });
      const settle: PendingRequest['settle'] = (error, addr) => {
        forget();
        if (error) fail(classifyWithPrefix(prefix, error));
        else resolve(addr);
      };
      this.#requests.set(request, { kind, settle });
      this.#updateHold();
    });
  }

  /** Holds the process and the node itself while there is something to do. */
  #updateHold(): void {
    const waits = this.#requests.size > 0 || this.channels.busy;
    const busy = this.#started || waits || this.#ending !== undefined;
    if (busy) busyNodes.add(this);
    else busyNodes.delete(this);
    // An orderly end is finished even when nothing else is left to do.
    const hold = busy && (!this.#detached || this.#ending !== undefined);
    if (hold === this.#holdsProcess) return;
    this.#holdsProcess = hold;
    if (hold) this.#native.ref();
    else this.#native.unref();
  }

  #drain(): void {
    let drained: NativeDrain;
    try {
      drained = this.#native.drain();
    } catch (error) {
      // Closed between the signal and the call.
      if (classify(error) instanceof ShutDownError) return;
      throw error;
    }
    const { events, blocks } = drained;
    const { inbox } = this;
    let nextEvent = 0;
    let before = 0;
    /** Handles the events that at most `messages` messages precede. */
    const handleUpTo = (messages: number): void => {
      for (
        let event = events[nextEvent];
        event && event.at <= messages;
        event = events[nextEvent]
      ) {
        nextEvent++;
        this.#handle(event);
      }
    };
    for (const { data, meta, from, to } of blocks) {
      let next = from;
      while (next < to) {
        handleUpTo(before + next - from);
        const end = Math.min(to, (events[nextEvent]?.at ?? Infinity) - before + from);
        inbox.route(data, meta, next, end);
        next = end;
      }
      before += to - from;
    }
    handleUpTo(Infinity);
    inbox.settle();
  }

  #handle(event: NativeControlEvent): void {
    switch (event.kind) {
      case 'connectDone':
        this.#requests.get(event.request)?.settle(event.error, '');
        break;
      case 'acceptDone':
        this.#requests.get(event.request)?.settle(event.error, event.addr);
        break;
      case 'peerUp':
        this.#peerUp(event);
        break;
      case 'peerDown':
        this.#peerDown(event.peer, event.reason);
        break;
      case 'streamOpened':
        this.inbox.streamOpened(event.ref, event.peer, event.streamId);
        break;
      case 'streamFinished':
        this.inbox.streamFinished(event.ref, event.finished);
        break;
      case 'credit': {
        const lane = this.#lanes.get(`${event.peer}/${event.streamId}`);
        if (lane?.stream.epoch === event.epoch) lane.wake();
        break;
      }
      case 'peerMoved':
        this.#emit('peer:moved', { nodeId: event.peer, addr: event.addr });
        break;
      case 'publishDone':
        this.channels.publishDone(event);
        break;
      case 'subscribeDone':
      case 'unsubscribeDone':
        this.channels.membershipDone(event);
        break;
      case 'subscriptionSuspended':
      case 'subscriptionResumed':
      case 'subscriptionLost':
        this.channels.subscriptionChanged(event);
        break;
      case 'watchesReady':
        this.watches.wake();
        break;
      case 'shutdownDone':
        // After what else this drain brings.
        process.nextTick(() => {
          this.#close(event.unacknowledged);
        });
        break;
    }
  }

  #peerUp({ peer, addr, security }: Extract<NativeControlEvent, { kind: 'peerUp' }>): void {
    this.#peers.add(peer);
    this.inbox.peerUp(peer);
    this.#emit('peer:up', { nodeId: peer, addr, security });
    if (security === 'modern' || this.#legacyWarned.has(peer)) return;
    if (this.#legacyWarned.size >= MAX_LEGACY_WARNINGS) return;
    this.#legacyWarned.add(peer);
    process.emitWarning(
      `peer 0x${peer.toString(16)} at ${addr} speaks only the base protocol: its session has ` +
        "neither forward secrecy nor a proven identity (legacyPeers: 'deny' refuses such peers)",
      { type: 'NetmeshWarning', code: 'NETMESH_LEGACY_PEER' },
    );
  }

  #peerDown(peer: bigint, reason: string): void {
    this.#peers.delete(peer);
    // A silent peer may come back, but nobody knows when: whoever waits for its credit is told.
    for (const [key, lane] of this.#lanes) {
      if (lane.busy && key.startsWith(`${peer}/`)) lane.fail(new NotConnectedError());
    }
    this.inbox.peerDown(peer, this.#ending && new ShutDownError());
    this.#emit('peer:down', { nodeId: peer, reason });
  }

  /** A listener that throws must not stop the drain. */
  #emit<K extends keyof MeshNodeEvents>(name: K, ...args: MeshNodeEvents[K]): void {
    process.nextTick(() => {
      this.events.emit(name, ...args);
    });
  }
}
