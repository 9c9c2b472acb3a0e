/** A promise rejected with what was thrown, or with a signal's reason: not ours to wrap. */
export function rejected(reason: unknown): Promise<never> {
  return Promise.reject(reason);
}

/** Calls `listener` when `signal` is aborted; the result stops listening. */
export function onAbort(signal: AbortSignal | undefined, listener: () => void): () => void {
  if (signal === undefined) return () => undefined;
  signal.addEventListener('abort', listener, { once: true });
  return () => {
    signal.removeEventListener('abort', listener);
  };
}
