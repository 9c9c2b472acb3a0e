// Many NATS requests at once: one subscription for all replies and one timer for each burst, where the
// client's own `request` has a promise, a timer and an error object ready for every message.

import type * as NatsModule from '@nats-io/transport-node';

import { AdapterError } from '../../core/errors';

/** One request of a burst. */
export interface BurstRequest {
  data: Uint8Array | string;
  headers?: NatsModule.MsgHdrs;
}

interface Burst {
  readonly replies: NatsModule.Msg[];
  missing: number;
  readonly resolve: (replies: NatsModule.Msg[]) => void;
  readonly reject: (error: unknown) => void;
  readonly timer: NodeJS.Timeout;
}

/** Sends bursts of requests over one connection. */
export class NatsBursts {
  readonly #client: NatsModule.NatsConnection;
  readonly #inbox: string;
  readonly #bursts = new Map<number, Burst>();
  #next = 0;

  constructor(client: NatsModule.NatsConnection, inbox: string) {
    this.#client = client;
    this.#inbox = inbox;
    client.subscribe(`${inbox}.>`, {
      callback: (error, message) => {
        if (!error) this.#receive(message);
      },
    });
  }

  /** The replies, in the order of the requests. Rejects with `late` as its detail when one is missing. */
  send(
    subject: string,
    requests: readonly BurstRequest[],
    timeoutMs: number,
    late: string,
  ): Promise<NatsModule.Msg[]> {
    if (requests.length === 0) return Promise.resolve([]);
    const id = this.#next++;
    return new Promise((resolve, reject) => {
      const finish = (): void => {
        clearTimeout(burst.timer);
        this.#bursts.delete(id);
      };
      const burst: Burst = {
        replies: new Array<NatsModule.Msg>(requests.length),
        missing: requests.length,
        resolve: (replies) => {
          finish();
          resolve(replies);
        },
        reject: (error) => {
          finish();
          reject(error);
        },
        timer: setTimeout(() => {
          burst.reject(new AdapterError('transient', late));
        }, timeoutMs),
      };
      this.#bursts.set(id, burst);
      try {
        requests.forEach(({ data, headers }, index) => {
          this.#client.publish(subject, data, { reply: `${this.#inbox}.${id}.${index}`, headers });
        });
      } catch (error) {
        burst.reject(error);
      }
    });
  }

  /** Rejects what waits. */
  close(): void {
    for (const burst of [...this.#bursts.values()]) burst.reject(new AdapterError('shutdown'));
  }

  #receive(message: NatsModule.Msg): void {
    const { subject } = message;
    const dot = subject.lastIndexOf('.');
    const burst = this.#bursts.get(Number(subject.slice(this.#inbox.length + 1, dot)));
    const index = Number(subject.slice(dot + 1));
    // Late replies of a burst that timed out, and what somebody else may send here.
    if (!burst || !(index < burst.replies.length) || burst.replies[index]) return;
    burst.replies[index] = message;
    if (--burst.missing === 0) burst.resolve(burst.replies);
  }
}
