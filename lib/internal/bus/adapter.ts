// What a bus asks of its backend. Batches and their bytes are made by the addon; an adapter moves them.

import type { NativeBatch } from '../../../types/native';
import { AdapterError, type AdapterErrorKind } from '../../core/errors';
import type { FetchedPage } from './events';

/** A backend. Every call may reject with an {@link AdapterError}; anything else counts as fatal. */
export interface Adapter {
  readonly name: string;
  /** Connects. Once, before anything else. */
  init(): Promise<void>;
  /** Resolves when the backend has the batch for good. May be called again with the same batch. */
  onBatch(batch: NativeBatch): Promise<void>;
  /** Up to `limit` events of a shard behind `after`. */
  pollShard(shard: number, after: string | undefined, limit: number): Promise<FetchedPage>;
  /** Position of the newest event of a shard. */
  latest(shard: number): Promise<string | undefined>;
  /** Calls `wake` when a shard may have something new, until the result is called. */
  watch(wake: () => void): () => void;
  /** Whether the backend answers. */
  isHealthy(): Promise<boolean>;
  /** Waits for what the client still holds back. */
  flush(): Promise<void>;
  /** Frees everything. Calls that wait are rejected. */
  shutdown(): Promise<void>;
}

/** The bytes of each event of a batch. */
export function eventsOf(batch: NativeBatch): Buffer[] {
  const data = Buffer.from(batch.data);
  const events = new Array<Buffer>(batch.ends.length);
  let start = 0;
  for (let index = 0; index < events.length; index++) {
    const end = batch.ends[index] ?? start;
    events[index] = data.subarray(start, end);
    start = end;
  }
  return events;
}

/** The error as what it is, or as a failure of the given kind. */
export function adapterError(kind: AdapterErrorKind, error: unknown): AdapterError {
  if (error instanceof AdapterError) return error;
  const detail = error instanceof Error ? error.message || error.name : String(error);
  return new AdapterError(kind, detail, { cause: error });
}

/** Rejects with `timedOut()` when `work` takes longer than `ms`. What comes later is ignored. */
export function within<T>(ms: number, work: Promise<T>, timedOut: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      reject(timedOut());
    }, ms);
    work.then(
      (value) => {
        clearTimeout(timer);
        resolve(value);
      },
      (error: unknown) => {
        clearTimeout(timer);
        reject(error);
      },
    );
  });
}

/** A URL without what must not be logged: everything between `://` and the last `@` of the authority. */
export function redactUrl(url: string): string {
  const scheme = url.indexOf('://');
  if (scheme === -1) return url;
  const begin = scheme + 3;
  const rest = url.slice(begin);
  const length = rest.search(/[/?#]/u);
  const authority = length === -1 ? rest : rest.slice(0, length);
  const at = authority.lastIndexOf('@');
  return at === -1 ? url : `${url.slice(0, begin)}[REDACTED]${rest.slice(at)}`;
}

/** Loads a package that only this transport needs. */
export async function loadPeer<T>(name: string, load: () => Promise<T>): Promise<T> {
  try {
    return await load();
  } catch (error) {
    throw new AdapterError(
      'fatal',
      `this transport needs the npm package "${name}", which is not installed: npm install ${name}`,
      { cause: error },
    );
  }
}
