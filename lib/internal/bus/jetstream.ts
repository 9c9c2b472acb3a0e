// Events in NATS JetStream, one stream per shard (spec 40 §10).

import { isIP } from 'node:net';

import type * as JetStreamModule from '@nats-io/jetstream';
import type * as NatsModule from '@nats-io/transport-node';

import type { NativeBatch } from '../../../types/native';
import { AdapterError } from '../../core/errors';
import { type Adapter, adapterError, eventsOf, loadPeer, redactUrl, within } from './adapter';
import type { JetStreamConfig } from './config';
import type { FetchedPage } from './events';
import { NatsBursts } from './nats_bursts';

const NANOS_PER_MILLI = 1_000_000;
const RECONNECT_MS = 250;
const DRAIN_MS = 10_000;
/** Requests for messages under way at a time. */
const MAX_GETS = 1024;
const NOT_FOUND = 404;
const UNAVAILABLE = 503;
const LEADER_POLL_MS = 100;

interface Connection {
  nats: typeof NatsModule;
  jetstream: typeof JetStreamModule;
  client: NatsModule.NatsConnection;
  bursts: NatsBursts;
  manager: JetStreamModule.JetStreamManager;
}

interface Message {
  seq: number;
  data: Buffer;
  dedupId: string | undefined;
}

/**
 * Whom the certificate has to name. The client names hosts by itself, but not addresses, and would
 * check those against `localhost`; what it is given here reaches `tls.connect`.
 */
function identityOf(hostname: string): { host?: string } {
  const address = hostname.replace(/^\[|\]$/gu, '');
  return isIP(address) === 0 ? {} : { host: address };
}

export class JetStreamAdapter implements Adapter {
  readonly name = 'jetstream';
  readonly #config: JetStreamConfig;
  #connection: Connection | undefined;
  /** Streams that exist, or are being looked up, by shard. */
  readonly #streams = new Map<number, Promise<void>>();
  #closed = false;

  constructor(config: JetStreamConfig) {
    this.#config = config;
  }

  async init(): Promise<void> {
    if (this.#connection) return;
    const nats = await loadPeer('@nats-io/transport-node', () => import('@nats-io/transport-node'));
    const jetstream = await loadPeer('@nats-io/jetstream', () => import('@nats-io/jetstream'));
    const { url, connectTimeoutMs, requestTimeoutMs: timeout } = this.#config;
    let client: NatsModule.NatsConnection | undefined;
    try {
      client = await nats.connect({
        ...this.#server(),
        timeout: connectTimeoutMs,
        maxReconnectAttempts: -1,
        reconnectTimeWait: RECONNECT_MS,
        reconnectJitter: RECONNECT_MS,
        // An authorisation may come back like a server.
        ignoreAuthErrorAbort: true,
      });
      this.#connection = {
        nats,
        jetstream,
        client,
        bursts: new NatsBursts(client, nats.createInbox()),
        manager: await openManager(jetstream, client, timeout, connectTimeoutMs),
      };
    } catch (error) {
      await client?.close();
      const detail = error instanceof Error ? error.message || error.name : String(error);
      throw new AdapterError('connection', `${redactUrl(url)}: ${detail}`, { cause: error });
    }
  }

  async onBatch(batch: NativeBatch): Promise<void> {
    const connection = this.#use();
    await this.#ensureStream(batch.shard);
    const { nats, bursts } = connection;
    const requests = eventsOf(batch).map((data, index) => {
      const headers = nats.headers();
      headers.set('Nats-Msg-Id', `${batch.idPrefix}${index}`);
      return { data, headers };
    });
    let replies: NatsModule.Msg[];
    try {
      replies = await bursts.send(
        this.#subject(batch.shard),
        requests,
        this.#config.requestTimeoutMs,
        'JetStream publish ack phase timed out',
      );
    } catch (error) {
      throw this.#publishError(batch.shard, error);
    }
    for (const reply of replies) this.#checkAck(batch.shard, reply);
  }

  async pollShard(shard: number, after: string | undefined, limit: number): Promise<FetchedPage> {
    await this.#ensureStream(shard);
    const { state, config } = await this.#info(shard);
    const start = Math.max(startOf(after), state.first_seq);
    const messages = await this.#fetch(
      shard,
      start,
      limit + 1,
      state.last_seq,
      config.allow_direct,
    );
    const page = messages.slice(0, limit);
    return {
      shard,
      ids: page.map(({ seq }) => String(seq)),
      entries: page.map(({ data }) => data),
      dedupIds: page.map(({ dedupId }) => dedupId),
      nextId: page.length > 0 ? String(page.at(-1)?.seq) : undefined,
      hasMore: messages.length > limit,
      failed: false,
      strict: true,
    };
  }

  async latest(shard: number): Promise<string | undefined> {
    await this.#ensureStream(shard);
    return String((await this.#info(shard)).state.last_seq);
  }

  watch(wake: () => void): () => void {
    const { client } = this.#use();
    const subscription = client.subscribe(`${this.#config.prefix}.shard.*`, {
      callback: (error) => {
        if (!error) wake();
      },
    });
    return () => {
      if (!client.isClosed()) subscription.unsubscribe();
    };
  }

  async isHealthy(): Promise<boolean> {
    try {
      await within(
        this.#config.requestTimeoutMs,
        this.#use().client.flush(),
        () => new AdapterError('transient', 'JetStream request timeout'),
      );
      return true;
    } catch {
      return false;
    }
  }

  /** Batches are acknowledged message by message: nothing is held back. */
  flush(): Promise<void> {
    return Promise.resolve();
  }

  async shutdown(): Promise<void> {
    this.#closed = true;
    const client = this.#connection?.client;
    this.#connection?.bursts.close();
    if (!client || client.isClosed()) return;
    try {
      await within(
        DRAIN_MS,
        client.drain(),
        () => new AdapterError('transient', 'nats drain timed out after 10s'),
      );
    } catch (error) {
      await client.close();
      // Without a server there is nothing to drain.
      if (error instanceof AdapterError) throw error;
    }
  }

  /** The client takes credentials apart from the address. */
  #server(): NatsModule.ConnectionOptions {
    const { url, tls } = this.#config;
    const address = new URL(url.includes('://') ? url : `nats://${url}`);
    if (!['nats:', 'tls:'].includes(address.protocol)) {
      throw new AdapterError('connection', `the URL must begin with nats:// or tls://`);
    }
    const user = decodeURIComponent(address.username);
    const pass = decodeURIComponent(address.password);
    return {
      servers: `${address.hostname}:${address.port || '4222'}`,
      ...(user !== '' && (pass === '' ? { token: user } : { user, pass })),
      ...((address.protocol === 'tls:' || tls !== undefined) && {
        tls: { ...tls, ...identityOf(address.hostname) },
      }),
    };
  }

  #use(): Connection {
    if (this.#closed || !this.#connection) throw new AdapterError('shutdown');
    return this.#connection;
  }

  #stream(shard: number): string {
    return `${this.#config.prefix.replaceAll('.', '_')}_shard_${shard}`;
  }

  #subject(shard: number): string {
    return `${this.#config.prefix}.shard.${shard}`;
  }

  #ensureStream(shard: number): Promise<void> {
    let known = this.#streams.get(shard);
    if (!known) {
      known = this.#createStream(shard);
      this.#streams.set(shard, known);
      // The next call looks again.
      known.catch(() => this.#streams.delete(shard));
    }
    return known;
  }

  async #createStream(shard: number): Promise<void> {
    const { manager, jetstream } = this.#use();
    const name = this.#stream(shard);
    try {
      await manager.streams.info(name);
      return;
    } catch (error) {
      const missing =
        error instanceof jetstream.JetStreamApiError &&
        error.code === (jetstream.JetStreamApiCodes.StreamNotFound as number);
      if (!missing)
        throw this.#closed ? new AdapterError('shutdown') : adapterError('transient', error);
    }
    const { maxMessages, maxBytes, maxAgeMs, replicas, duplicateWindowMs } = this.#config;
    // The server refuses to remember ids for longer than messages.
    const window =
      maxAgeMs === undefined || maxAgeMs === 0
        ? duplicateWindowMs
        : Math.min(duplicateWindowMs, maxAgeMs);
    try {
      await manager.streams.add({
        name,
        subjects: [this.#subject(shard)],
        retention: jetstream.RetentionPolicy.Limits,
        storage: jetstream.StorageType.File,
        discard: jetstream.DiscardPolicy.Old,
        num_replicas: replicas,
        allow_direct: true,
        duplicate_window: window * NANOS_PER_MILLI,
        ...(maxMessages !== undefined && { max_msgs: maxMessages }),
        ...(maxBytes !== undefined && { max_bytes: maxBytes }),
        ...(maxAgeMs !== undefined && { max_age: maxAgeMs * NANOS_PER_MILLI }),
      });
    } catch (error) {
      throw adapterError(isPassing(jetstream, error) ? 'transient' : 'connection', error);
    }
  }

  async #info(shard: number): Promise<JetStreamModule.StreamInfo> {
    try {
      return await this.#use().manager.streams.info(this.#stream(shard));
    } catch (error) {
      if (this.#closed) throw new AdapterError('shutdown');
      this.#streams.delete(shard);
      const detail = error instanceof Error ? error.message : String(error);
      throw new AdapterError(
        'transient',
        `JetStream stream.info() failed for shard ${shard} ` +
          `(poll suspended; retry after backoff): ${detail}`,
        { cause: error },
      );
    }
  }

  /**
   * Up to `count` messages from sequence `start` on. Sequences mostly follow one another, so many are
   * asked for at once; a gap makes several answers the same message, of which one counts.
   */
  async #fetch(
    shard: number,
    start: number,
    count: number,
    last: number,
    direct: boolean,
  ): Promise<Message[]> {
    const messages: Message[] = [];
    let next = start;
    while (messages.length < count && next <= last) {
      const width = Math.min(count - messages.length, last - next + 1, MAX_GETS);

      let answers: Array<Message | undefined>;
      try {
        answers = await this.#get(shard, next, width, direct);
      } catch (error) {
        // What was read before it is worth having.
        if (messages.length > 0) return messages;
        throw this.#closed ? new AdapterError('shutdown') : adapterError('transient', error);
      }
      for (const message of answers) {
        if (!message) return messages;
        if (message.seq < next) continue;
        messages.push(message);
        next = message.seq + 1;
      }
    }
    return messages;
  }

  /** For each of `width` sequences the first message from it on; undefined at the end. */
  async #get(
    shard: number,
    from: number,
    width: number,
    direct: boolean,
  ): Promise<Array<Message | undefined>> {
    const { bursts, manager } = this.#use();
    const stream = this.#stream(shard);
    const queries = Array.from({ length: width }, (_, index) => ({
      seq: from + index,
      next_by_subj: this.#subject(shard),
    }));
    if (!direct) {
      // A stream that somebody has made without direct access.
      return Promise.all(
        queries.map(async (query) => {
          const stored = await manager.streams.getMessage(stream, query);
          const id = stored?.header?.get('Nats-Msg-Id');
          const dedupId = id === '' ? undefined : id;
          return stored ? { seq: stored.seq, data: Buffer.from(stored.data), dedupId } : undefined;
        }),
      );
    }
    const replies = await bursts.send(
      `$JS.API.DIRECT.GET.${stream}`,
      queries.map((query) => ({ data: JSON.stringify(query) })),
      this.#config.requestTimeoutMs,
      'JetStream direct get timed out',
    );
    return replies.map(messageOf);
  }

  /** Acknowledgements are JSON: the stream and sequence, or an error. */
  #checkAck(shard: number, { data, headers }: NatsModule.Msg): void {
    const text = Buffer.from(data.buffer, data.byteOffset, data.length).toString('latin1');
    if (text.startsWith('{"stream":')) return;
    // Nobody listens on the subject: the stream is gone, and is made again by the next attempt.
    this.#streams.delete(shard);
    const why = text === '' ? (headers?.description ?? '') || 'no stream takes the subject' : text;
    throw new AdapterError('transient', `JetStream did not take the event: ${why}`);
  }

  #publishError(shard: number, error: unknown): AdapterError {
    if (this.#closed) return new AdapterError('shutdown');
    const text = error instanceof Error ? `${error.name} ${error.message}` : '';
    if (/permission|authorization/iu.test(text)) return adapterError('fatal', error);
    // Somebody may have removed the stream: it is looked up again.
    this.#streams.delete(shard);
    return adapterError('transient', error);
  }
}

/** A cluster that has just begun, or lost a server, has no leader for a moment. */
async function openManager(
  jetstream: typeof JetStreamModule,
  client: NatsModule.NatsConnection,
  timeout: number,
  patienceMs: number,
): Promise<JetStreamModule.JetStreamManager> {
  const deadline = Date.now() + patienceMs;
  for (;;) {
    try {
      return await jetstream.jetstreamManager(client, { timeout });
    } catch (error) {
      const late = Date.now() + LEADER_POLL_MS > deadline;
      if (late || client.isClosed() || !isPassing(jetstream, error)) throw error;
      await new Promise((resolve) => setTimeout(resolve, LEADER_POLL_MS));
    }
  }
}

/** Whether JetStream may do later what it refuses now. */
function isPassing(jetstream: typeof JetStreamModule, error: unknown): boolean {
  if (error instanceof jetstream.JetStreamApiError) return error.status === UNAVAILABLE;
  const name = error instanceof Error ? error.name : '';
  return /Timeout|NoResponders|JetStreamNotEnabled|RequestError/u.test(name);
}

/** The message of a direct get; undefined at the end of the stream. */
function messageOf({ headers, data }: NatsModule.Msg): Message | undefined {
  if (headers?.code === NOT_FOUND) return undefined;
  const seq = Number(headers?.get('Nats-Sequence'));
  if (!headers || !Number.isSafeInteger(seq) || seq <= 0) {
    throw new AdapterError('transient', headers?.description ?? 'an answer without a sequence');
  }
  const dedupId = headers.get('Nats-Msg-Id');
  return {
    seq,
    data: Buffer.from(data.buffer, data.byteOffset, data.length),
    dedupId: dedupId === '' ? undefined : dedupId,
  };
}

/** The sequence behind a position; what is no number is before everything. */
function startOf(after: string | undefined): number {
  return after !== undefined && /^\d+$/u.test(after) ? Number(after) + 1 : 1;
}
