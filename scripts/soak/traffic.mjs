// What both ends of the soak agree on.

/** Events with a number and the peer's mark of this life, which the hub sends back on the next id. */
export const COUNTED_STREAM = 1n;
export const ECHO_STREAM = 2n;
/** Messages of a megabyte, in many fragments. */
export const LARGE_STREAM = 3n;
/** Fire and forget. */
export const LOOSE_STREAM = 4n;
/** Streams from here on live for a few events. */
export const FIRST_SHORT_STREAM = 100n;

export const PSK = '5a'.repeat(32);
export const HEARTBEAT_MS = 500;
/** Peers that are killed are noticed after this, and forgotten after 30 times as long. */
export const SESSION_TIMEOUT_MS = 2000;
