// Events in Redis Streams, one stream per shard (spec 40 §9).

import type * as RedisModule from 'redis';

import type { NativeBatch } from '../../../types/native';
import { AdapterError } from '../../core/errors';
import { type Adapter, adapterError, eventsOf, loadPeer, redactUrl, within } from './adapter';
import type { RedisConfig } from './config';
import type { FetchedPage } from './events';

type Client = RedisModule.RedisClientType<
  RedisModule.RedisModules,
  RedisModule.RedisFunctions,
  RedisModule.RedisScripts,
  2
>;

/** Replies that say "not now" rather than "not ever". */
const TRANSIENT = /LOADING|BUSY|TRYAGAIN|MASTERDOWN|MOVED|ASK|READONLY|CLUSTERDOWN|NOREPLICAS/iu;
const MAX_RECONNECT_MS = 1000;
/** How long one blocking read waits; a connection that died unnoticed is noticed then. */
const BLOCK_MS = 5000;
const WATCH_RETRY_MS = 200;

/** XRANGE's answer, as bytes. */
type Entries = ReadonlyArray<readonly [id: Buffer, fields: readonly Buffer[]]>;

export class RedisAdapter implements Adapter {
  readonly name = 'redis';
  readonly #config: RedisConfig;
  readonly #shards: number;
  #redis: typeof RedisModule | undefined;
  /** All that may be open, those included that have not got an answer to their greeting. */
  readonly #clients = new Set<Client>();
  #writer: Client | undefined;
  readonly #readers: Client[] = [];
  #nextReader = 0;
  #watcher: Client | undefined;
  #connected = false;
  #closed = false;

  constructor(config: RedisConfig, shards: number) {
    this.#config = config;
    this.#shards = shards;
  }

  async init(): Promise<void> {
    if (this.#connected) return;
    this.#redis = await loadPeer('redis', () => import('redis'));
    try {
      this.#writer = await this.#connect();
      await this.#timed(this.#writer.ping(), 'Redis command timeout');
      for (let index = 0; index < this.#config.poolSize; index++) {
        this.#readers.push(await this.#connect());
      }
    } catch (error) {
      const detail = error instanceof Error ? error.message || error.name : String(error);
      throw new AdapterError('connection', `${redactUrl(this.#config.url)}: ${detail}`, {
        cause: error,
      });
    }
    this.#connected = true;
  }

  async onBatch(batch: NativeBatch): Promise<void> {
    const client = this.#use(this.#writer);
    const { maxStreamLen, pipelineSize } = this.#config;
    const key = this.#key(batch.shard);
    const command =
      maxStreamLen === undefined
        ? ['XADD', key, '*', 'd']
        : ['XADD', key, 'MAXLEN', '~', String(maxStreamLen), '*', 'd'];
    const entries = textsOf(batch);
    const transactions: Array<Promise<unknown>> = [];
    for (let start = 0; start < entries.length; start += pipelineSize) {
      const multi = client.multi();
      const end = Math.min(start + pipelineSize, entries.length);
      for (let index = start; index < end; index++) {
        multi.addCommand([
          ...command,
          entries[index] ?? '',
          'dedup_id',
          `${batch.idPrefix}${index}`,
        ]);
      }
      transactions.push(multi.exec());
    }
    try {
      await this.#timed(Promise.all(transactions), 'Redis command timeout');
    } catch (error) {
      for (const transaction of transactions) transaction.catch(() => undefined);
      throw this.#writeError(error);
    }
  }

  async pollShard(shard: number, after: string | undefined, limit: number): Promise<FetchedPage> {
    const client = this.#use(this.#reader());
    const start = after === undefined ? '-' : `(${after}`;
    const entries = await this.#range(client, 'XRANGE', this.#key(shard), start, '+', limit + 1);
    const page = entries.slice(0, limit);
    const fields = page.map(([, pairs]) => fieldsOf(pairs));
    return {
      shard,
      ids: page.map(([id]) => id.toString()),
      entries: fields.map(({ data }) => data),
      dedupIds: fields.map(({ dedupId }) => dedupId),
      nextId: page.at(-1)?.[0].toString(),
      hasMore: entries.length > limit,
      failed: false,
      strict: false,
    };
  }

  async latest(shard: number): Promise<string | undefined> {
    const client = this.#use(this.#reader());
    const [newest] = await this.#range(client, 'XREVRANGE', this.#key(shard), '+', '-', 1);
    // Before the first entry there is a position as well.
    return newest?.[0].toString() ?? '0-0';
  }

  watch(wake: () => void): () => void {
    const stop = new AbortController();
    void this.#watch(wake, stop.signal);
    return () => {
      stop.abort();
      this.#watcher?.destroy();
      this.#watcher = undefined;
    };
  }

  async isHealthy(): Promise<boolean> {
    try {
      await this.#timed(this.#use(this.#writer).ping(), 'Redis command timeout');
      return true;
    } catch {
      return false;
    }
  }

  /** Batches are acknowledged by their EXEC: nothing is held back. */
  flush(): Promise<void> {
    return Promise.resolve();
  }

  shutdown(): Promise<void> {
    this.#closed = true;
    for (const client of this.#clients) {
      // What waits for a reply is rejected.
      if (client.isOpen) client.destroy();
    }
    this.#clients.clear();
    return Promise.resolve();
  }

  /** A connection that comes back by itself once it has been there. */
  async #connect(): Promise<Client> {
    const { url, connectTimeoutMs, tls } = this.#config;
    const redis = this.#redis;
    if (!redis || this.#closed) throw new AdapterError('shutdown');
    let established = false;
    const client = redis.createClient({
      url,
      RESP: 2,
      // While there is no connection a batch waits in the bus, where it counts against its bounds.
      disableOfflineQueue: true,
      socket: {
        connectTimeout: connectTimeoutMs,
        ...(tls && { tls: true as const, ...tls }),
        reconnectStrategy: (retries: number) =>
          established ? Math.min(50 * 2 ** Math.min(retries, 5), MAX_RECONNECT_MS) : false,
      },
    }) as unknown as Client;
    // The failed command says what went wrong.
    client.on('error', () => undefined);
    for (const other of this.#clients) if (!other.isOpen) this.#clients.delete(other);
    this.#clients.add(client);
    try {
      await client.connect();
    } catch (error) {
      if (client.isOpen) client.destroy();
      throw error;
    }
    established = true;
    return client;
  }

  #use(client: Client | undefined): Client {
    if (this.#closed || !client) throw new AdapterError('shutdown');
    return client;
  }

  #reader(): Client | undefined {
    this.#nextReader = (this.#nextReader + 1) % Math.max(this.#readers.length, 1);
    return this.#readers[this.#nextReader];
  }

  #key(shard: number): string {
    return `${this.#config.prefix}:shard:${shard}`;
  }

  #timed<T>(work: Promise<T>, words: string): Promise<T> {
    return within(this.#config.commandTimeoutMs, work, () => new AdapterError('transient', words));
  }

  /** Every failure of a poll may pass. */
  async #range(
    client: Client,
    command: 'XRANGE' | 'XREVRANGE',
    key: string,
    from: string,
    to: string,
    count: number,
  ): Promise<Entries> {
    const { RESP_TYPES } = this.#redis ?? {};
    const args = [command, key, from, to, 'COUNT', String(count)];
    try {
      const reply: unknown = await this.#timed(
        client.sendCommand(args, {
          typeMapping: { [RESP_TYPES?.BLOB_STRING ?? 36]: Buffer },
        }),
        `Redis ${command} timeout`,
      );
      const entries: unknown[] = Array.isArray(reply) ? reply : [];
      return entries as unknown as Entries;
    } catch (error) {
      throw this.#closed ? new AdapterError('shutdown') : adapterError('transient', error);
    }
  }

  #writeError(error: unknown): AdapterError {
    if (this.#closed) return new AdapterError('shutdown');
    const refused = this.#redis !== undefined && error instanceof this.#redis.ErrorReply;
    const fatal = refused && !TRANSIENT.test(replyText(error));
    return adapterError(fatal ? 'fatal' : 'transient', error);
  }

  /** Waits for new entries on a connection of its own, for as long as somebody wants to know. */
  async #watch(wake: () => void, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && !this.#closed) {
      try {
        await this.#watchOnce(wake, signal);
      } catch {
        this.#watcher?.destroy();
        this.#watcher = undefined;
        await new Promise((resolve) => setTimeout(resolve, WATCH_RETRY_MS).unref());
      }
    }
  }

  async #watchOnce(wake: () => void, signal: AbortSignal): Promise<void> {
    const client = await this.#connect();
    if (signal.aborted || this.#closed) {
      client.destroy();
      return;
    }
    this.#watcher = client;
    const shards = Array.from({ length: this.#shards }, (_, shard) => shard);
    for (;;) {
      const positions = await Promise.all(shards.map((shard) => this.latest(shard)));
      // What came before this is found by polling, what comes after it ends the wait below.
      wake();
      const ids = positions.map((position) => position ?? '0-0');
      const keys = shards.map((shard) => this.#key(shard));
      let reply: unknown = null;
      while (reply === null) {
        const args = ['XREAD', 'COUNT', '1', 'BLOCK', String(BLOCK_MS), 'STREAMS', ...keys, ...ids];
        reply = await client.sendCommand(args);
        if (signal.aborted) return;
      }
    }
  }
}

/** The events of a batch as text where they are ASCII: the client joins texts into few writes. */
function textsOf(batch: NativeBatch): Array<string | Buffer> {
  if (!batch.ascii) return eventsOf(batch);
  const text = Buffer.from(batch.data).toString('latin1');
  const texts = new Array<string>(batch.ends.length);
  let start = 0;
  for (let index = 0; index < texts.length; index++) {
    const end = batch.ends[index] ?? start;
    texts[index] = text.slice(start, end);
    start = end;
  }
  return texts;
}

const NO_DATA = Buffer.alloc(0);

/** Fields come in any order, with others between them. */
function fieldsOf(pairs: readonly Buffer[]): { data: Buffer; dedupId: string | undefined } {
  let data: Buffer = NO_DATA;
  let dedupId: string | undefined;
  for (let index = 0; index + 1 < pairs.length; index += 2) {
    const name = pairs[index]?.toString();
    const value = pairs[index + 1] ?? NO_DATA;
    if (name === 'd') data = value;
    else if (name === 'dedup_id') dedupId = value.toString();
  }
  return { data, dedupId };
}

/** Of a transaction, what its first failed command was told. */
function replyText(error: Error): string {
  const { replies, errorIndexes } = error as Error & {
    replies?: unknown[];
    errorIndexes?: number[];
  };
  const first = errorIndexes?.[0] === undefined ? undefined : replies?.[errorIndexes[0]];
  return first instanceof Error ? `${error.message} ${first.message}` : error.message;
}
