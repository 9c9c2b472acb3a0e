// Everything received on its way from the addon's blocks to readers.
//
// A message goes to the readers of its stream when there are any, else into one queue for
// `messages()`, `messageBatches()` and polling. Queues hold segments, runs of messages of one stream
// in one block; message objects are made when they are handed over, and only then is the addon told
// that they are consumed, which is what lets the sender go on.

import { isUtf8 } from 'node:buffer';

import { NotConnectedError } from '../core/errors';
import type { MeshMessage } from '../stream';
import type { StoredEvent } from '../types';
import { Supply } from './async_queue';
import { invalid } from './validate';

/** Words of metadata per message: offset, length, stream ref, index in packet, sequence low, high. */
export const META_WORDS = 6;
const META_LENGTH = 1;
const META_REF = 2;
const META_INDEX = 3;
const META_SEQUENCE_LOW = 4;
const META_SEQUENCE_HIGH = 5;

/** Larger batches only make the garbage collector copy more. */
const MAX_BATCH = 2048;
/** Consumption is reported at the latest after this many bytes, so that the sender need not pause. */
const FLUSH_BYTES = 256 * 1024;
/** Streams that the peer closed before anybody claimed them are remembered up to this number. */
const MAX_FINISHED = 4096;

const enum End {
  Open,
  /** The peer closed the stream: everything that it sent was delivered. */
  Finished,
  /** The session is gone, or a base session, which knows no end of a stream, forgot this one. */
  Lost,
}

/** The receiving half of one stream, from its first message to its end. */
class InboundStream {
  end = End.Open;
  /** The readers of this stream, if there are any. */
  route: StreamInbox | undefined;
  /** Nobody will ever read it: consume and forget. */
  discard = false;
  /** Consumed, not yet reported. */
  events = 0;
  bytes = 0;

  constructor(
    readonly ref: number,
    readonly peer: bigint,
    readonly streamId: bigint,
    readonly shard: number,
  ) {}
}

/** Consecutive messages of one stream in one block, those before `next` taken. */
class Segment {
  constructor(
    readonly stream: InboundStream,
    readonly data: ArrayBuffer,
    readonly meta: Uint32Array,
    public next: number,
    readonly end: number,
    /** Order of arrival over all queues. */
    readonly order: number,
  ) {}

  /** When it came; of channels only. */
  receivedAt = 0;
}

/** A first-in-first-out queue of segments. */
class SegmentQueue {
  #items: Segment[] = [];
  #head = 0;

  /** The segment to take from. */
  get first(): Segment | undefined {
    return this.#items[this.#head];
  }

  get empty(): boolean {
    return this.#head === this.#items.length;
  }

  push(segment: Segment): void {
    this.#items.push(segment);
  }

  dropFirst(): void {
    this.#head++;
    if (this.#head === this.#items.length) {
      this.#items.length = 0;
      this.#head = 0;
    } else if (this.#head >= 1024) {
      this.#items.splice(0, this.#head);
      this.#head = 0;
    }
  }

  /** Adds segments where their order of arrival wants them. */
  merge(segments: readonly Segment[]): void {
    if (segments.length === 0) return;
    this.#items = [...this.#items.slice(this.#head), ...segments];
    this.#items.sort((a, b) => a.order - b.order);
    this.#head = 0;
  }

  /** Takes out the segments that match, or all of them. */
  extract(matches: (segment: Segment) => boolean = () => true): Segment[] {
    const live = this.#items.slice(this.#head);
    const taken = live.filter(matches);
    this.#items = live.filter((segment) => !matches(segment));
    this.#head = 0;
    return taken;
  }

  find(matches: (segment: Segment) => boolean): Segment | undefined {
    return this.#items.slice(this.#head).find(matches);
  }
}

/** The messages of one stream that has readers of its own. */
export class StreamInbox {
  readonly queue = new SegmentQueue();
  readonly supply: Supply<MeshMessage>;
  /** A `Duplex` reads alone. */
  readonly exclusive: boolean;
  /** Of a channel: stays when its stream or its session ends, for what the next one brings. */
  readonly lasting: boolean;
  /** More messages than this do not wait: the oldest go. */
  limit = Infinity;
  /** Messages that wait, and those that did not; counted for channels only. */
  count = 0;
  received = 0;
  dropped = 0;
  readers = 0;
  stream: InboundStream | undefined;

  constructor(
    inbox: Inbox,
    readonly peer: bigint,
    readonly streamId: bigint,
    exclusive: boolean,
    supply?: { wake(): void; end(failure?: Error): void },
  ) {
    this.exclusive = exclusive;
    this.lasting = supply !== undefined;
    // A channel's messages are taken through its own supply.
    this.supply =
      (supply as Supply<MeshMessage> | undefined) ?? new Supply(() => inbox.takeFrom(this.queue));
  }
}

/** What the inbox asks of the node. */
export interface InboxHost {
  /** See `NativeNode.consume`. */
  consume(entries: Float64Array, count: number): void;
  /** Whether there is a session with the peer. */
  connected(peer: bigint): boolean;
}

/** One node's received messages. */
export class Inbox {
  /** For `messages()`. */
  readonly messages: Supply<MeshMessage>;
  /** For `messageBatches()`. */
  readonly batches: Supply<MeshMessage[]>;

  readonly #host: InboxHost;
  readonly #shardCount: bigint;
  #order = 0;
  /** Open streams by ref. A ref is used again after the stream's end, once all is consumed. */
  #byRef: Array<InboundStream | undefined> = [];
  readonly #open = new Map<string, InboundStream>();
  /** Streams that the peer closed before anybody claimed them, oldest first. */
  readonly #finished = new Map<string, InboundStream>();
  /** Streams with readers of their own, until their end. */
  readonly #claims = new Map<string, StreamInbox>();
  /** Of nobody yet. */
  readonly #pending = new SegmentQueue();
  /** What polling took out of `#pending` and has not handed over. */
  readonly #shards = new Map<number, SegmentQueue>();
  /** Inboxes that got something in this drain. */
  readonly #touched = new Set<StreamInbox>();
  #dirty: InboundStream[] = [];
  #dirtyBytes = 0;
  #entries = new Float64Array(3 * 64);
  #flushScheduled = false;
  #closed = false;

  constructor(host: InboxHost, shardCount: number) {
    this.#host = host;
    this.#shardCount = BigInt(Math.max(shardCount, 1));
    this.messages = new Supply(() => {
      this.#reclaimShards();
      return this.takeFrom(this.#pending);
    });
    this.batches = new Supply(() => {
      this.#reclaimShards();
      return this.#takeBatch();
    });
  }

  // --- from the addon ---

  streamOpened(ref: number, peer: bigint, streamId: bigint): void {
    const shard = Number(streamId % this.#shardCount);
    const stream = new InboundStream(ref, peer, streamId, shard);
    const key = keyOf(peer, streamId);
    const claim = this.#claims.get(key);
    if (claim) bind(claim, stream);
    this.#byRef[ref] = stream;
    this.#finished.delete(key);
    this.#open.set(key, stream);
  }

  streamFinished(ref: number, finished: boolean): void {
    const stream = this.#byRef[ref];
    if (!stream) return;
    this.#byRef[ref] = undefined;
    stream.end = finished ? End.Finished : End.Lost;
    const key = keyOf(stream.peer, stream.streamId);
    if (this.#open.get(key) === stream) this.#open.delete(key);
    const { route } = stream;
    if (route?.lasting === true) {
      unbind(route);
    } else if (!finished) {
      // Readers go on with what the peer may send on it next, unless the session ends as well.
      if (route) unbind(route);
    } else if (route) {
      this.#unclaim(route);
      route.supply.end();
    } else if (!stream.discard) {
      this.#remember(key, stream);
    }
  }

  /** A new session: ends of the streams of an earlier one say nothing about its own. */
  peerUp(peer: bigint): void {
    for (const [key, stream] of this.#finished) {
      if (stream.peer === peer) this.#finished.delete(key);
    }
  }

  /** The peer is gone: its readers get what is left, then the failure. */
  peerDown(peer: bigint, failure: Error = new NotConnectedError()): void {
    for (const claim of [...this.#claims.values()]) {
      if (claim.peer !== peer || claim.lasting) continue;
      this.#unclaim(claim);
      claim.supply.end(failure);
    }
  }

  /** Messages `from` to `to` of a block have arrived. */
  route(data: ArrayBuffer, meta: Uint32Array, from: number, to: number): void {
    let next = from;
    while (next < to) {
      const start = next;
      const ref = meta[start * META_WORDS + META_REF] ?? 0;
      do next++;
      while (next < to && meta[next * META_WORDS + META_REF] === ref);
      const stream = this.#byRef[ref];
      if (stream) this.#add(new Segment(stream, data, meta, start, next, this.#order++));
    }
  }

  /** The drain is over: readers get what has come. */
  settle(): void {
    for (const touched of this.#touched) touched.supply.wake();
    this.#touched.clear();
    if (!this.#pending.empty) {
      this.messages.wake();
      this.batches.wake();
    }
    this.#scheduleFlush();
  }

  /** The node is shut down: nothing more will come. Streams that were not read to their end fail. */
  close(failure: Error): void {
    for (const claim of [...this.#claims.values()]) {
      claim.supply.end(claim.lasting ? undefined : failure);
    }
    this.#claims.clear();
    this.#closed = true;
    this.messages.end();
    this.batches.end();
  }

  // --- to the application ---

  /**
   * The messages of one stream from now on, those that wait included. Throws NotConnectedError when
   * none are there and none can come. Each claim is to be given back by {@link release}.
   */
  claim(peer: bigint, streamId: bigint, exclusive: boolean): StreamInbox {
    const key = keyOf(peer, streamId);
    const present = this.#claims.get(key);
    if (present) {
      if (exclusive || present.exclusive) {
        throw invalid(
          `stream 0x${streamId.toString(16)} of peer 0x${peer.toString(16)} has a reader already`,
        );
      }
      present.readers++;
      return present;
    }
    this.#reclaimShards();
    const isOurs = ({ stream }: Segment): boolean =>
      stream.peer === peer && stream.streamId === streamId;
    // An earlier incarnation of the stream comes first when messages of it are left.
    const stream =
      this.#pending.find(isOurs)?.stream ?? this.#open.get(key) ?? this.#finished.get(key);
    const claim = new StreamInbox(this, peer, streamId, exclusive);
    const waiting = this.#pending.extract((segment) => segment.stream === stream);
    const finished = stream?.end === End.Finished;
    const connected = this.#host.connected(peer);
    if (!connected && !finished && waiting.length === 0) throw new NotConnectedError();
    claim.readers = 1;
    claim.queue.merge(waiting);
    if (finished) {
      if (this.#finished.get(key) === stream) this.#finished.delete(key);
      claim.stream = stream;
      claim.supply.end();
    } else if (connected) {
      this.#claims.set(key, claim);
      if (stream?.end === End.Open) bind(claim, stream);
    } else {
      claim.supply.end(new NotConnectedError());
    }
    return claim;
  }

  /**
   * The messages of a channel's stream from now on, those that wait included, over the ends of streams
   * and sessions; given back by {@link discard}. They are taken by {@link takeChannel}.
   */
  claimChannel(
    peer: bigint,
    streamId: bigint,
    supply: { wake(): void; end(failure?: Error): void },
    limit: number,
  ): StreamInbox {
    const key = keyOf(peer, streamId);
    const present = this.#claims.get(key);
    if (present) {
      throw invalid(
        `stream 0x${streamId.toString(16)} of peer 0x${peer.toString(16)} has a reader already`,
      );
    }
    this.#reclaimShards();
    const claim = new StreamInbox(this, peer, streamId, true, supply);
    claim.limit = limit;
    const stream = this.#open.get(key);
    for (const segment of this.#pending.extract(
      ({ stream: each }) => each.peer === peer && each.streamId === streamId,
    )) {
      claim.queue.push(segment);
      claim.count += segment.end - segment.next;
      claim.received += segment.end - segment.next;
    }
    this.#claims.set(key, claim);
    if (stream) bind(claim, stream);
    return claim;
  }

  /** Takes one payload of a channel. */
  takeChannel(claim: StreamInbox): { payload: Buffer; seq: bigint; receivedAt: Date } | undefined {
    const segment = claim.queue.first;
    if (segment === undefined) return undefined;
    const { meta, next, receivedAt } = segment;
    const low = meta[next * META_WORDS + META_SEQUENCE_LOW] ?? 0;
    const high = meta[next * META_WORDS + META_SEQUENCE_HIGH] ?? 0;
    const message = this.takeFrom(claim.queue);
    claim.count--;
    return {
      payload: message?.data ?? Buffer.alloc(0),
      seq: high === 0 ? BigInt(low) : (BigInt(high) << 32n) | BigInt(low),
      receivedAt: new Date(receivedAt),
    };
  }

  /** One reader less. When it was the last one, what it did not read is there for the others. */
  release(claim: StreamInbox): void {
    if (--claim.readers > 0) return;
    const { stream } = claim;
    this.#unclaim(claim);
    const unread = claim.queue.extract();
    if (unread.length === 0 || this.#closed) return;
    if (stream?.end === End.Finished) {
      const key = keyOf(claim.peer, claim.streamId);
      if (!this.#open.has(key)) this.#remember(key, stream);
    }
    this.#pending.merge(unread);
    this.settle();
  }

  /** The only reader wants no more, and nobody else shall see the rest of the stream. */
  discard(claim: StreamInbox): void {
    const { stream } = claim;
    this.#unclaim(claim);
    if (stream) stream.discard = true;
    for (const segment of claim.queue.extract()) this.#consumeAll(segment);
    this.#scheduleFlush();
  }

  /** What has come stays for the only reader; nobody shall see what is still to come. */
  detach(claim: StreamInbox): void {
    const { stream } = claim;
    this.#unclaim(claim);
    if (stream) stream.discard = true;
    claim.stream = undefined;
  }

  /** Takes one message of a queue. */
  takeFrom(queue: SegmentQueue): MeshMessage | undefined {
    const segment = queue.first;
    if (segment === undefined) return undefined;
    const { stream } = segment;
    const at = segment.next++ * META_WORDS;
    const length = segment.meta[at + META_LENGTH] ?? 0;
    const message: MeshMessage = {
      peerNodeId: stream.peer,
      streamId: stream.streamId,
      data: Buffer.from(segment.data, segment.meta[at], length),
    };
    if (segment.next === segment.end) queue.dropFirst();
    this.#consumed(stream, 1, length);
    if (queue.empty) this.flush();
    else this.#scheduleFlush();
    return message;
  }

  /** Up to `limit` events of one shard, oldest first. */
  pollShard(shard: number, limit: number): StoredEvent[] {
    for (const segment of this.#pending.extract()) {
      let queue = this.#shards.get(segment.stream.shard);
      if (!queue) this.#shards.set(segment.stream.shard, (queue = new SegmentQueue()));
      queue.push(segment);
    }
    const queue = this.#shards.get(shard);
    return queue ? this.#takeStored(queue, limit) : [];
  }

  /** Up to `limit` events of all shards, oldest first. */
  poll(limit: number): StoredEvent[] {
    this.#reclaimShards();
    return this.#takeStored(this.#pending, limit);
  }

  /** Tells the addon what was consumed. */
  flush(): void {
    const dirty = this.#dirty;
    if (dirty.length === 0) return;
    this.#dirty = [];
    this.#dirtyBytes = 0;
    if (this.#closed) return;
    if (this.#entries.length < dirty.length * 3) this.#entries = new Float64Array(dirty.length * 6);
    const entries = this.#entries;
    let at = 0;
    for (const stream of dirty) {
      entries[at++] = stream.ref;
      entries[at++] = stream.events;
      entries[at++] = stream.bytes;
      stream.events = 0;
      stream.bytes = 0;
    }
    this.#host.consume(entries, dirty.length);
  }

  #add(segment: Segment): void {
    const { route, discard } = segment.stream;
    if (route) {
      route.queue.push(segment);
      if (route.lasting) this.#limit(route, segment);
      this.#touched.add(route);
    } else if (discard) {
      this.#consumeAll(segment);
    } else {
      this.#pending.push(segment);
    }
  }

  /** Counts what has come, and drops the oldest beyond the limit. */
  #limit(route: StreamInbox, segment: Segment): void {
    segment.receivedAt = Date.now();
    route.count += segment.end - segment.next;
    route.received += segment.end - segment.next;
    while (route.count > route.limit) {
      this.takeFrom(route.queue);
      route.count--;
      route.dropped++;
    }
  }

  #takeBatch(): MeshMessage[] | undefined {
    const queue = this.#pending;
    if (queue.empty) return undefined;
    const batch: MeshMessage[] = [];
    let segment = queue.first;
    while (segment !== undefined && batch.length < MAX_BATCH) {
      const { stream, data, meta } = segment;
      const { peer: peerNodeId, streamId } = stream;
      const end = Math.min(segment.end, segment.next + MAX_BATCH - batch.length);
      let bytes = 0;
      for (let i = segment.next * META_WORDS; i < end * META_WORDS; i += META_WORDS) {
        const length = meta[i + META_LENGTH] ?? 0;
        bytes += length;
        batch.push({ peerNodeId, streamId, data: Buffer.from(data, meta[i], length) });
      }
      this.#consumed(stream, end - segment.next, bytes);
      segment.next = end;
      if (end === segment.end) queue.dropFirst();
      segment = queue.first;
    }
    if (segment === undefined) this.flush();
    else this.#scheduleFlush();
    return batch;
  }

  #takeStored(queue: SegmentQueue, limit: number): StoredEvent[] {
    const events: StoredEvent[] = [];
    let segment: Segment | undefined;
    while (events.length < limit && (segment = queue.first) !== undefined) {
      const { meta, stream } = segment;
      const at = segment.next * META_WORDS;
      const sequence =
        (meta[at + META_SEQUENCE_HIGH] ?? 0) * 2 ** 32 + (meta[at + META_SEQUENCE_LOW] ?? 0);
      const index = meta[at + META_INDEX] ?? 0;
      const rawBytes = this.takeFrom(queue)?.data ?? Buffer.alloc(0);
      events.push({
        id: `${sequence}:${index}`,
        raw: isUtf8(rawBytes) ? rawBytes.toString('utf8') : '',
        rawBytes,
        insertionTs: sequence,
        shardId: stream.shard,
      });
    }
    this.flush();
    return events;
  }

  /** Polling is not the only reader any more: its queues go back into the common one. */
  #reclaimShards(): void {
    if (this.#shards.size === 0) return;
    const segments: Segment[] = [];
    for (const queue of this.#shards.values()) segments.push(...queue.extract());
    this.#shards.clear();
    this.#pending.merge(segments);
  }

  /** Somebody reports the consumption afterwards: `settle` or `#scheduleFlush`. */
  #consumeAll({ stream, meta, next, end }: Segment): void {
    let bytes = 0;
    for (let i = next; i < end; i++) bytes += meta[i * META_WORDS + META_LENGTH] ?? 0;
    this.#consumed(stream, end - next, bytes);
  }

  #consumed(stream: InboundStream, events: number, bytes: number): void {
    if (stream.events === 0) this.#dirty.push(stream);
    stream.events += events;
    stream.bytes += bytes;
    this.#dirtyBytes += bytes;
    if (this.#dirtyBytes >= FLUSH_BYTES) this.flush();
  }

  #scheduleFlush(): void {
    if (this.#flushScheduled || this.#dirty.length === 0) return;
    this.#flushScheduled = true;
    setImmediate(() => {
      this.#flushScheduled = false;
      this.flush();
    }).unref();
  }

  /** New messages no longer go to this claim. */
  #unclaim(claim: StreamInbox): void {
    const key = keyOf(claim.peer, claim.streamId);
    if (this.#claims.get(key) === claim) this.#claims.delete(key);
    this.#touched.delete(claim);
    if (claim.stream?.route === claim) claim.stream.route = undefined;
  }

  /** Its messages may be read and its end be seen by who comes later. */
  #remember(key: string, stream: InboundStream): void {
    this.#finished.delete(key);
    this.#finished.set(key, stream);
    if (this.#finished.size <= MAX_FINISHED) return;
    for (const oldest of this.#finished.keys()) {
      this.#finished.delete(oldest);
      return;
    }
  }
}

function bind(claim: StreamInbox, stream: InboundStream): void {
  claim.stream = stream;
  stream.discard = false;
  stream.route = claim;
}

function unbind(claim: StreamInbox): void {
  if (claim.stream) claim.stream.route = undefined;
  claim.stream = undefined;
}

function keyOf(peer: bigint, streamId: bigint): string {
  return `${peer}/${streamId}`;
}
