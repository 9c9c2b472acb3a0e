// Sends that wait for credit: first come first served on each stream, never an event twice.

import { BackpressureError, NotConnectedError, ShutDownError } from '../core/errors';
import { onAbort, rejected } from './abort';
import { classify } from './native_errors';
import { badEvent } from './validate';

/** What a send needs of the addon's stream. */
export interface SendTarget {
  send(events: readonly Uint8Array[], from: number, partial: boolean): number;
  wantCredit(nextEventBytes: number): boolean;
}

/** The addon's negative results of `send`. */
export const SEND_BACKPRESSURE = -1;
export const SEND_NOT_CONNECTED = -2;
export const SEND_SHUT_DOWN = -3;

const FIRST_DELAY_MS = 5;
const MAX_DELAY_MS = 200;
/** Credit may come between a refusal and asking for it; more often in a row is not plausible. */
const MAX_IMMEDIATE_TRIES = 3;

const SENT = Promise.resolve();

/** Options of {@link SendLane.send}. */
export interface SendOptions {
  /** Further tries after the first one. */
  readonly maxRetries: number;
  readonly signal?: AbortSignal;
  /** The caller leaves the events alone until the promise settles, so a wait need not copy them. */
  readonly borrowed?: boolean;
}

interface Job {
  readonly target: SendTarget;
  events: readonly Uint8Array[];
  /** Events taken by the stream before `events` was cut to the rest. */
  sentBefore: number;
  /** The first of `events` that was not taken. */
  next: number;
  retriesLeft: number;
  delayMs: number;
  readonly settle: (error?: unknown) => void;
}

/** The error that a negative result stands for. */
export function sendError(code: number, eventsSent: number): Error {
  switch (code) {
    case SEND_BACKPRESSURE: {
      const error = new BackpressureError('stream would block: stream queue full');
      error.eventsSent = eventsSent;
      return error;
    }
    case SEND_NOT_CONNECTED: {
      const error = new NotConnectedError('stream not connected: peer session gone');
      error.eventsSent = eventsSent;
      return error;
    }
    default:
      return new ShutDownError();
  }
}

/** The error for what the addon's `send` threw: it says which event was wrong, when that was it. */
export function sendFailure(events: unknown, error: unknown): Error {
  const bad = Array.isArray(events) ? badEvent(events) : undefined;
  return bad ?? (classify(error) as Error);
}

/**
 * The line of sends of one opening of one stream. Only the head of the line tries; the others
 * follow in the order of their calls, so that no call's events mix with another's.
 */
export class SendLane {
  /** Says which opening of the stream it is, and whether that is over. */
  readonly stream: { readonly epoch: bigint; readonly closed: boolean };
  #jobs: Job[] = [];
  #timer: NodeJS.Timeout | undefined;

  constructor(stream: { readonly epoch: bigint; readonly closed: boolean }) {
    this.stream = stream;
  }

  /** True while sends wait. */
  get busy(): boolean {
    return this.#jobs.length > 0;
  }

  /** Sends every event, waiting for credit as often as `maxRetries` allows. */
  send(
    target: SendTarget,
    events: readonly Uint8Array[],
    { maxRetries, signal, borrowed }: SendOptions,
  ): Promise<void> {
    if (signal?.aborted === true) return rejected(signal.reason);
    let sent = 0;
    if (!this.busy) {
      let result: number;
      try {
        result = target.send(events, 0, true);
      } catch (error) {
        return Promise.reject(sendFailure(events, error));
      }
      if (result === events.length) return SENT;
      if (result < 0 && result !== SEND_BACKPRESSURE) {
        return Promise.reject(sendError(result, 0));
      }
      sent = Math.max(result, 0);
    }
    if (maxRetries === 0) return Promise.reject(sendError(SEND_BACKPRESSURE, sent));
    return this.#enqueue(target, events, sent, maxRetries, signal, borrowed === true);
  }

  /** Credit came, or the stream was closed: the head tries now, at no cost to its retries. */
  wake(): void {
    this.#run(false);
  }

  /** Gives up every waiting send. */
  fail(error: Error): void {
    const jobs = this.#jobs;
    this.#jobs = [];
    this.#disarm();
    for (const job of jobs) job.settle(error);
  }

  #enqueue(
    target: SendTarget,
    events: readonly Uint8Array[],
    sent: number,
    maxRetries: number,
    signal: AbortSignal | undefined,
    borrowed: boolean,
  ): Promise<void> {
    return new Promise((resolve, reject: (reason: unknown) => void) => {
      const fail = reject;
      const stopListening = onAbort(signal, () => {
        this.#remove(job);
        fail(signal?.reason);
      });
      const job: Job = {
        target,
        events: borrowed ? events : copyOf(events, sent),
        sentBefore: borrowed ? 0 : sent,
        next: borrowed ? sent : 0,
        retriesLeft: maxRetries,
        delayMs: FIRST_DELAY_MS,
        settle: (error) => {
          stopListening();
          if (error === undefined) resolve();
          else fail(error);
        },
      };
      this.#jobs.push(job);
      if (this.#jobs.length > 1) return;
      // It has just been refused: no use in trying again unless credit has come since.
      const following = job.events[job.next];
      if (following !== undefined && target.wantCredit(following.length)) this.#arm(job.delayMs);
      else this.#run(false);
    });
  }

  /** Works on the head of the line until it has to wait. `timedOut`: a pause of the head is over. */
  #run(timedOut: boolean): void {
    let head = this.#jobs[0];
    if (timedOut && head !== undefined) {
      head.retriesLeft--;
      head.delayMs = Math.min(head.delayMs * 2, MAX_DELAY_MS);
    }
    while (head !== undefined) {
      if (!this.#attempt(head)) {
        if (head.retriesLeft > 0) {
          this.#arm(head.delayMs);
          return;
        }
        head.settle(sendError(SEND_BACKPRESSURE, head.sentBefore + head.next));
      }
      this.#jobs.shift();
      this.#disarm();
      head = this.#jobs[0];
    }
  }

  /** Sends what fits. False when the job has to wait, else it is settled. */
  #attempt(job: Job): boolean {
    for (let tries = 0; ; tries++) {
      let result: number;
      try {
        result = job.target.send(job.events, job.next, true);
      } catch (error) {
        job.settle(sendFailure(job.events, error));
        return true;
      }
      if (result < 0 && result !== SEND_BACKPRESSURE) {
        job.settle(sendError(result, job.sentBefore + job.next));
        return true;
      }
      job.next += Math.max(result, 0);
      const following = job.events[job.next];
      if (following === undefined) {
        job.settle();
        return true;
      }
      if (tries === MAX_IMMEDIATE_TRIES || job.target.wantCredit(following.length)) return false;
    }
  }

  /** Starts the head's pause; one that runs already goes on. */
  #arm(delayMs: number): void {
    this.#timer ??= setTimeout(() => {
      this.#timer = undefined;
      this.#run(true);
    }, delayMs);
  }

  #disarm(): void {
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #remove(job: Job): void {
    const wasHead = this.#jobs[0] === job;
    this.#jobs = this.#jobs.filter((each) => each !== job);
    if (!wasHead) return;
    this.#disarm();
    this.#run(false);
  }
}

/** The events from `from` on in memory of their own: the caller may change its buffers while we wait. */
function copyOf(events: readonly Uint8Array[], from: number): Uint8Array[] {
  let total = 0;
  for (let i = from; i < events.length; i++) total += events[i]?.length ?? 0;
  const slab = Buffer.allocUnsafeSlow(total);
  const copies: Uint8Array[] = [];
  let offset = 0;
  for (let i = from; i < events.length; i++) {
    const event = events[i] ?? new Uint8Array(0);
    slab.set(event, offset);
    copies.push(slab.subarray(offset, (offset += event.length)));
  }
  return copies;
}
