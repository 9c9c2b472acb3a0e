/**
 * What a file in `peers/` exports. A peer moves events (byte strings with boundaries) from a sender
 * process to a receiver process, reliably and in order.
 *
 * @typedef {object} Peer
 * @property {string} id             file name without its extension
 * @property {string} label          for people
 * @property {string} security       what protects the bytes on the wire
 * @property {() => Promise<string | null>} unavailable  why it cannot run here, or null
 * @property {() => Promise<Shared>} prepare  what both processes share; runs in the runner
 * @property {(options: ReceiverOptions) => Promise<Receiver>} createReceiver
 * @property {(options: SenderOptions) => Promise<Sender>} createSender
 * @property {Handshakes} [handshakes]  only peers that take part in P11
 * @property {import('./publishing.mjs').Channels} [channels]  only peers that take part in P6
 * @property {import('./log-store.mjs').Logs} [logs]  only peers that take part in P8
 * @property {string} [congestion]   of the kernel, for peers over its TCP that take part in P12
 *
 * @typedef {object} Shared
 * @property {unknown} data   handed to both processes, so structured-cloneable
 * @property {() => Promise<void>} close
 *
 * @typedef {object} ReceiverOptions
 * @property {any} shared
 * @property {boolean} echo   send every event back instead of counting it
 * @property {EventSink} sink takes every event when `echo` is false
 * @property {string} [host]  address to listen on, in P12; else loopback
 *
 * @typedef {object} EventSink
 * @property {(bytes: Uint8Array, offset: number, length: number) => void} event
 *   takes one event where it lies, so that a parser need not make a view
 *
 * @typedef {object} Receiver
 * @property {unknown} endpoint  what the sender needs to find it, structured-cloneable
 * @property {() => Promise<void>} close
 *
 * @typedef {object} SenderOptions
 * @property {any} shared
 * @property {any} endpoint
 * @property {string} [host]  address to send from, in P12
 *
 * @typedef {object} Sender
 * @property {(events: Buffer[]) => Promise<void> | undefined} sendBatch
 *   hands over a batch; a promise means "wait for it before the next batch" (backpressure)
 * @property {(event: Buffer) => Promise<void>} ping  resolves when the echo's bytes are here
 * @property {() => Promise<void>} close
 *
 * @typedef {object} Handshakes
 * @property {(options: { shared: any, nodes: number }) => Promise<Acceptor>} createAcceptor
 * @property {(options: { shared: any, endpoint: any, dials: number }) => Promise<Dialler>} createDialler
 *
 * @typedef {object} Acceptor
 * @property {unknown} endpoint
 * @property {() => number} peers  how many are connected now
 * @property {() => Promise<void>} close
 *
 * @typedef {object} Dialler
 * @property {(index: number) => Promise<void>} dial  `index` below `dials`; each at most once
 * @property {() => Promise<void>} close
 */

/** Every peer, in the order in which they run and are listed. */
export const PEER_IDS = [
  'netmesh',
  'netmesh-messages',
  'netmesh-cubic',
  'netmesh-bbr',
  'tcp-cubic',
  'tcp-bbr',
  'tls',
  'tls-packed',
  'secret-stream',
  'zeromq',
  'nats',
  'libp2p',
  'lmdb',
  'lmdb-queued',
  'better-sqlite3',
  'classic-level',
];

/**
 * @param {string} id
 * @returns {Promise<Peer>}
 */
export async function loadPeer(id) {
  const { default: peer } = await import(new URL(`../peers/${id}.mjs`, import.meta.url).href);
  return peer;
}

/**
 * Loads a peer and asks it whether it can run.
 *
 * @param {string} id
 * @returns {Promise<{ peer: Peer, reason: string | null }>} `reason` says why it cannot
 */
export async function findPeer(id) {
  const peer = await loadPeer(id);
  try {
    return { peer, reason: await peer.unavailable() };
  } catch (error) {
    return { peer, reason: firstLine(error) };
  }
}

/** @param {unknown} error */
export function firstLine(error) {
  const text = error instanceof Error ? error.message : String(error);
  return text.split('\n', 1)[0];
}
