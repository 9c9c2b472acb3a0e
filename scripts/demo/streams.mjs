// What the two processes agree on: which stream is for what.

export const FILE_STREAM = 1n;
/** The sender's digest one way, the receiver's verdict the other. */
export const VERDICT_STREAM = 2n;
export const PING_STREAM = 3n;
/** Has a small window, for the sender to run into. */
export const WINDOW_STREAM = 4n;

/** One event of the file. */
export const EVENT_BYTES = 64 * 1024;
/** Bytes of the file that may be under way. */
export const FILE_WINDOW_BYTES = 8 * 1024 * 1024;

/** Processor time of this process since `begin`, all threads, in seconds. */
export function cpuSeconds(begin) {
  const { user, system } = process.cpuUsage(begin);
  return (user + system) / 1e6;
}
