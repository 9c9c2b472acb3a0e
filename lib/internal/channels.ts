// Channels of one node: requests as promises, subscriptions as feeds of payloads.

import type { NativeControlEvent, NativeNode } from '../../types/native';
import { ChannelAuthError, ChannelError, NotConnectedError, ShutDownError } from '../core/errors';
import type { ChannelMessage, PublishReport } from '../types';
import { onAbort, rejected } from './abort';
import { Reader, Supply } from './async_queue';
import type { Inbox, StreamInbox } from './inbox';
import { classify } from './native_errors';
import { RateMeter } from './rate_meter';

/** What a feed does with payloads that nobody takes. */
export interface FeedPolicy {
  overflow: 'backpressure' | 'drop-oldest';
  /** Payloads that wait before the oldest is dropped. */
  buffer: number;
}

type MembershipEvent = Extract<NativeControlEvent, { kind: 'subscribeDone' | 'unsubscribeDone' }>;
type SubscriptionEvent = Extract<
  NativeControlEvent,
  { kind: 'subscriptionSuspended' | 'subscriptionResumed' | 'subscriptionLost' }
>;
type PublishEvent = Extract<NativeControlEvent, { kind: 'publishDone' }>;

interface Pending<T> {
  settle: (error: unknown, value?: T) => void;
}

/** Reasons for which a publisher ends a subscription that stand for a lack of rights. */
const RIGHTS = new Set(['unauthorized', 'expired', 'revoked', 'visibility', 'capabilities']);

function lossError(reason: string): ChannelError {
  return RIGHTS.has(reason)
    ? new ChannelAuthError(`channel: unauthorized (subscription ended: ${reason})`)
    : new ChannelError(`channel: subscription ended: ${reason}`);
}

/** The payloads of one channel of one publisher, for all subscriptions to it in this process. */
export class ChannelFeed {
  readonly supply: Supply<ChannelMessage>;
  readonly inbox: StreamInbox;
  readonly policy: FeedPolicy;
  users = 1;
  active = true;

  constructor(
    inbox: Inbox,
    readonly publisher: bigint,
    readonly channel: string,
    streamId: bigint,
    policy: FeedPolicy,
  ) {
    this.policy = policy;
    this.supply = new Supply(() => {
      const taken = inbox.takeChannel(this.inbox);
      return taken && { publisherNodeId: publisher, channel, ...taken };
    });
    const limit = policy.overflow === 'drop-oldest' ? policy.buffer : Infinity;
    this.inbox = inbox.claimChannel(publisher, streamId, this.supply, limit);
  }

  get rateName(): string {
    return `${this.channel}<${this.publisher}`;
  }

  reader(
    signal: AbortSignal | undefined,
    release: (reader: Reader<ChannelMessage>) => void,
  ): Reader<ChannelMessage> {
    return new Reader(this.supply, signal, release);
  }
}

/** The channel side of a node. */
export class Channels {
  readonly #native: NativeNode;
  readonly #inbox: Inbox;
  readonly #ackTimeoutMs: number;
  /** Called when the first request waits, and when the last is settled. */
  readonly #onBusy: () => void;
  readonly #memberships = new Map<number, Pending<MembershipEvent> & { channel: string }>();
  readonly #publishes = new Map<number, Pending<PublishReport>>();
  readonly #feeds = new Map<string, ChannelFeed>();
  readonly rates = new RateMeter();

  constructor(native: NativeNode, inbox: Inbox, ackTimeoutMs: number, onBusy: () => void) {
    this.#native = native;
    this.#inbox = inbox;
    this.#ackTimeoutMs = ackTimeoutMs;
    this.#onBusy = onBusy;
  }

  /** Requests wait: they keep the process alive. */
  get busy(): boolean {
    return this.#memberships.size > 0 || this.#publishes.size > 0;
  }

  // --- requests ---

  subscribe(
    publisher: bigint,
    channel: string,
    options: { token?: Uint8Array; queueGroup?: string; replay?: number; signal?: AbortSignal },
  ): Promise<void> {
    const { token, queueGroup, replay, signal } = options;
    return this.#request(channel, signal, () =>
      this.#native.subscribe(publisher, channel, token, queueGroup, replay),
    );
  }

  unsubscribe(publisher: bigint, channel: string): Promise<void> {
    return this.#request(channel, undefined, () => this.#native.unsubscribe(publisher, channel));
  }

  publish(
    channel: string,
    payloads: readonly Uint8Array[],
    reliable: boolean | undefined,
    onFailure: number,
    maxInflight: number,
  ): Promise<PublishReport> {
    let request: number;
    try {
      request = this.#native.publish(channel, payloads, reliable, onFailure, maxInflight);
    } catch (error) {
      return rejected(classify(error));
    }
    return new Promise((resolve, reject: (reason: unknown) => void) => {
      this.#publishes.set(request, {
        settle: (error, report) => {
          if (report) resolve(report);
          else reject(error);
        },
      });
      if (this.#publishes.size === 1) this.#onBusy();
    });
  }

  #request(channel: string, signal: AbortSignal | undefined, begin: () => number): Promise<void> {
    if (signal?.aborted === true) return rejected(signal.reason);
    let request: number;
    try {
      request = begin();
    } catch (error) {
      return rejected(classify(error));
    }
    return new Promise((resolve) => {
      const settle = (error: unknown): void => {
        stopListening();
        this.#memberships.delete(request);
        this.#onBusy();
        resolve(error === undefined ? undefined : rejected(error));
      };
      const stopListening = onAbort(signal, () => {
        this.#native.cancelMembership(request);
        settle(signal?.reason);
      });
      this.#memberships.set(request, { channel, settle });
      this.#onBusy();
    });
  }

  // --- feeds ---

  /** The feed of a channel, one user more; undefined when there is none yet. */
  join(publisher: bigint, streamId: bigint, policy: FeedPolicy): ChannelFeed | undefined {
    const feed = this.#feeds.get(keyOf(publisher, streamId));
    if (!feed) return undefined;
    if (feed.policy.overflow !== policy.overflow || feed.policy.buffer !== policy.buffer) {
      throw new ChannelError(
        `channel: ${feed.channel} is subscribed to already, with overflow '${feed.policy.overflow}' ` +
          `and a buffer of ${feed.policy.buffer}`,
      );
    }
    feed.users++;
    return feed;
  }

  open(publisher: bigint, channel: string, streamId: bigint, policy: FeedPolicy): ChannelFeed {
    const feed = new ChannelFeed(this.#inbox, publisher, channel, streamId, policy);
    this.#feeds.set(keyOf(publisher, streamId), feed);
    this.rates.begin(feed.rateName);
    return feed;
  }

  feedOf(publisher: bigint, channel: string): ChannelFeed | undefined {
    return [...this.#feeds.values()].find(
      (feed) => feed.publisher === publisher && feed.channel === channel,
    );
  }

  /** One user less; true when it was the last one of a feed that was open, and is closed now. */
  leave(feed: ChannelFeed): boolean {
    if (--feed.users > 0) return false;
    const wasOpen = this.#remove(feed);
    feed.supply.end();
    this.#inbox.discard(feed.inbox);
    return wasOpen;
  }

  /** A feed ends by itself: what has come is there to be read before the end, or the failure. */
  #finish(feed: ChannelFeed, failure: Error | undefined): void {
    this.#remove(feed);
    this.#inbox.detach(feed.inbox);
    feed.supply.end(failure);
  }

  #remove(feed: ChannelFeed): boolean {
    feed.active = false;
    const key = keyOf(feed.publisher, feed.inbox.streamId);
    return this.#feeds.get(key) === feed && this.#feeds.delete(key);
    this.rates.forget(feed.rateName);
  }

  // --- from the addon ---

  membershipDone(event: MembershipEvent): void {
    const pending = this.#memberships.get(event.request);
    if (!pending) return;
    if (event.timedOut) {
      const seconds = this.#ackTimeoutMs / 1000;
      pending.settle(
        new ChannelError(
          `channel: connection error: membership ack timeout (${seconds}s) for channel ${pending.channel}`,
        ),
      );
    } else {
      pending.settle(event.error && classify(event.error));
    }
  }

  publishDone(event: PublishEvent): void {
    const pending = this.#publishes.get(event.request);
    if (!pending) return;
    this.#publishes.delete(event.request);
    if (this.#publishes.size === 0) this.#onBusy();
    const { error, attempted = 0, delivered = 0, errors = [] } = event;
    if (error) pending.settle(classify(error));
    else pending.settle(undefined, { attempted, delivered, errors });
  }

  subscriptionChanged(event: SubscriptionEvent): void {
    const feed = this.#feeds.get(keyOf(event.peer, event.streamId));
    if (!feed) return;
    if (event.kind !== 'subscriptionLost') {
      feed.active = event.kind === 'subscriptionResumed';
      return;
    }
    this.#finish(feed, lossError(event.reason ?? 'unspecified'));
  }

  /** The node ends: requests fail, feeds end after what has come. */
  end(): void {
    const error = new ShutDownError();
    for (const { settle } of [...this.#memberships.values()]) settle(error);
    for (const { settle } of [...this.#publishes.values()]) settle(error);
    this.#publishes.clear();
    for (const feed of [...this.#feeds.values()]) this.#finish(feed, undefined);
  }
}

function keyOf(publisher: bigint, streamId: bigint): string {
  return `${publisher}/${streamId}`;
}

/** Failures to say goodbye to a publisher that is gone anyway. */
export function isGone(error: unknown): boolean {
  return (
    error instanceof ShutDownError ||
    error instanceof NotConnectedError ||
    (error instanceof ChannelError && error.message.includes('connection error'))
  );
}
