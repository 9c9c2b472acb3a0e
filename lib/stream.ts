/**
 * Messages, and streams of them as a Node.js `Duplex`.
 *
 * @packageDocumentation
 */

import { Duplex } from 'node:stream';

import type { NativeStream } from '../types/native';
import { ShutDownError } from './core/errors';
import { onAbort } from './internal/abort';
import type { ClosableIterator } from './internal/async_queue';
import type { Inbox, StreamInbox } from './internal/inbox';
import type { SendLane } from './internal/retry';
import { bytes } from './internal/validate';

/** One received message. */
export interface MeshMessage {
  /** Who sent it. */
  peerNodeId: bigint;
  /** On which stream. */
  streamId: bigint;
  /**
   * The payload: a view of the block in which it arrived together with others. Copy what is kept
   * for long, else the whole block stays in memory.
   */
  data: Buffer;
}

/**
 * An async iterator over messages. Leaving a `for await` loop, `return()` and `await using` close it;
 * what was not read stays for other readers.
 */
export type MessageIterator<T> = ClosableIterator<T>;

/** Options of `MeshNode.duplex`. */
export interface DuplexOptions {
  /** Destroys the stream with the signal's reason when aborted. */
  signal?: AbortSignal;
  /**
   * With `true` every write is one message and every message one chunk. Default: false, a stream
   * of bytes, whose boundaries mean nothing.
   */
  objectMode?: boolean;
  /** Bytes (messages in object mode) to buffer in each direction. Default: that of Node.js. */
  highWaterMark?: number;
}

/** Of the larger writes of a byte stream: more than this per event has no advantage. */
const MAX_PIECE_BYTES = 64 * 1024;
/** The cost of an event beyond its bytes, in credit (spec 10 §6.1, §9.1). */
const EVENT_OVERHEAD_BYTES = 84;

/**
 * What connects a duplex to its node.
 *
 * @internal
 */
export interface DuplexLink {
  readonly native: NativeStream;
  readonly lane: SendLane;
  readonly inbox: Inbox;
  readonly claim: StreamInbox;
  /** Closes our half of the stream. */
  close(): void;
}

/**
 * One stream as a `Duplex`. Writes wait for credit, unread bytes hold the sender up; `end()` closes
 * our half, and `'end'` comes when the peer has closed its own.
 */
export class MeshDuplex extends Duplex {
  /** The peer at the other end. */
  readonly peerNodeId: bigint;
  /** The id of the stream. */
  readonly streamId: bigint;

  readonly #link: DuplexLink;
  readonly #pieceBytes: number;
  readonly #gone = new AbortController();
  readonly #stopListening: () => void;
  /** `_read` was called and nothing was there. */
  #hungry = false;
  #closed = false;

  /** @internal */
  constructor(link: DuplexLink, { signal, objectMode = false, highWaterMark }: DuplexOptions) {
    super({ objectMode, highWaterMark });
    const { native, claim } = link;
    this.peerNodeId = native.peerNodeId;
    this.streamId = native.streamId;
    this.#link = link;
    this.#pieceBytes = objectMode ? Infinity : pieceBytes(native);
    claim.supply.onReady = () => {
      // Listeners of 'data' must not run inside the drain.
      process.nextTick(() => {
        this.#pull();
      });
    };
    this.#stopListening = onAbort(signal, () => {
      this.destroy(signal?.reason as Error);
    });
  }

  /** @internal */
  override read(size?: number): unknown {
    const chunk: unknown = super.read(size);
    // The last chunk before a failure makes room for the failure.
    if (this.#link.claim.supply.failure) {
      process.nextTick(() => {
        this.#pull();
      });
    }
    return chunk;
  }

  /** @internal */
  override _read(): void {
    this.#hungry = true;
    this.#pull();
  }

  /** @internal */
  override _write(
    chunk: unknown,
    encoding: BufferEncoding,
    callback: (error?: Error) => void,
  ): void {
    this.#send([{ chunk, encoding }], callback);
  }

  /** @internal */
  override _writev(
    chunks: Array<{ chunk: unknown; encoding: BufferEncoding }>,
    callback: (error?: Error) => void,
  ): void {
    this.#send(chunks, callback);
  }

  /** @internal */
  override _final(callback: (error?: Error) => void): void {
    this.#close();
    callback();
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error: Error | null) => void): void {
    this.#stopListening();
    this.#gone.abort();
    const { claim, inbox } = this.#link;
    claim.supply.onReady = undefined;
    inbox.discard(claim);
    this.#close();
    callback(error);
  }

  #pull(): void {
    if (this.destroyed) return;
    const { supply, queue } = this.#link.claim;
    if (this.#hungry) {
      for (let message = supply.take(); message !== undefined; message = supply.take()) {
        if (!this.push(message.data)) {
          this.#hungry = false;
          return;
        }
      }
    }
    if (!supply.ended) return;
    if (supply.failure) {
      // Who does not read is told as well, once nothing is left that could be read.
      if (!queue.empty || this.readableLength > 0) return;
      // Our own shutdown surprises nobody: 'close' without 'end' says it.
      if (supply.failure instanceof ShutDownError) this.destroy();
      else this.destroy(supply.failure);
    } else if (this.#hungry) {
      this.#hungry = false;
      this.push(null);
    }
  }

  #send(
    chunks: Array<{ chunk: unknown; encoding: BufferEncoding }>,
    callback: (error?: Error) => void,
  ): void {
    const { native, lane } = this.#link;
    let events: Uint8Array[];
    try {
      events = chunks.flatMap(({ chunk, encoding }) => this.#pieces(chunk, encoding));
    } catch (error) {
      callback(error as Error);
      return;
    }
    // A writer owns its chunks until the callback, so nothing need be copied.
    const options = { maxRetries: Infinity, signal: this.#gone.signal, borrowed: true };
    lane.send(native, events, options).then(
      () => {
        callback();
      },
      (error: unknown) => {
        callback(error as Error);
      },
    );
  }

  #pieces(chunk: unknown, encoding: BufferEncoding): Uint8Array[] {
    const event = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : bytes(chunk, 'chunk');
    if (event.length <= this.#pieceBytes) return [event];
    const pieces: Uint8Array[] = [];
    for (let at = 0; at < event.length; at += this.#pieceBytes) {
      pieces.push(event.subarray(at, at + this.#pieceBytes));
    }
    return pieces;
  }

  #close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#link.close();
  }
}

/** A quarter of the window, so that several pieces are under way. */
function pieceBytes({ maxEventBytes, windowBytes }: NativeStream): number {
  const share =
    windowBytes === 0 ? MAX_PIECE_BYTES : Math.floor(windowBytes / 4) - EVENT_OVERHEAD_BYTES;
  const whole = windowBytes - EVENT_OVERHEAD_BYTES;
  return Math.max(1, Math.min(maxEventBytes, MAX_PIECE_BYTES, share > 0 ? share : whole));
}
